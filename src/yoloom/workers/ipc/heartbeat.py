"""A page of shared memory where a worker shows that it lives, and which step of a request it is at."""

from __future__ import annotations

import enum
import os

import numpy as np

from yoloom.workers.ipc.shared_memory import SharedMemory

SIZE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096


class Doing(enum.IntEnum):
    """The step that a worker is at. Its `WORDS` complete the sentence "it ended while it ..."."""

    STARTING = 0
    WAITING = 1
    PREPARING = 2
    RUNNING = 3
    ANSWERING = 4


WORDS = {
    Doing.STARTING: "started",
    Doing.WAITING: "waited for work",
    Doing.PREPARING: "decoded the image",
    Doing.RUNNING: "ran the network",
    Doing.ANSWERING: "sent its answer",
}


class Heartbeat:
    """Two numbers of eight bytes in memory that parent and worker share: beats, and the present step.

    No lock could be used here, because a worker that dies with it would keep it for ever. None is needed: only the
    worker writes, each number is aligned and stored in one piece, and the parent reads each of them alone.

    Thread safety: any number of threads read; in the worker one thread writes the beats and one the step.

    Args:
        memory: A page of `SIZE` bytes, which lasts as long as this is used.
    """

    def __init__(self, memory: SharedMemory) -> None:
        self.memory = memory
        # Two machine words at the start of a page: aligned, so that each is read and written in one piece.
        self._numbers = memory.view()[:16].view(np.int64)

    @property
    def beats(self) -> int:
        """How many signs of life there were."""
        return int(self._numbers[0])

    def beat(self) -> None:
        """Give one more sign of life."""
        self._numbers[0] += 1

    @property
    def doing(self) -> Doing:
        """The step that the worker is at."""
        return Doing(int(self._numbers[1]))

    @doing.setter
    def doing(self, step: Doing) -> None:
        self._numbers[1] = step
