"""A lane of a network on a torch device: its memory, its recorded runs, and what happens when memory is short."""

from __future__ import annotations

import contextlib
import os
import weakref
from collections import Counter
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import numpy as np

from yoloom.errors import ForkedEngine, RuntimeFailed
from yoloom.formats.model import Model
from yoloom.runtime.protocol import Batch, Context, RawOutputs
from yoloom.runtime.torch.batch_sizes import HW, BatchSizes
from yoloom.runtime.torch.bit_check import check_bits
from yoloom.runtime.torch.graphs import Graphs
from yoloom.runtime.torch.memory_ledger import ledger
from yoloom.runtime.torch.tensor_ops import Canvas
from yoloom.runtime.torch.torch_device import DeviceLost, cuda_errors, exclusive_capture
from yoloom.runtime.torch.torch_import import torch
from yoloom.runtime.torch.torch_network import Tensors, TorchNetwork
from yoloom.system.safe_log import SafeLogger

log = SafeLogger("yoloom.runtime.torch")

MOST_CANVASES = 8
"""Sizes of images whose runs a lane keeps recorded."""

_MOST_PATIENCE = 64
_MOST_COUNTED = 4096  # sizes of images that are counted while they run without a graph


class LaneOwner(Protocol):
    """State that the lanes of one compiled network share. Thread safety: any number of threads."""

    network: TorchNetwork
    sizes: BatchSizes
    device_name: str
    max_memory: int | None
    pid: int

    def check_alive(self) -> None:
        """Raise RuntimeFailed when the device is lost."""

    def device_lost(self, error: DeviceLost) -> RuntimeFailed:
        """Note that the device is lost, for all lanes, and give the error to raise."""


@dataclass(frozen=True, eq=False)
class Resident:
    """A size of images whose runs may be recorded: graphs read these addresses. Thread safety: owned by its lane."""

    rows: torch.Tensor
    canvas: Canvas


class TorchContext(Context):
    """One lane. Thread safety: one thread at a time; a second one gets ContextBusy."""

    def __init__(self, model: Model, owner: LaneOwner, graphs: Graphs) -> None:
        """Store; memory is taken by the first run."""
        super().__init__(model)
        self._owner = owner
        self._network = owner.network
        self._graphs = graphs
        self._host: torch.Tensor | None = None
        self._residents: dict[HW, Resident] = {}
        self._unrecorded: Counter[HW] = Counter()  # runs without a graph, since the last time that graphs were dropped
        self._patience = 0  # so many of them come before a size is recorded
        self._records = True
        self._account = object()  # stands for this lane in the account of memory
        # Not through the owner, which may hold this lane: the registry of finalizers would keep both for ever.
        weakref.finalize(self, ledger.charge, owner.device_name, self._account, 0).atexit = False

    def staging(self, shape: tuple[int, int, int, int]) -> Batch:
        """Offer memory that the device copies from by itself. See `Context.staging`."""
        return self._host_rows(shape).numpy()  # type: ignore[no-any-return]

    def measure(self, hw: HW, size: int) -> tuple[float, Tensors]:
        """Find out by how much outputs depend on places or mates, and give those of one image for comparison."""
        canvas, rows = self._network.canvas(hw), self._graphs.device_rows((size, *hw, 3))
        work = partial(self._network.run, rows, canvas)

        def run(images: torch.Tensor) -> Tensors:
            self._graphs.upload(images, rows)
            tensors = self._graphs.run(work)
            self._graphs.wait()  # before `images`, which is not pinned, and their copy can go
            return tensors

        with torch.inference_mode():
            return check_bits(run, size, hw, self._network.measured)

    def _execute(self, batch: Batch, lowest_score: float) -> RawOutputs:
        """Run in parts of the sizes in use, smaller ones where memory is short."""
        if os.getpid() != self._owner.pid:
            raise ForkedEngine(
                "this network was compiled before the process was forked, and its device can not be used here: open "
                "the model after the fork, or start processes with multiprocessing.get_context('spawn')."
            )
        self._owner.check_alive()
        sizes, hw = self._owner.sizes, (batch.shape[1], batch.shape[2])
        rows = self._staged(batch)
        parts: list[Tensors] = []
        done = 0
        while done < len(rows):
            size = sizes.pick(hw, len(rows) - done)
            try:
                with cuda_errors():
                    if not sizes.is_measured(hw, size):
                        sizes.record(hw, size, self.measure(hw, size)[0])
                        continue  # it may not be in use any more
                    part = self._run_part(rows[done : done + size], size, lowest_score)
                if sizes.claim(hw, size):
                    parts.append(part)
                    done += size
            except MemoryError as error:
                self.make_room(hw, size, error)
            except DeviceLost as error:
                raise self._owner.device_lost(error) from error
            except RuntimeError:
                # An upload may still read the rows that the next caller draws on.
                with contextlib.suppress(RuntimeError):
                    self._graphs.wait()
                raise
        return _joined(parts)

    def make_room(self, hw: HW, size: int, error: MemoryError) -> None:
        """Drop what is recorded, and go on with smaller batches. Raises RuntimeFailed where there are none."""
        self._drop_graphs()
        smaller = self._owner.sizes.shrink(hw, size)
        log.warning("not enough memory for %d images of %dx%d at once: %s", size, hw[1], hw[0], error)
        if not smaller:
            raise RuntimeFailed(
                f"the device has no memory for {size} image{'s' * (size > 1)} of {hw[1]}x{hw[0]} pixels at once "
                f"({error}): close other models and programs on it, take a smaller imgsz or fewer lanes"
                f"{', or a smaller batch' if size > 1 else ''}."
            ) from error

    # Host memory

    def _host_rows(self, shape: tuple[int, ...]) -> torch.Tensor:
        nbytes = int(np.prod(shape))
        if self._host is None or self._host.numel() < nbytes:
            self._host = self._graphs.host_rows(nbytes)
        return self._host[:nbytes].view(shape)

    def _staged(self, batch: Batch) -> torch.Tensor:
        """The batch in the lane's own memory, where it lies already when it was drawn there."""
        drawn_here = self._host is not None and batch.ctypes.data == self._host.data_ptr()
        rows = self._host_rows(batch.shape)
        if not (drawn_here and batch.flags.c_contiguous):
            np.copyto(rows.numpy(), batch)
        return rows

    # Device

    def _run_part(self, part: torch.Tensor, size: int, lowest_score: float) -> Tensors:
        """Run one batch, filled up to `size`; host tensors with as many rows as images."""
        hw = (part.shape[1], part.shape[2])
        key = (size, *hw)
        resident = None
        if self._shall_record(hw):
            if hw not in self._residents:
                largest = max(self._owner.sizes.usable(hw))
                self._residents[hw] = Resident(self._graphs.device_rows((largest, *hw, 3)), self._network.canvas(hw))
            resident = self._residents[hw]
        rows = resident.rows[:size] if resident else self._graphs.device_rows((size, *hw, 3))
        canvas = resident.canvas if resident else self._network.canvas(hw)
        work = partial(self._network.run, rows, canvas)
        recorded = resident is not None and self._recorded(key, work)
        self._graphs.upload(part, rows)
        tensors = self._graphs.replay(key) if recorded else self._graphs.run(work)
        first, *others = self._graphs.download(self._network.outputs(tensors))
        self._graphs.wait()
        if self._network.leaves_out(first[: len(part)], lowest_score):
            # The tensors of a replay keep their values until the next one, which only this lane can start.
            (first,) = self._graphs.download(self._graphs.run(lambda: (self._network.all_candidates(tensors),)))
            self._graphs.wait()
        return tuple(tensor[: len(part)] for tensor in (first, *others))

    def _shall_record(self, hw: HW) -> bool:
        """Whether runs of this size are recorded, after making place for it where there is none.

        Graphs of one pool are dropped together, so a ninth size costs the eight others. Each time that happens, a new
        size has to come twice as often before it is recorded: sizes that come in turn soon run without graphs.
        """
        if hw in self._residents or not self._records:
            return self._records
        self._unrecorded[hw] += 1
        if self._unrecorded[hw] <= self._patience:
            if len(self._unrecorded) > _MOST_COUNTED:
                self._unrecorded.clear()
            return False
        if len(self._residents) >= MOST_CANVASES:
            self._drop_graphs()
            self._patience = min(max(1, 2 * self._patience), _MOST_PATIENCE)
        return True

    def _recorded(self, key: Hashable, work: Callable[[], Tensors]) -> bool:
        """Whether a run is recorded, after trying to record it. A lane that can not record goes on without."""
        if key in self._graphs.captured:
            return True
        try:
            with cuda_errors(), exclusive_capture():
                self._graphs.capture(key, work)
        except DeviceLost:
            raise
        except RuntimeError as error:
            log.warning("runs without CUDA graphs, which could not be captured: %s", error)
            self._records = False
            self._drop_graphs()
            return False
        rows_bytes = sum(resident.rows.numel() for resident in self._residents.values())
        owner, nbytes = self._owner, self._graphs.nbytes + rows_bytes
        ledger.charge(owner.device_name, self._account, nbytes, owner.max_memory)
        return True

    def _drop_graphs(self) -> None:
        self._residents.clear()
        self._unrecorded.clear()
        self._graphs.clear()
        ledger.charge(self._owner.device_name, self._account, 0)


def _joined(parts: list[Tensors]) -> RawOutputs:
    """The parts of a batch as one; where one has fewer rows, zeros follow, whose score is below every limit."""
    if len(parts) == 1:
        return tuple(tensor.numpy() for tensor in parts[0])
    joined = []
    for arrays in zip(*([tensor.numpy() for tensor in part] for part in parts), strict=True):
        longest = max(array.shape[1] for array in arrays)
        padded = [
            array
            if array.shape[1] == longest
            else np.pad(array, [(0, 0), (0, longest - array.shape[1]), *[(0, 0)] * (array.ndim - 2)])
            for array in arrays
        ]
        joined.append(np.concatenate(padded))
    return tuple(joined)
