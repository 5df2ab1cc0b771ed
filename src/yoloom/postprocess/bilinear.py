"""Bilinear enlargement, any window of it by itself: the bits of a pixel do not depend on what else is asked for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Taps:
    """How the values of a line come from those of another: `low` and `high` are indices, `share` is the part of `high`.

    Threads: anybody, frozen.
    """

    low: NDArray[np.intp]
    high: NDArray[np.intp]
    share: NDArray[np.float32]

    @classmethod
    def between(cls, given: int, wanted: int) -> Taps:
        """A line of `given` values stretched over `wanted`, ends on ends (align_corners=False)."""
        step = np.float32(given) / np.float32(wanted)
        centres = np.arange(wanted, dtype=np.float32) + np.float32(0.5)
        where = np.maximum(centres * step - np.float32(0.5), np.float32(0))
        low = np.minimum(where.astype(np.intp), given - 1)
        return cls(low, np.minimum(low + 1, given - 1), where - low.astype(np.float32))

    def __len__(self) -> int:
        return len(self.low)

    def part(self, start: int, stop: int) -> Taps:
        """The values `start` to `stop` of the new line."""
        return Taps(self.low[start:stop], self.high[start:stop], self.share[start:stop])

    @property
    def span(self) -> tuple[int, int]:
        """First and last (exclusive) of the values that are needed. There must be some."""
        return int(self.low[0]), int(self.high[-1]) + 1

    def after(self, first: int) -> Taps:
        """The same, from a line whose first `first` values were left out."""
        return Taps(self.low - first, self.high - first, self.share)


def enlarge(plane: NDArray[np.float32], rows: Taps, columns: Taps) -> NDArray[np.float32]:
    """The values (len(rows), len(columns)) between those of `plane` (H, W)."""
    across = _blend(plane[:, columns.low], plane[:, columns.high], columns.share)
    return _blend(across[rows.low], across[rows.high], rows.share[:, None])


def _blend(low: NDArray[np.float32], high: NDArray[np.float32], share: NDArray[np.float32]) -> NDArray[np.float32]:
    """low · (1 - share) + high · share, in the memory of `low` and `high`."""
    low *= np.float32(1) - share
    high *= share
    low += high
    return low
