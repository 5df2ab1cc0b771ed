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

Outputs = tuple[NDArray[np.float32], ...]
"""The graph's outputs, first axis B, in memory that belongs to the caller."""


class Form(enum.Enum):
    """How a network is compiled: for one request at a time, or for several."""

    LATENCY = "latency"
    THROUGHPUT = "throughput"


class Precision(enum.Enum):
    """What a network is computed with: numbers of 32 bits, or bfloat16, whose significand has 8 bits."""

    FP32 = "fp32"
    BF16 = "bf16"


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

    def run(self, batch: Batch) -> Outputs:
        """Run the network on `batch`; a graph with a fixed batch size is filled up and the surplus cut off.

        Raises ContextBusy, or RuntimeFailed with the runtime's words; the context stays usable.
        """
        if not self._in_use.acquire(blocking=False):
            raise ContextBusy("a context belongs to one thread at a time; take one for each thread.")
        try:
            outputs = self._execute(self._filled(batch))
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
    def _execute(self, batch: Batch) -> Outputs:
        """Run, and copy the outputs out of the runtime's memory. Failures of the runtime are RuntimeErrors."""
