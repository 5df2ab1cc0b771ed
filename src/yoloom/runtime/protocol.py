"""The little that the engine asks of a runtime.

```
Backend ──profiles(model, threads, plan)──▶ Profile: for a lone caller, for many
   │
   └─────compile(model, profile, precision)──▶ Compiled ──context()──▶ Context ──run(batch)──▶ RawOutputs
stateless                                      immutable, weights      one thread at a time    owned by the caller
```

A device is a value of a backend and its profiles: the engine knows lanes and batches, and neither CPUs nor GPUs.
"""

from __future__ import annotations

import enum
import threading
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from yoloom.errors import ContextBusy, RuntimeFailed, shortened
from yoloom.formats.model import Layout, Model, Quantization
from yoloom.runtime.plan import Plan
from yoloom.system.shortage import explained

Batch = NDArray[np.uint8]
"""(B, H, W, 3) BGR, C-contiguous. Conversion, channel order and scaling are part of the compiled network."""

RawOutputs = tuple[NDArray[np.float32], ...]
"""The network's outputs, first axis B, in memory that belongs to the caller."""

LATENCY = "latency"
"""The profile of a CPU for a lone caller: all threads on one image."""

THROUGHPUT = "throughput"
"""The profile of a CPU for many callers: several images at once, each with its share of the threads."""


class Precision(enum.Enum):
    """Number formats that a network is computed with."""

    FP32 = "fp32"
    BF16 = "bf16"  # a significand of 8 bits, on CPUs and GPUs
    FP16 = "fp16"  # a significand of 11 bits, on GPUs
    TF32 = "tf32"  # float32 whose products have a significand of 11 bits, on GPUs


@dataclass(frozen=True)
class Profile:
    """One way to compile and run a network.

    Thread safety: any number of threads (immutable).

    Attributes:
        name: The name in statistics and logs: "latency", "throughput", "batches".
        threads: CPU threads that all its runs compute with together, taken from the CPUs of the process; 0 for a
            device that computes by itself.
        streams: Images computed at once, each with its share of the threads; None for the runtime's own choice.
        lanes: Contexts in use; None for as many as the compiled network offers.
        batch_sizes: Sizes in which batches run, rising. A batch between two of them is filled up by the backend.
        max_wait_ms: How long the first ready request may wait for others while a lane is idle.
        draws_early: Whether callers draw the canvas themselves, since a lane runs many images at once.
    """

    name: str
    threads: int = 0
    streams: int | None = None
    lanes: int | None = None
    batch_sizes: tuple[int, ...] = (1,)
    max_wait_ms: float = 0.0
    draws_early: bool = False

    @property
    def max_batch(self) -> int:
        """Most images that a lane runs at once."""
        return self.batch_sizes[-1]

    def cpus_of_run(self, offered_lanes: int) -> int:
        """CPUs that one run computes with, when the compiled network offers so many lanes."""
        if self.name == LATENCY or not self.threads:
            return self.threads
        # The runtime offers one lane more than it has streams.
        return max(1, self.threads // (self.streams or max(1, offered_lanes - 1)))


@dataclass(frozen=True)
class Guarantee:
    """The bits of a result when many threads share the model.

    Thread safety: any number of threads (immutable).

    Attributes:
        backend: Name of the runtime.
        version: Version of the runtime.
        device: Device that computes, "cpu" or "cuda:0 NAME".
        precision: Number format of the computation, see `Precision`; "int8" for a network that is quantised, with that
            of the rest behind it where this is not float32.
        bit_identical: Whether a result has the same bits whatever else runs.
        tolerance: Largest relative difference of a raw output between any two ways to run; 0 when bit_identical.
        because: The reason, in one sentence.
    """

    backend: str
    version: str
    device: str
    precision: str
    bit_identical: bool
    tolerance: float
    because: str


class Compiled(Protocol):
    """The weights in the runtime's own form.

    Thread safety: any number of threads (immutable).
    """

    @property
    def lanes(self) -> int:
        """Contexts that keep the hardware busy."""

    @property
    def splits_sums(self) -> bool:
        """Whether sums are split by the number of threads: another number then gives other bits."""

    def context(self) -> Context:
        """Make a context, idle."""


class Backend(Protocol):
    """A runtime on a device.

    Thread safety: any number of threads (stateless).
    """

    name: str
    device: str

    def profiles(self, model: Model, threads: int, plan: Plan) -> tuple[Profile, ...]:
        """List the ways to run the model, first the one for a lone caller, last the one for many.

        Args:
            model: The network.
            threads: CPU budget of the engine.
            plan: Wishes of the user, checked.
        """

    def compile(self, model: Model, profile: Profile, precision: Precision = Precision.FP32) -> Compiled:
        """Compile the network for a profile. Raises InvalidModel or UnsupportedModel."""

    def precisions(self) -> tuple[Precision, ...]:
        """List the number formats that this machine computes natively, the default first."""

    def guarantee(self, precision: Precision = Precision.FP32) -> Guarantee:
        """Say what holds for any network that is computed with `precision`, one of `precisions`."""

    def keeps_bits_in_batches(self, model: Model) -> bool:
        """Tell whether an image has the same bits alone and at any place of a batch. Raises InvalidModel."""


@runtime_checkable
class Spacious(Protocol):
    """A backend whose compilations take much address space, and do not always survive that there is none."""

    compiling_bytes: int


@runtime_checkable
class Sharing(Protocol):
    """A backend whose compiled networks several processes of one machine can make around one copy of the weights."""

    def exported(self, compiled: Any) -> memoryview:
        """Export what `imported` makes a network with the same bits of. Raises RuntimeFailed."""

    def imported(
        self, model: Model, profile: Profile, data: NDArray[np.uint8], precision: Precision = Precision.FP32
    ) -> Compiled:
        """Compile what was exported with the same precision. Raises InvalidModel.

        Args:
            model: The network.
            profile: Way to run it.
            data: The export, which is not copied and must never change.
            precision: That of the export.
        """


@runtime_checkable
class Measured(Protocol):
    """A compiled network that found out by itself what holds for its bits, on this device and of this model."""

    @property
    def guarantee(self) -> Guarantee:
        """The guarantee that was measured when it was compiled."""


@runtime_checkable
class OwnRows(Protocol):
    """A compiled network whose outputs have another layout than the model's file says."""

    @property
    def layout(self) -> Layout:
        """Layout of the outputs."""


def reason_of(error: BaseException) -> str:
    """Return what a runtime says in its error, on a few lines: theirs are dumps of source files and graphs."""
    lines = [line.strip() for line in str(error).splitlines()]
    said = [line for line in lines if line and not line.startswith(("Exception from src/", "Check '", "To facilitate"))]
    return shortened(" ".join(said or lines), 400).rstrip(".")


def promised(backend: Backend, model: Model, precision: Precision) -> Guarantee:
    """Say what a backend guarantees for one network: for one that is quantised, 8-bit numbers are named too."""
    guarantee = backend.guarantee(precision)
    if model.quantization is Quantization.NONE:
        return guarantee
    rest = "" if precision is Precision.FP32 else f" and {precision.value}"
    because = f"sums of whole numbers of 8 bits have one result; for the rest, {guarantee.because}"
    return replace(guarantee, precision=f"int8{rest}", because=because)


@runtime_checkable
class Recovering(Protocol):
    """A compiled network that a failed run leaves as it was, or lost for good. All others are compiled again then."""

    @property
    def recovers(self) -> bool:
        """Always True."""


class Context(ABC):
    """One place where a network runs, with its own buffers.

    Thread safety: one thread at a time; a second one gets ContextBusy.
    """

    def __init__(self, model: Model) -> None:
        self._fixed_batch = model.input.batch
        # Guards nothing but itself: it is only ever tried, so that two users show up instead of mixing their images.
        self._in_use = threading.Lock()

    def staging(self, shape: tuple[int, int, int, int]) -> Batch:
        """Offer memory for the next batch, which the next `run` takes without another copy.

        Thread safety: as `run`. The memory is the context's: draw into it, run it, and forget it.
        """
        return np.empty(shape, np.uint8)

    def run(self, batch: Batch, lowest_score: float = 0.0) -> RawOutputs:
        """Run the network on a batch; a network of a fixed batch size is filled up and the surplus cut off.

        Args:
            batch: (B, H, W, 3) uint8 BGR canvases.
            lowest_score: No caller of this batch wants candidates below it. A backend may leave those out.

        Returns:
            The outputs, first axis B, in memory that belongs to the caller.

        Raises:
            ContextBusy: A second thread came while one runs.
            RuntimeFailed: The runtime failed, in its own words.
        """
        if not self._in_use.acquire(blocking=False):
            raise ContextBusy("a context belongs to one thread at a time; take one for each thread.")
        count = len(batch)
        try:
            missing = (self._fixed_batch or count) - count
            if missing < 0:
                raise RuntimeFailed(f"a batch of {count} does not fit a graph exported for {self._fixed_batch}.")
            if missing:
                batch = np.concatenate([batch, np.zeros((missing, *batch.shape[1:]), np.uint8)])
            outputs = self._execute(batch, lowest_score)
            if any([len(output) != len(batch) for output in outputs]):  # noqa: C419  a list is faster
                raise RuntimeFailed(
                    f"the runtime gave outputs of shape {[output.shape for output in outputs]} for a batch of shape "
                    f"{batch.shape}: a run that failed, perhaps for want of memory."
                )
        except ContextBusy:
            raise
        except RuntimeError as error:
            words = explained(error, reason_of(error))
            raise RuntimeFailed(f"the runtime failed on a batch of shape {batch.shape}: {words}") from error
        finally:
            self._in_use.release()
        return tuple(output[:count] for output in outputs) if missing else outputs

    @abstractmethod
    def _execute(self, batch: Batch, lowest_score: float) -> RawOutputs:
        """Run, and copy the outputs out of the runtime's memory. Failures of the runtime are RuntimeErrors."""
