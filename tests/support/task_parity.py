"""How far yoloom's results on photographs are from what Ultralytics found: arrays beside the models, made by tools/.

Detections are paired by nearest. One that has no partner must be a tie: a decision (passes the confidence, is
suppressed, is among the first `max_det`) whose two sides are closer than rounding moves them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from yoloom import YOLO, Results

Array = npt.NDArray[Any]
Options = dict[str, Any]

PIXELS, CONFIDENCE, RADIANS, MASK = 0.1, 1e-3, 1e-3, 0.01
SCORE_TIE = 1e-4
MOST_TIES = 0.005  # of all detections of a network, and two
CONF, MAX_DET = 0.25, 300  # the defaults


@dataclass
class Final:
    """The worst differences of what was compared; each stays 0 where a task has no such thing.

    mask: 1 - IoU. found: detections of Ultralytics. ties: those without a partner, on both sides.
    """

    pixels: float = 0.0
    confidence: float = 0.0
    radians: float = 0.0
    mask: float = 0.0
    found: int = 0
    ties: int = 0
    unexplained: list[str] = field(default_factory=list)

    def take(self, **worst: float) -> None:
        for name, value in worst.items():
            setattr(self, name, max(getattr(self, name), value))

    @property
    def holds(self) -> bool:
        near = self.pixels <= PIXELS and self.confidence <= CONFIDENCE and self.radians <= RADIANS
        few = self.ties <= 2 + MOST_TIES * self.found
        return near and few and self.mask <= MASK and not self.unexplained


@dataclass(frozen=True)
class Case:
    """One prediction and its answer: the arrays boxes, keypoints, obb, masks and probs that there are."""

    image: str
    options: Options
    answer: dict[str, Array]

    @property
    def one_to_one(self) -> bool:
        return self.options.get("nms") is False


def cases(path: Path) -> list[Case]:
    """Those of one checkpoint."""
    with np.load(path.with_suffix(".answers.npz")) as arrays:
        everything = dict(arrays)
    asked = json.loads(str(everything.pop("cases")))
    return [Case(**case, answer=dict(_answer(everything, f"{index}."))) for index, case in enumerate(asked)]


def _answer(everything: dict[str, Array], prefix: str) -> Iterator[tuple[str, Array]]:
    own = {key.removeprefix(prefix): value for key, value in everything.items() if key.startswith(prefix)}
    shape = own.pop("masks_shape", None)
    if shape is not None:
        own["masks"] = np.unpackbits(own["masks"], axis=-1, count=int(shape[-1])).reshape(shape)
    yield from own.items()


def compare_final(path: Path, **how: Any) -> Final:
    """All cases of one checkpoint. how: given to YOLO."""
    final = Final()
    for one_to_one in (False, True):
        chosen = [case for case in cases(path) if case.one_to_one == one_to_one]
        if chosen:
            with YOLO(path, nms=False if one_to_one else None, **how) as model:
                for case in chosen:
                    (result,) = model.predict(path.parent / case.image, **case.options)
                    compare_case(result, case, final)
    return final


def compare_case(result: Results, case: Case, final: Final) -> None:
    """Add one prediction to `final`."""
    if "probs" in case.answer:
        final.take(confidence=_largest(result.probs.data, case.answer["probs"]))
        final.found += 1
        return
    ours, theirs = Detections.of(vars_of(result)), Detections.of(case.answer)
    pairs, extra, missing = matched(ours, theirs)
    final.found += len(theirs.rows)
    final.ties += len(extra) + len(missing)
    ties = Ties(case, {"extra": ours.chosen(extra), "missing": theirs.chosen(missing)}, (ours, theirs))
    final.unexplained += [f"{case.image} {case.options}: {row}" for row in ties.unexplained()]
    if pairs:
        _compare_pairs(ours.chosen([a for a, _ in pairs]), theirs.chosen([b for _, b in pairs]), final)


def vars_of(result: Results) -> dict[str, Array]:
    members = {name: getattr(result, name) for name in ("boxes", "keypoints", "obb", "masks")}
    return {name: np.asarray(member.data) for name, member in members.items() if member is not None}


@dataclass(frozen=True)
class Detections:
    """rows: (N, 4) corners or (N, 5) centre, size and rotation. scores, classes: (N,)."""

    rows: Array
    scores: Array
    classes: Array
    keypoints: Array | None
    masks: Array | None

    @classmethod
    def of(cls, members: dict[str, Array]) -> Detections:
        data = members["obb"] if "obb" in members else members["boxes"]
        return cls(data[:, :-2], data[:, -2], data[:, -1], members.get("keypoints"), members.get("masks"))

    def chosen(self, index: list[int]) -> Detections:
        return Detections(*(None if part is None else part[index] for part in vars(self).values()))

    @property
    def places(self) -> Array:
        """(N, values) in pixels and thousands of confidence; another class is farther than anything."""
        points = self.rows[:, :4] if self.keypoints is None else self._with_keypoints()
        return np.concatenate([points, self.scores[:, None] * 1e2, self.classes[:, None] * 1e6], axis=1)

    def _with_keypoints(self) -> Array:
        assert self.keypoints is not None
        return np.concatenate([self.rows[:, :4], self.keypoints[..., :2].reshape(len(self.rows), -1)], axis=1)


def matched(ours: Detections, theirs: Detections) -> tuple[list[tuple[int, int]], list[int], list[int]]:
    """Pairs nearer than ten times what is allowed, and the rest of both: nothing is paired by its number."""
    if not len(ours.rows) or not len(theirs.rows):
        return [], list(range(len(ours.rows))), list(range(len(theirs.rows)))
    far = np.abs(ours.places[:, None] - theirs.places[None]).max(axis=2)
    pairs: list[tuple[int, int]] = []
    for flat in np.argsort(far, axis=None, kind="stable"):
        a, b = divmod(int(flat), far.shape[1])
        if far[a, b] > 10 * PIXELS:
            break
        if np.isfinite(far[a, b]) and far[a, b] == far[a].min() == far[:, b].min():
            pairs.append((a, b))
            far[a], far[:, b] = np.inf, np.inf
    return pairs, _others(len(ours.rows), pairs, 0), _others(len(theirs.rows), pairs, 1)


def _others(count: int, pairs: list[tuple[int, int]], side: int) -> list[int]:
    return sorted(set(range(count)) - {pair[side] for pair in pairs})


def _compare_pairs(ours: Detections, theirs: Detections, final: Final) -> None:
    final.take(pixels=_largest(ours.rows[:, :4], theirs.rows[:, :4]), confidence=_largest(ours.scores, theirs.scores))
    if ours.rows.shape[1] == 5:
        final.take(radians=_largest(ours.rows[:, 4], theirs.rows[:, 4]))
    if theirs.keypoints is not None:
        assert ours.keypoints is not None
        final.take(pixels=_largest(ours.keypoints[..., :2], theirs.keypoints[..., :2]))
        final.take(confidence=_largest(ours.keypoints[..., 2:], theirs.keypoints[..., 2:]))
    if theirs.masks is not None:
        assert ours.masks is not None
        axes = (1, 2)
        shared, whole = (ours.masks & theirs.masks).sum(axes), (ours.masks | theirs.masks).sum(axes)
        final.take(mask=float((1 - shared / whole).max()))


def _largest(ours: Array, theirs: Array) -> float:
    if ours.shape != theirs.shape:
        raise ValueError(f"expected the shape {theirs.shape}, got {ours.shape}")
    return float(np.abs(np.asarray(ours, np.float64) - theirs).max(initial=0))


@dataclass(frozen=True)
class Ties:
    """Of one case, the detections without a partner, and both lists that they are from."""

    case: Case
    alone: dict[str, Detections]
    both: tuple[Detections, Detections]

    def unexplained(self) -> Iterator[str]:
        """Those that are not due to rounding."""
        for side, other in (("extra", "missing"), ("missing", "extra")):
            for row, score, class_id in zip(*self._columns(side), strict=True):
                if not self._is_tie(row, score, class_id, self.alone[other]):
                    yield f"{side} {row} {score} {class_id}"

    def _columns(self, side: str) -> tuple[Array, Array, Array]:
        alone = self.alone[side]
        return alone.rows, alone.scores, alone.classes

    def _is_tie(self, row: Array, score: float, class_id: float, others: Detections) -> bool:
        at_threshold = abs(score - self.case.options.get("conf", CONF)) <= SCORE_TIE
        return (
            at_threshold
            or self._is_unsure(row, class_id)
            or self._is_cut(score)
            or bool(_swapped(row, score, class_id, others).any())
        )

    def _is_unsure(self, row: Array, class_id: float) -> bool:
        """Whether a slightly different `iou` decides about it."""
        unsure = self.case.answer.get("unsure", np.zeros((0, len(row) + 2)))
        near = np.abs(unsure[:, : len(row)] - row).max(axis=1, initial=0) <= PIXELS
        return bool((near & (unsure[:, -1] == class_id)).any())

    def _is_cut(self, score: float) -> bool:
        """Whether `max_det` ends one of the lists before it."""
        full = [side for side in self.both if len(side.rows) == self.case.options.get("max_det", MAX_DET)]
        return any(score <= side.scores.min() + SCORE_TIE for side in full)


def _swapped(row: Array, score: float, class_id: float, others: Detections) -> Array:
    """Which of the other side's won a draw against it: its own anchor as another class, or one that it overlaps."""
    draw = np.abs(others.scores - score) <= SCORE_TIE
    same_place = np.abs(others.rows - row).max(axis=1, initial=0) <= PIXELS
    return draw & (same_place ^ (others.classes == class_id))
