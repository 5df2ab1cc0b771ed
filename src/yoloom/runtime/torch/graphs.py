"""How one lane drives its device: copies, runs, and recorded runs (CUDA graphs).

```
 host_rows ──upload──▶ device_rows ──run / replay──▶ tensors ──download──▶ host tensors ──wait──▶ numpy
 pinned      queued     read by graphs   queued      overwritten by        queued         blocks, without the GIL
                                                     the next replay
```

All that is queued runs in order, on a stream of the lane's own. What a replay leaves stays until the next replay.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Hashable
from typing import Any, Protocol

from yoloom.runtime.protocol import Precision
from yoloom.runtime.torch.torch_device import TorchDevice, exclusive_capture, kernels_for
from yoloom.runtime.torch.torch_import import torch

Tensors = tuple[torch.Tensor, ...]
Work = Callable[[], Tensors]

_WARM_UPS = 2  # the first run of a shape chooses kernels and takes workspaces, which a capture must not


class Graphs(Protocol):
    """The queue of one lane. Thread safety: owned by its context, one thread at a time."""

    @property
    def nbytes(self) -> int:
        """Memory of the device that the recorded runs hold."""

    @property
    def captured(self) -> Collection[Hashable]:
        """Keys of the recorded runs."""

    def host_rows(self, nbytes: int) -> torch.Tensor:
        """Take host memory (nbytes,) uint8 that the device copies from by itself."""

    def device_rows(self, shape: tuple[int, ...]) -> torch.Tensor:
        """Take device memory of uint8 for images; its address never changes."""

    def upload(self, rows: torch.Tensor, target: torch.Tensor) -> None:
        """Queue a copy of host rows to the first rows of `target`, and zeros for the rest of it."""

    def run(self, work: Work) -> Tensors:
        """Queue work, without a graph."""

    def capture(self, key: Hashable, work: Work) -> None:
        """Run work to warm it up, and record it under a key. One at a time in the process: `exclusive_capture`."""

    def replay(self, key: Hashable) -> Tensors:
        """Queue a recorded run. Its results are overwritten by the next one."""

    def download(self, tensors: Tensors) -> Tensors:
        """Queue copies to host memory. They hold their values only after `wait`."""

    def wait(self) -> None:
        """Block until everything queued is done, without holding the GIL."""

    def clear(self) -> None:
        """Forget all recorded runs, and give their memory back."""


class EagerGraphs:
    """Runs everything at once, where it is called: torch's CPU device. Thread safety: owned by its context."""

    def __init__(self, device: TorchDevice, precision: Precision) -> None:
        self._device = device
        self._precision = precision
        self.captured: dict[Hashable, Work] = {}
        self.nbytes = 0

    def host_rows(self, nbytes: int) -> torch.Tensor:
        """Take plain memory."""
        return torch.empty(nbytes, dtype=torch.uint8)

    def device_rows(self, shape: tuple[int, ...]) -> torch.Tensor:
        """Take plain memory, zeroed."""
        return torch.zeros(shape, dtype=torch.uint8)

    def upload(self, rows: torch.Tensor, target: torch.Tensor) -> None:
        """Copy now."""
        target[: len(rows)].copy_(rows)
        target[len(rows) :].zero_()

    def run(self, work: Work) -> Tensors:
        """Run now."""
        with kernels_for(self._device, self._precision):
            return work()

    def capture(self, key: Hashable, work: Work) -> None:
        """Keep the work itself."""
        self.captured[key] = work

    def replay(self, key: Hashable) -> Tensors:
        """Run the work of this key again."""
        return self.run(self.captured[key])

    def download(self, tensors: Tensors) -> Tensors:
        """Hand the tensors over: nothing overwrites what was computed on the CPU."""
        return tensors

    def wait(self) -> None:
        """Do nothing: all is done."""

    def clear(self) -> None:
        """Forget the works."""
        self.captured.clear()


class CudaGraphs:
    """A stream, its CUDA graphs and the memory pool that they share. Thread safety: owned by its context.

    One stream and one pool for each lane: graphs that were captured on one stream share cuBLAS workspaces, and a pool
    may be shared by graphs that never run at the same time. For the same reason no graph is reset alone: `clear` drops
    the whole set.
    """

    def __init__(self, device: TorchDevice, precision: Precision) -> None:
        self._device = device
        self._precision = precision
        self.captured: dict[Hashable, tuple[Any, Tensors]] = {}
        self._pool: Any = None
        self.nbytes = 0
        with torch.cuda.device(device.index):
            self._stream = torch.cuda.Stream()
            self._done = torch.cuda.Event(blocking=True)  # sleeps instead of spinning: the CPU is for decoding

    def host_rows(self, nbytes: int) -> torch.Tensor:
        """Take pinned memory."""
        return torch.empty(nbytes, dtype=torch.uint8, pin_memory=True)

    def device_rows(self, shape: tuple[int, ...]) -> torch.Tensor:
        """Take memory of this stream, zeroed."""
        with torch.cuda.stream(self._stream):
            return torch.zeros(shape, dtype=torch.uint8, device=self._device.torch_device)

    def upload(self, rows: torch.Tensor, target: torch.Tensor) -> None:
        """Queue the copy."""
        with torch.cuda.stream(self._stream), torch.inference_mode():
            target[: len(rows)].copy_(rows, non_blocking=True)
            if len(rows) < len(target):
                target[len(rows) :].zero_()

    def run(self, work: Work) -> Tensors:
        """Queue the kernels one by one."""
        with kernels_for(self._device, self._precision), torch.cuda.stream(self._stream):
            return work()

    def capture(self, key: Hashable, work: Work) -> None:
        """Warm up on the lane's own stream, and record what the work queues.

        The caller holds the lock that lets one capture happen at a time in the process. The mode "thread_local"
        lets other threads allocate and copy meanwhile, which the default mode takes for an error of this capture.
        """
        with kernels_for(self._device, self._precision), torch.cuda.stream(self._stream):
            for _ in range(_WARM_UPS):
                work()
            self._stream.synchronize()
            torch.cuda.empty_cache()  # a capture can not take what the warm-up left in the allocator's cache
            before = torch.cuda.memory_reserved(self._device.index)
            if self._pool is None:
                self._pool = torch.cuda.graph_pool_handle()
            graph = torch.cuda.CUDAGraph()
            graph.capture_begin(pool=self._pool, capture_error_mode="thread_local")
            try:
                tensors = work()
            except BaseException:
                with contextlib.suppress(RuntimeError):  # the capture is invalid, and the first error says why
                    graph.capture_end()
                raise
            graph.capture_end()
            self.nbytes += max(0, torch.cuda.memory_reserved(self._device.index) - before)
        self.captured[key] = graph, tensors

    def replay(self, key: Hashable) -> Tensors:
        """Queue one launch for the whole network."""
        graph, tensors = self.captured[key]
        with torch.cuda.stream(self._stream):
            graph.replay()
        return tensors

    def download(self, tensors: Tensors) -> Tensors:
        """Queue copies to pinned memory, which torch keeps for the next ones when nobody holds it any more."""
        with torch.cuda.stream(self._stream), torch.inference_mode():
            hosts = tuple(torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True) for tensor in tensors)
            for host, tensor in zip(hosts, tensors, strict=True):
                host.copy_(tensor, non_blocking=True)
        return hosts

    def wait(self) -> None:
        """Sleep until the last queued copy is done."""
        self._done.record(self._stream)
        self._done.synchronize()

    def clear(self) -> None:
        """Drop the graphs with their pool, once nothing of the lane runs."""
        with contextlib.suppress(RuntimeError):  # a device that is lost has nothing left to wait for
            self._stream.synchronize()
        self.captured.clear()
        self._pool = None
        self.nbytes = 0
        with contextlib.suppress(RuntimeError), exclusive_capture():
            torch.cuda.empty_cache()
