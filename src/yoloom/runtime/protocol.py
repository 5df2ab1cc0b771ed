"""What the engine asks of a runtime.

```
Backend ──compile(model, setup)──▶ Compiled ──context()──▶ Context ──run(batch)──▶ outputs
stateless                          immutable, the weights   one thread at a time   owned by the caller
```
"""

from __future__ import annotations

import enum
import threading
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from yoloom.errors import ContextBusy, RuntimeFailed
from yoloom.formats.model import Model

Batch = NDArray[np.uint8]
"""(B, H, W, 3) BGR, C-contiguous. Conversion, channel order and scaling are part of the compiled graph."""

RawOutputs = tuple[NDArray[np.float32], ...]
"""The network's outputs, first axis B, in memory that belongs to the caller."""

Outputs = RawOutputs


class Form(enum.Enum):
    """How a network is compiled: for one request at a time, or for several."""

    LATENCY = "latency"
    THROUGHPUT = "throughput"


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


@dataclass(frozen=True)
class Setup:
    """How to compile a network. Immutable: shared freely.

    threads: CPU threads of all its contexts together. streams: images that THROUGHPUT computes at once, each with its
    share of the threads; None for what the runtime thinks best.
    """

    form: Form
    threads: int
    precision: Precision = Precision.FP32
    streams: int | None = None


@dataclass(frozen=True)
class Guarantee:
    """What holds when many threads share the model.

    bit_identical: a result has the same bits whatever else runs. tolerance: largest relative difference of a raw
    output between the two forms and any thread, 0 when bit_identical.
    """

    backend: str
    version: str
    device: str
    precision: str
    bit_identical: bool
    tolerance: float
    because: str


class Compiled(Protocol):
    """The weights in the runtime's own form. Immutable: shared freely."""

    @property
    def lanes(self) -> int:
        """How many contexts keep the hardware busy."""

    @property
    def splits_sums(self) -> bool:
        """Whether sums are split by the number of threads: another number then gives other bits."""

    def context(self) -> Context:
        """A new context, idle."""


class Backend(Protocol):
    """A runtime. Stateless: shared freely."""

    name: str

    def compile(self, model: Model, setup: Setup) -> Compiled:
        """Raises InvalidModel or UnsupportedModel."""

    def precisions(self) -> tuple[Precision, ...]:
        """What this machine computes natively with this backend, FP32 first."""

    def guarantee(self, precision: Precision = Precision.FP32) -> Guarantee:
        """What holds for a network that is computed with `precision`, one of `precisions`."""

    def keeps_bits_in_batches(self, model: Model) -> bool:
        """Whether an image has the same bits alone and at any place of a batch. Raises InvalidModel."""


@runtime_checkable
class Sharing(Protocol):
    """A backend whose compiled networks several processes of one machine can make around one copy of the weights."""

    def exported(self, compiled: Any) -> memoryview:
        """What `imported` makes a network with the same bits of. Raises RuntimeFailed."""

    def imported(self, model: Model, setup: Setup, data: NDArray[np.uint8]) -> Compiled:
        """Compile what was exported with the same precision. `data` is not copied and must never change.

        Raises InvalidModel.
        """


class Context(ABC):
    """One place where a network runs, with its own buffers. One thread at a time: a second one gets ContextBusy."""

    def __init__(self, model: Model) -> None:
        self._fixed_batch = model.input.batch
        # Guards nothing but itself: it is only ever tried, so that two users show up instead of mixing their images.
        self._in_use = threading.Lock()

    def staging(self, shape: tuple[int, int, int, int]) -> Batch:
        """Offer memory for the next batch, which the next `run` takes without another copy.

        Thread safety: as `run`. The memory is the context's: draw into it, run it, and forget it.
        """
        return np.empty(shape, np.uint8)

    def run(self, batch: Batch, lowest_score: float = 0.0) -> Outputs:
        """Run the network on `batch`; a graph with a fixed batch size is filled up and the surplus cut off.

        lowest_score: no caller of this batch wants candidates below it, so that a backend may leave them out.
        Raises ContextBusy, or RuntimeFailed with the runtime's words; the context stays usable.
        """
        if not self._in_use.acquire(blocking=False):
            raise ContextBusy("a context belongs to one thread at a time; take one for each thread.")
        try:
            outputs = self._execute(self._filled(batch), lowest_score)
        except ContextBusy:
            raise
        except RuntimeError as error:
            raise RuntimeFailed(f"the runtime failed on a batch of shape {batch.shape}: {error}") from error
        finally:
            self._in_use.release()
        return tuple(output[: len(batch)] for output in outputs)

    def _filled(self, batch: Batch) -> Batch:
        missing = (self._fixed_batch or len(batch)) - len(batch)
        if missing < 0:
            raise RuntimeFailed(f"a batch of {len(batch)} does not fit a graph exported for {self._fixed_batch}.")
        return np.concatenate([batch, np.zeros((missing, *batch.shape[1:]), np.uint8)]) if missing else batch

    @abstractmethod
    def _execute(self, batch: Batch, lowest_score: float) -> Outputs:
        """Run, and copy the outputs out of the runtime's memory. Failures of the runtime are RuntimeErrors."""
