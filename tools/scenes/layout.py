"""Layout of a scene, decided before anything is painted: a background, placed objects and the camera's faults.

Pure functions of a seed and a size, free for any thread.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np
import numpy.typing as npt

from scenes.objects import DRAWERS
from scenes.paint import Placed, overlap, silhouette

_MOST_HIDDEN = 0.35  # of an object's silhouette in the image, by objects in front of it
_LEAST_INSIDE = 0.62  # of an object's silhouette, within the image
_TRIES = 4  # per object
_SMALLEST, _LARGEST = 0.05, 0.45  # of the longer image side
_LEAN = 0.5  # radians to either side, at most
_NO_OBJECT = -1
_PLOT_SIDE = 240  # pixels of the longer side of the map on which places are chosen


@dataclass(frozen=True)
class Finish:
    """The camera's faults: `gain` and `lift` of the brightness, `blur` and `noise` as standard deviations.

    `lift` and `noise` are in grey levels, `blur` in pixels. Immutable, shared freely.
    """

    gain: float = 1.0
    lift: float = 0.0
    blur: float = 0.0
    noise: float = 0.0


@dataclass(frozen=True)
class Layout:
    """A scene before painting; `objects` from back to front. Immutable, shared freely."""

    seed: int
    size_wh: tuple[int, int]
    background_seed: int
    objects: tuple[Placed, ...]
    finish: Finish


def plan(seed: int, size_wh: tuple[int, int]) -> Layout:
    """Decide the scene of `seed` at `size_wh` pixels."""
    rng = np.random.Generator(np.random.PCG64([seed, *size_wh]))
    background_seed = int(rng.integers(2**31))
    finish = _finish(rng)
    return Layout(seed, size_wh, background_seed, _place(rng, size_wh), finish)


class _Plot:
    """Map of the object in front at every pixel, with the visible area of each.

    Thread safety: one thread at a time.
    """

    def __init__(self, size_wh: tuple[int, int]) -> None:
        self._scale = _PLOT_SIDE / max(size_wh)
        width, height = (max(1, round(side * self._scale)) for side in size_wh)
        self._owner = np.full((height, width), _NO_OBJECT, np.int16)
        self._whole: list[int] = []
        self._visible: list[int] = []

    def admit(self, placed: Placed) -> bool:
        """Put an object in front, unless it would hide another one too much or be cut off too much itself."""
        area = silhouette(placed.scaled(self._scale))
        window, inside = overlap(self._owner, area.alpha.shape, area.corner_xy)
        solid = area.alpha > 127
        seen = solid[inside]
        whole = int(np.count_nonzero(seen))
        if whole < _LEAST_INSIDE * np.count_nonzero(solid) or whole < 12:
            return False
        taken = np.bincount(window[seen] - _NO_OBJECT, minlength=len(self._whole) + 1)[1:]
        left = np.array(self._visible, np.int64) - taken
        if np.any(left < (1.0 - _MOST_HIDDEN) * np.array(self._whole)):
            return False
        window[seen] = len(self._whole)
        self._visible = [*left.tolist(), whole]
        self._whole.append(whole)
        return True


def _place(rng: np.random.Generator, size_wh: tuple[int, int]) -> tuple[Placed, ...]:
    plot = _Plot(size_wh)
    objects: list[Placed] = []
    wanted = int(rng.integers(3, 15))
    lengths = _lengths(rng, wanted)
    for length in np.sort(lengths)[::-1] if rng.random() < 0.6 else lengths:
        candidates = _candidates(rng, size_wh, 0.5 * float(length) * max(size_wh))
        objects.extend(islice(filter(plot.admit, candidates), 1))
    return tuple(objects)


def _lengths(rng: np.random.Generator, count: int) -> npt.NDArray[np.float64]:
    """Object heights, relative to the longer image side; small ones are more frequent, fewer are large in a crowd."""
    largest = _LARGEST if count < 9 else 0.7 * _LARGEST
    return np.exp(rng.uniform(np.log(_SMALLEST), np.log(largest), count))


def _candidates(rng: np.random.Generator, size_wh: tuple[int, int], size: float) -> Iterator[Placed]:
    """Propose one object in several places, of which the first that fits is taken."""
    cls = int(rng.integers(len(DRAWERS)))
    a, b, c, d = rng.random(4).tolist()
    for _ in range(_TRIES):
        across, down, side = rng.random(3).tolist()
        wide, lean = rng.standard_normal(2).tolist()
        spot = _within(size_wh[0], 0.55 * size, across), _within(size_wh[1], 0.55 * size, down)
        stretch = math.copysign(math.exp(0.10 * wide), side - 0.5)
        yield Placed(cls, spot, size, stretch, min(max(0.18 * lean, -_LEAN), _LEAN), (a, b, c, d))


def _within(side: int, reach: float, share: float) -> float:
    """Return the point at `share` (0..1) of the way between both borders of a `side`, `reach` from them if it fits."""
    start, end = min(reach, 0.4 * side), max(side - reach, 0.6 * side)
    return start + (end - start) * share


def _finish(rng: np.random.Generator) -> Finish:
    dim, soft, grainy = rng.random(3) < (0.4, 0.2, 0.2)
    gain, lift, blur, noise = rng.uniform((0.82, -12.0, 0.5, 2.0), (1.12, 12.0, 1.2, 6.0))
    return Finish(
        float(gain) if dim else 1.0,
        float(lift) if dim else 0.0,
        float(blur) if soft else 0.0,
        float(noise) if grainy else 0.0,
    )
