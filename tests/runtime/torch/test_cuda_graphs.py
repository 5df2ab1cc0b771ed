"""The order in which CUDA is called, on a stand-in for `torch.cuda` that writes it down: there is no GPU in CI."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from yoloom.runtime.protocol import Precision
from yoloom.runtime.torch import graphs, torch_device
from yoloom.runtime.torch.graphs import CudaGraphs


class Cuda:
    """What CUDA was asked to do, in order, with the current stream in front."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.current = "default"
        self.streams = 0
        self.reserved = 0
        outer = self

        class Stream:
            def __init__(self) -> None:
                outer.streams += 1
                self.name = f"stream{outer.streams}"

            def synchronize(self) -> None:
                outer.call("synchronize", self.name)

        class Event:
            def __init__(self, blocking: bool = False) -> None:
                assert blocking, "waiting must not spin"

            def record(self, stream: Stream) -> None:
                outer.call("record", stream.name)

            def synchronize(self) -> None:
                outer.call("wait")

        class CUDAGraph:
            def capture_begin(self, pool: Any, capture_error_mode: str) -> None:
                outer.call("begin", pool, capture_error_mode)

            def capture_end(self) -> None:
                outer.reserved += 100
                outer.call("end")

            def replay(self) -> None:
                outer.call("replay")

        self.names = SimpleNamespace(
            Stream=Stream,
            Event=Event,
            CUDAGraph=CUDAGraph,
            stream=self.on_stream,
            device=self.on_device,
            graph_pool_handle=self.pool,
            memory_reserved=lambda _: self.reserved,
            empty_cache=lambda: self.call("empty_cache"),
            OutOfMemoryError=torch.cuda.OutOfMemoryError,
        )

    def call(self, *words: str) -> None:
        self.calls.append(" ".join((self.current, *words)))

    def pool(self) -> str:
        self.call("pool")
        return "pool"

    @contextmanager
    def on_stream(self, stream: Any) -> Iterator[None]:
        before, self.current = self.current, stream.name
        try:
            yield
        finally:
            self.current = before

    @contextmanager
    def on_device(self, index: int) -> Iterator[None]:
        assert index == 1
        yield


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> Cuda:
    stand_in = Cuda()

    class Torch:
        """torch, with other CUDA, and without pinned memory."""

        cuda = stand_in.names

        def __getattr__(self, name: str) -> Any:
            return getattr(torch, name)

        def empty(self, *shape: Any, pin_memory: bool = False, **options: Any) -> Any:
            assert pin_memory
            return torch.empty(*shape, **options)

        def zeros(self, *shape: Any, device: Any, **options: Any) -> Any:
            return torch.zeros(*shape, **options)

    monkeypatch.setattr(graphs, "torch", Torch())
    monkeypatch.setattr(torch_device, "torch", Torch())
    return stand_in


def lane() -> CudaGraphs:
    device: Any = SimpleNamespace(is_cuda=True, index=1, torch_device=torch.device("cpu"))
    return CudaGraphs(device, Precision.FP16)


def test_a_capture_is_warmed_up_on_its_own_stream(cuda: Cuda) -> None:
    queue = lane()

    def work() -> Any:
        cuda.call("work")
        return (torch.zeros(1),)

    queue.capture("a", work)
    queue.capture("b", work)
    begun = "stream1 begin pool thread_local"
    once = ["stream1 work", "stream1 work", "stream1 synchronize stream1", "stream1 empty_cache"]
    recorded = [begun, "stream1 work", "stream1 end"]
    assert cuda.calls == [*once, "stream1 pool", *recorded, *once, *recorded]
    assert queue.nbytes == 200
    assert "a" in queue.captured
    assert "c" not in queue.captured


def test_a_run_copies_replays_and_waits_on_its_own_stream(cuda: Cuda) -> None:
    first, second = lane(), lane()
    rows, host = second.device_rows((4, 2, 2, 3)), second.host_rows(24)
    host.fill_(9)
    second.capture("a", lambda: (rows.clone(),))
    cuda.calls.clear()
    rows.fill_(7)
    second.upload(host.view(2, 2, 2, 3), rows)
    assert rows.flatten().tolist() == [9] * 24 + [0] * 24
    (output,) = second.replay("a")
    (copy,) = second.download((output,))
    second.wait()
    assert cuda.calls == ["stream2 replay", "default record stream2", "default wait"]
    assert torch.equal(copy, output)
    assert copy.data_ptr() != output.data_ptr()
    assert first.nbytes == 0


def test_a_capture_that_fails_is_ended_and_says_why(cuda: Cuda) -> None:
    queue, runs = lane(), []

    def work() -> Any:
        runs.append(1)
        if len(runs) == 3:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        return (torch.zeros(1),)

    with pytest.raises(torch.cuda.OutOfMemoryError):
        queue.capture("a", work)
    assert cuda.calls[-1] == "stream1 end"
    assert "a" not in queue.captured
    queue.capture("a", work)
    assert "a" in queue.captured


def test_all_graphs_are_dropped_together_once_nothing_runs(cuda: Cuda) -> None:
    queue = lane()
    queue.capture("a", lambda: (torch.zeros(1),))
    cuda.calls.clear()
    queue.clear()
    assert cuda.calls == ["default synchronize stream1", "default empty_cache"]
    assert "a" not in queue.captured
    assert queue.nbytes == 0
    queue.capture("a", lambda: (torch.zeros(1),))
    assert "stream1 pool" in cuda.calls  # a pool of its own, not the one that was dropped
