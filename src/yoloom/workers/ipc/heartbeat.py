"""The board: a page of shared memory where a worker shows that it lives, and what it is doing."""

from __future__ import annotations

import enum
import os

import numpy as np

from yoloom.workers.ipc.shared_memory import SharedMemory

SIZE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096


class Doing(enum.IntEnum):
    """What a worker is at; the words complete "it ended while it ..."."""

    STARTING = 0
    WAITING = 1
    PREPARING = 2
    RUNNING = 3
    ANSWERING = 4

    @property
    def words(self) -> str:
        return _WORDS[self]


_WORDS = {
    Doing.STARTING: "started",
    Doing.WAITING: "waited for work",
    Doing.PREPARING: "decoded the image",
    Doing.RUNNING: "ran the network",
    Doing.ANSWERING: "sent its answer",
}


class Heartbeat:
    """Two numbers of eight bytes, each written by one side only and in one piece. Shared freely."""

    def __init__(self, memory: SharedMemory) -> None:
        self.memory = memory
        self._numbers = memory.view()[:16].view(np.int64)

    @classmethod
    def create(cls) -> Heartbeat:
        return cls(SharedMemory.create(SIZE))

    @property
    def beats(self) -> int:
        """How many signs of life there were."""
        return int(self._numbers[0])

    def beat(self) -> None:
        self._numbers[0] += 1

    @property
    def doing(self) -> Doing:
        return Doing(int(self._numbers[1]))

    @doing.setter
    def doing(self, what: Doing) -> None:
        self._numbers[1] = what

    def close(self) -> None:
        self.memory.close()
