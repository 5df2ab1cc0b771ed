"""The backend "torch": checkpoints on NVIDIA GPUs, and on torch's CPU device, where the same code is tested."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable

from yoloom.errors import InvalidModel, InvalidOption, RuntimeFailed, UnsupportedOption
from yoloom.formats.model import Model
from yoloom.runtime.plan import Plan
from yoloom.runtime.probe import small_hw
from yoloom.runtime.protocol import Guarantee, Precision, Profile
from yoloom.runtime.torch.batch_sizes import HW, BatchSizes
from yoloom.runtime.torch.bit_check import distance
from yoloom.runtime.torch.graphs import CudaGraphs, EagerGraphs, Graphs
from yoloom.runtime.torch.memory_ledger import ledger
from yoloom.runtime.torch.torch_context import TorchContext
from yoloom.runtime.torch.torch_device import DeviceLost, TorchDevice, cuda_errors
from yoloom.runtime.torch.torch_network import TorchNetwork
from yoloom.validation import positive, shown

MAX_BATCH = 256
_LARGEST = {"cuda": 32, "cpu": 4}  # batches beyond 32 gain 4 % on an H200, and double the wait
_LANES = 2  # one runs while the other one's images are copied and its results fetched

_BEFORE_MEASURING = {Precision.FP32: 1e-3, Precision.TF32: 2e-2, Precision.FP16: 5e-2, Precision.BF16: 0.2}
_WORDS = {Precision.FP32: "float32", Precision.TF32: "TF32", Precision.FP16: "float16", Precision.BF16: "bfloat16"}

MakeGraphs = Callable[[TorchDevice, Precision], Graphs]


class TorchBackend:
    """Runs Ultralytics checkpoints with PyTorch. Thread safety: any number of threads (stateless)."""

    name = "torch"

    def __init__(
        self,
        device: str = "cuda",
        batch: int | str | None = None,
        max_memory: int | None = None,
        make_graphs: MakeGraphs | None = None,
    ) -> None:
        """Check that torch has the device.

        Args:
            device: "cuda", "cuda:N", or "cpu".
            batch: Most images that a lane runs at once, or "fixed" to run every image in batches of one size, so that
                its bits never change. None for 1, 2, 4 and so on up to 32, whichever is filled best.
            max_memory: Most bytes of the device that the models of this process may hold together.
            make_graphs: Makes the queue of a lane; for tests.

        Raises:
            UnknownDevice: The device does not exist.
            BackendUnavailable: This torch, the driver or the card can not be used.
            InvalidOption: A batch or limit that is none.
        """
        self._device = TorchDevice(device)
        self.device = self._device.name
        self._fixed = batch == "fixed"
        self._largest = _LARGEST["cuda" if self._device.is_cuda else "cpu"]
        if batch is not None and not self._fixed:
            if isinstance(batch, str):
                raise InvalidOption(f"batch must be a positive whole number or 'fixed', got {shown(batch)}.")
            self._largest = positive("batch", batch)
        if self._largest > MAX_BATCH:
            raise InvalidOption(f"batch must be at most {MAX_BATCH}, got {self._largest}.")
        self._max_memory = None if max_memory is None else positive("max_memory", max_memory)
        self._make_graphs = make_graphs or (CudaGraphs if self._device.is_cuda else EagerGraphs)

    def profiles(self, model: Model, threads: int, plan: Plan) -> tuple[Profile, ...]:
        """Describe the one profile: a few lanes, each with many images at once."""
        largest = plan.batch or self._largest
        rising = tuple(1 << shift for shift in range(largest.bit_length()))
        sizes = (largest,) if self._fixed else tuple(sorted({*rising, largest}))
        return (
            Profile(
                name="batches",
                threads=0 if self._device.is_cuda else threads,
                lanes=plan.lanes or _LANES,
                batch_sizes=sizes,
                max_wait_ms=plan.max_wait_ms or 0.0,
                draws_early=True,
            ),
        )

    def compile(self, model: Model, profile: Profile, precision: Precision = Precision.FP32) -> TorchCompiled:
        """Bring the weights to the device, run the network, and measure what holds for its bits.

        Raises:
            UnsupportedModel: The file is no checkpoint, or has parts that yoloom does not know.
            InvalidModel: The checkpoint contradicts itself.
            UnsupportedOption: The device has no numbers of this precision.
            RuntimeFailed: The device has no memory for the weights or a single image, or failed.
        """
        offered = self.precisions()
        if precision not in offered:
            raise UnsupportedOption(
                f"precision must be {' or '.join(one.value for one in offered)} on {self._device.description}, got "
                f"{precision.value!r}."
            )
        try:
            network = TorchNetwork(model, self._device, precision)
        except MemoryError as error:
            raise RuntimeFailed(
                f"{model.graph.path}: its weights do not fit into the memory of {self._device.description} ({error}): "
                "close other models and programs on it."
            ) from error
        except DeviceLost as error:
            raise RuntimeFailed(f"{self._device.description} can not be used any more: {error}") from error
        sizes = BatchSizes(profile.batch_sizes, self._fixed)
        compiled = TorchCompiled(
            model, network, self._device, precision, sizes, profile.lanes or _LANES, self._make_graphs, self._max_memory
        )
        compiled.start()
        return compiled

    def precisions(self) -> tuple[Precision, ...]:
        """List the number formats that the device computes natively, the default first."""
        return self._device.precisions()

    def guarantee(self, precision: Precision = Precision.FP32) -> Guarantee:
        """Say what holds before a network was measured, see `TorchCompiled.guarantee`."""
        return Guarantee(
            backend=self.name,
            version=self._device.version,
            device=self._device.description,
            precision=precision.value,
            bit_identical=False,
            tolerance=_BEFORE_MEASURING[precision],
            because=f"kernels of {_WORDS[precision]} differ with the size of the batch; each model is measured when it "
            "is opened",
        )

    def keeps_bits_in_batches(self, model: Model) -> bool:
        """Tell whether all batches have one size."""
        return self._fixed


class TorchCompiled:
    """The weights on the device, and what its lanes share. Thread safety: any number of threads.

    Attributes:
        lanes: Contexts that keep the device busy.
        layout: Layout of the first output.
        guarantee: What was measured when it was compiled.
        network: The network.
        sizes: The sizes of batches in use.
        device_name: The device, as "cuda:0".
        max_memory: Most bytes of the device that all models may hold together.
        pid: The process that compiled it.
    """

    splits_sums = False
    recovers = True  # weights are only read, what a lane records is dropped with it, and a lost device is noted

    def __init__(
        self,
        model: Model,
        network: TorchNetwork,
        device: TorchDevice,
        precision: Precision,
        sizes: BatchSizes,
        lanes: int,
        make_graphs: MakeGraphs,
        max_memory: int | None,
    ) -> None:
        """Store; `start` runs the network."""
        self.lanes = lanes
        self.network = network
        self.layout = network.layout
        self.sizes = sizes
        self.device_name = device.name
        self.max_memory = max_memory
        self.pid = os.getpid()
        self._model = model
        self._device = device
        self._precision = precision
        self._make_graphs = make_graphs
        self._lock = threading.Lock()  # guards _lost and _first
        self._lost: str | None = None
        self._first: TorchContext | None = None
        self._account = object()  # stands for the weights in the account of memory
        weakref.finalize(self, ledger.charge, device.name, self._account, 0).atexit = False
        self.guarantee: Guarantee

    def start(self) -> None:
        """Run the network once in each size, and state what was measured. Raises InvalidModel or RuntimeFailed."""
        try:
            ledger.charge(self.device_name, self._account, self.network.weights_bytes, self.max_memory)
        except MemoryError as error:
            raise RuntimeFailed(f"{self._model.graph.path}: its weights do not fit: {error}") from error
        context, stride = self._new_context(), self._model.stride
        height, width = (-(-side // stride) * stride for side in self._model.imgsz_hw)
        # The size that most images have; a small one on a CPU, where it would take too long.
        hw = (height, width) if self._device.is_cuda else small_hw(self._model)
        try:
            tolerance = self._measure(context, hw)
        except DeviceLost as error:
            raise self.device_lost(error) from error
        except RuntimeError as error:
            raise InvalidModel(
                f"{self._model.graph.path}: the checkpoint's network contradicts itself: {error}"
            ) from error
        self.guarantee = self._guarantee(hw, tolerance)
        self._first = context

    def context(self) -> TorchContext:
        """Make a lane. Raises RuntimeFailed when the device is lost."""
        self.check_alive()
        with self._lock:
            context, self._first = self._first, None
        return context or self._new_context()

    def check_alive(self) -> None:
        """Raise RuntimeFailed when the device is lost."""
        if self._lost is not None:
            raise RuntimeFailed(
                f"{self._device.description} failed, and this process can not use it any more ({self._lost}): start "
                "the process again, or open the model with workers=1, which replaces the process that holds the device."
            )

    def device_lost(self, error: DeviceLost) -> RuntimeFailed:
        """Note that the device is lost, for all lanes, and give the error to raise."""
        with self._lock:
            self._lost = self._lost or str(error)
        try:
            self.check_alive()
        except RuntimeFailed as failed:
            return failed
        raise AssertionError("noted above")

    def _new_context(self) -> TorchContext:
        try:
            with cuda_errors():
                return TorchContext(self._model, self, self._make_graphs(self._device, self._precision))
        except DeviceLost as error:
            raise self.device_lost(error) from error
        except MemoryError as error:
            raise RuntimeFailed(f"{self._device.description} has no memory for another lane: {error}") from error

    def _measure(self, context: TorchContext, hw: HW) -> float:
        """The largest relative difference between the sizes in use, and between runs of one."""
        tolerance, reference = 0.0, None
        size = self.sizes.pick(hw, 1)
        while True:
            try:
                with cuda_errors():
                    spread, outputs = context.measure(hw, size)
            except MemoryError as error:
                context.make_room(hw, size, error)
            else:
                self.sizes.record(hw, size, spread)
                if size in self.sizes.usable(hw):
                    reference = outputs if reference is None else reference
                    tolerance = max(tolerance, spread, distance(outputs, reference))
            wanted = [self.sizes.pick(hw, 1)] if self.sizes.fixed else self.sizes.usable(hw)
            pending = [one for one in wanted if not self.sizes.is_measured(hw, one)]
            if not pending:
                return tolerance
            size = pending[0]

    def _guarantee(self, hw: HW, tolerance: float) -> Guarantee:
        measured = f"measured at {hw[1]}x{hw[0]}"
        sizes = self.sizes.usable(hw)
        same = sizes == [1] and tolerance == 0.0
        if self.sizes.fixed and tolerance == 0.0:
            because = (
                f"all images of one size run in batches of one size (at most {self.sizes.pick(hw, 1)}), in which "
                "neither an image's place nor its mates change its bits; this is measured for each size of image"
            )
        elif same:
            because = f"every image runs alone, and gave the same bits each time ({measured})"
        else:
            listed = " and ".join(filter(None, [", ".join(map(str, sizes[:-1])), str(sizes[-1])]))
            because = (
                f"an image's place in a batch and its mates do not change its bits; batches of {listed} images have "
                f"kernels of their own, whose results are {f'up to {tolerance:.0e}' if tolerance else 'not'} apart "
                f"({measured})"
            )
        return Guarantee(
            backend=TorchBackend.name,
            version=self._device.version,
            device=self._device.description,
            precision=self._precision.value,
            bit_identical=(self.sizes.fixed or same) and tolerance == 0.0,
            tolerance=tolerance,
            because=because,
        )
