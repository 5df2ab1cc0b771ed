"""Sizes in which batches run: those whose kernels keep an image's bits, and those that fit into the device's memory."""

from __future__ import annotations

import threading

HW = tuple[int, int]


class BatchSizes:
    """The sizes of a compiled network, for each size of image. Thread safety: any number of threads.

    A size whose bits depend on the place or on the mates is never run: what a caller gets must not depend on who else
    called. With `fixed`, all runs of an image size have one batch size, so that its bits never change.
    """

    def __init__(self, sizes: tuple[int, ...], fixed: bool = False) -> None:
        """Store the sizes.

        Args:
            sizes: Rising; 1 is always tried in the end.
            fixed: Use the largest sound size, and it alone.
        """
        self.fixed = fixed
        self._lock = threading.Lock()  # guards what follows
        halves = [sizes[-1] >> shift for shift in range(sizes[-1].bit_length())] if fixed else []
        self._sizes: list[int] = sorted({1, *sizes, *halves})
        self._spreads: dict[tuple[HW, int], float] = {}
        self._chosen: dict[HW, int] = {}  # the one size of `fixed`, from the first result on

    def pick(self, hw: HW, count: int) -> int:
        """Choose the size for the next run, when `count` images are left.

        The next larger size when at least half of it is filled, else the next smaller one.
        """
        with self._lock:
            if self.fixed:
                return self._chosen.get(hw) or self._usable(hw)[-1]
            usable = self._usable(hw)
            larger = [size for size in usable if count <= size <= 2 * count]
            return larger[0] if larger else max(size for size in usable if size <= count)

    def is_measured(self, hw: HW, size: int) -> bool:
        """Tell whether a spread was recorded."""
        with self._lock:
            return (hw, size) in self._spreads

    def record(self, hw: HW, size: int, spread: float) -> None:
        """Note what was measured. The first measurement counts, whichever lane it comes from.

        Args:
            hw: Size of the images.
            size: Size of the batch.
            spread: Largest relative difference between an image's outputs at any place, with any mates; 0 for equal
                bits.
        """
        with self._lock:
            self._spreads.setdefault((hw, size), spread)

    def claim(self, hw: HW, size: int) -> bool:
        """Tell whether results of a run in this size may be given. The first one decides, where the size is fixed.

        Another lane may have found more memory, or less, while this one ran: then its run has to be done again.
        """
        with self._lock:
            return not self.fixed or self._chosen.setdefault(hw, size) == size

    def usable(self, hw: HW) -> list[int]:
        """List the sizes that may run, those not measured yet included."""
        with self._lock:
            return [self._chosen[hw]] if hw in self._chosen else self._usable(hw)

    def shrink(self, hw: HW, size: int) -> bool:
        """Give up a size, and all larger ones, for want of memory.

        Returns:
            False when there is no smaller one, or when results of the fixed size were given already.
        """
        with self._lock:
            smaller = [one for one in self._sizes if one < size]
            if not smaller or self._chosen.get(hw) == size:
                return False
            self._sizes = [one for one in smaller if one <= max(1, size // 2)]
            return True

    def _usable(self, hw: HW) -> list[int]:
        """Under the lock. A single image has no mates: it stays, however its bits vary from run to run."""
        return [size for size in self._sizes if size == 1 or not self._spreads.get((hw, size))]
