"""A device that punishes what a real GPU lets pass most of the time: reading too early, too late, or two at once."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Hashable
from typing import Any

import torch

from yoloom.runtime.protocol import Precision
from yoloom.runtime.torch.torch_device import TorchDevice, kernels_for

Tensors = tuple[Any, ...]
Work = Callable[[], Tensors]

GARBAGE = 0x7B


class FakeDevice:
    """The state that the lanes of one process share. Thread safety: any number of threads.

    Attributes:
        room: Most images of a batch that fit into the memory.
        bytes_of_graph: Memory that each recorded run takes.
        captures: The keys that were captured, of all lanes.
        eager: How many runs had no graph.
        errors: What the next replays raise, None for nothing.
        capture_errors: What the next captures raise, None for nothing.
    """

    def __init__(self, room: int = 1_000) -> None:
        self.room = room
        self.bytes_of_graph = 0
        self.captures: list[Hashable] = []
        self.eager = 0
        self.errors: deque[BaseException | None] = deque()
        self.capture_errors: deque[BaseException | None] = deque()
        self.capturing = threading.Lock()  # two captures at a time are an error of the caller

    def graphs(self, device: TorchDevice, precision: Precision) -> FakeGraphs:
        """Make the queue of a lane."""
        return FakeGraphs(self, device, precision)


class FakeGraphs:
    """A `Graphs` whose buffers hold values only while they may be read. Thread safety: owned by its context.

    Downloads are copied when they are waited for, from whatever the buffers hold then. A replay overwrites its outputs
    with NaN before it computes them, those of the lane's other graphs too, and its inputs with garbage afterwards.
    """

    def __init__(self, fake: FakeDevice, device: TorchDevice, precision: Precision) -> None:
        self._fake = fake
        self._device = device
        self._precision = precision
        self.captured: dict[Hashable, tuple[Work, Tensors]] = {}
        self._rows: list[Any] = []
        self._copies: list[tuple[Any, Any]] = []
        self._replaying = threading.Lock()
        self.nbytes = 0

    def host_rows(self, nbytes: int) -> Any:
        return torch.full((nbytes,), GARBAGE, dtype=torch.uint8)

    def device_rows(self, shape: tuple[int, ...]) -> Any:
        if shape[0] > self._fake.room:
            raise torch.cuda.OutOfMemoryError(f"CUDA out of memory. Tried to allocate {shape[0]} images.\nmore words")
        self._rows.append(torch.full(shape, GARBAGE, dtype=torch.uint8))
        return self._rows[-1]

    def upload(self, rows: Any, target: Any) -> None:
        assert not self._copies, "the results of the last run were not waited for"
        target[: len(rows)].copy_(rows)
        target[len(rows) :].zero_()

    def run(self, work: Work) -> Tensors:
        self._fake.eager += 1
        with kernels_for(self._device, self._precision):
            return work()

    def capture(self, key: Hashable, work: Work) -> None:
        assert self._fake.capturing.acquire(blocking=False), "two threads capture at the same time"
        try:
            error = self._fake.capture_errors.popleft() if self._fake.capture_errors else None
            if error:
                raise error
            tensors = self.run(work)
            self._fake.captures.append(key)
            self.captured[key] = work, tuple(torch.empty_like(tensor) for tensor in tensors)
            self.nbytes += self._fake.bytes_of_graph
        finally:
            self._fake.capturing.release()
        self._poison()

    def replay(self, key: Hashable) -> Tensors:
        assert self._replaying.acquire(blocking=False), "two replays of one lane at the same time"
        try:
            error = self._fake.errors.popleft() if self._fake.errors else None
            if error:
                raise error
            work, outputs = self.captured[key]
            self._poison()
            with kernels_for(self._device, self._precision):
                for output, value in zip(outputs, work(), strict=True):
                    output.copy_(value)
            for rows in self._rows:
                rows.fill_(GARBAGE)
            return outputs
        finally:
            self._replaying.release()

    def download(self, tensors: Tensors) -> Tensors:
        hosts = tuple(_poisoned(torch.empty_like(tensor)) for tensor in tensors)
        self._copies += zip(hosts, tensors, strict=True)
        return hosts

    def wait(self) -> None:
        with torch.inference_mode():
            for host, tensor in self._copies:
                host.copy_(tensor)
        self._copies.clear()

    def clear(self) -> None:
        self._poison()
        self.captured.clear()
        self._rows.clear()
        self._copies.clear()
        self.nbytes = 0

    def _poison(self) -> None:
        for _, outputs in self.captured.values():
            for output in outputs:
                _poisoned(output)


def _poisoned(tensor: Any) -> Any:
    with torch.inference_mode():
        return tensor.fill_(float("nan") if tensor.is_floating_point() else GARBAGE)
