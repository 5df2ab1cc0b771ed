"""Helps to test code that uses yoloom: a clock turned by hand, a backend that obeys a script, and races on purpose.

```
backend = FakeBackend(lanes=2)                  # stands for a runtime; no file, no network
engine = Engine(fake_model(), backend, threads=2)

gate = Gate()
backend.script(None, gate, RuntimeError("out of memory"))   # the first run is normal, the second waits, the third fails
...
gate.wait_for(1)                                # the second run has begun, and stands still
gate.open()
```

Nothing in the package imports this module.
"""

from __future__ import annotations

import threading
import zlib
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from yoloom.formats.model import Layout, Model, ModelFile, Shape
from yoloom.runtime.cpu import cpu_profiles
from yoloom.runtime.plan import Plan
from yoloom.runtime.protocol import LATENCY, Batch, Context, Guarantee, Precision, Profile, RawOutputs
from yoloom.sync.thread_group import ThreadGroup, switch_interval

T = TypeVar("T")

Step: TypeAlias = BaseException | Callable[[], object] | None
"""First thing that a run or a compilation does: raise this, call this, or nothing out of the ordinary."""

PATIENCE_S = 30.0
"""Seconds that these tools wait for another thread before they call it stuck."""

ROWS = 4
"""Detections that the fake network finds in every image."""


class ManualClock:
    """A clock that stands still until it is told to advance. Thread safety: any number of threads."""

    def __init__(self, now: float = 0.0) -> None:
        self._lock = threading.Lock()  # guards _now
        self._now = now

    def __call__(self) -> float:
        """Return the seconds that it shows."""
        with self._lock:
            return self._now

    def advance(self, seconds: float) -> None:
        """Turn the clock on."""
        with self._lock:
            self._now += seconds


class Gate:
    """A step at which runs stand still until `open`; once open it stays open.

    Thread safety: any number of threads.
    """

    def __init__(self) -> None:
        self._arrived = threading.Semaphore(0)
        self._opened = threading.Event()

    def __call__(self) -> None:
        """Stand still until the gate is open. Raises TimeoutError after PATIENCE_S."""
        self._arrived.release()
        if not self._opened.wait(PATIENCE_S):
            raise TimeoutError("no thread opened the gate")

    def wait_for(self, arrivals: int = 1) -> None:
        """Block until so many more runs have arrived. Raises TimeoutError."""
        for _ in range(arrivals):
            if not self._arrived.acquire(timeout=PATIENCE_S):
                raise TimeoutError("no run came to the gate")

    def open(self) -> None:
        """Let all runs go on, those that come later too."""
        self._opened.set()


def fake_model(
    classes: int = 3,
    *,
    batch: int | None = None,
    hw: tuple[int, int] | None = None,
    layout: Layout = Layout.RAW,
) -> Model:
    """Describe a detection model without a file.

    Args:
        classes: how many it tells apart.
        batch: of a graph with a fixed batch size; None for any.
        hw: of a graph with a fixed input size in pixels; None for any.
        layout: of its output.
    """
    return Model(
        graph=ModelFile("fake", (Path("fake.onnx"),)),
        task="detect",
        names={index: f"class{index}" for index in range(classes)},
        stride=32,
        imgsz_hw=hw or (64, 64),
        input=Shape(batch, hw),
        layout=layout,
        metadata={},
    )


def fake_rows(image: NDArray[np.uint8], classes: int) -> NDArray[np.float32]:
    """Return the detections of the fake network in one letterboxed image (H, W, 3) uint8.

    Every pixel counts: another image has other scores.

    Returns:
        (ROWS, 6) float32: x1, y1, x2, y2, score, class in canvas pixels, best first, no two overlapping, all scores
        above 0.5.
    """
    height, width = image.shape[:2]
    random = np.random.default_rng(zlib.crc32(image.tobytes()))
    left = np.arange(ROWS) * width / ROWS  # each box keeps to a strip of its own
    x1 = left + random.uniform(0.0, 0.3, ROWS) * width / ROWS
    x2 = left + random.uniform(0.5, 0.9, ROWS) * width / ROWS
    y1, y2 = random.uniform(0.0, 0.4, ROWS) * height, random.uniform(0.6, 1.0, ROWS) * height
    scores = np.sort(random.uniform(0.51, 1.0, ROWS))[::-1]
    return np.stack([x1, y1, x2, y2, scores, random.integers(0, classes, ROWS)], axis=1).astype(np.float32)


class FakeBackend:
    """A runtime whose outputs follow from the pixels (`fake_rows`), and which obeys a script.

    Thread safety: any number of threads.

    Attributes:
        lanes: contexts of the throughput profile, unless it is asked for a number of streams; the latency profile has
            one.
        batches: whether it keeps the bits of an image in batches, or says that it does not.
        compiled: names of the profiles, in the order of compilation.
        compilations: the profiles themselves, each with its precision.
        runs: that have begun, warm-ups included.
        shapes: of the batches that it got, filled up.
        users: runs at this moment.
        most_users: the most runs that there ever were at once.
    """

    name = "fake"
    device = "cpu"

    def __init__(
        self,
        lanes: int = 2,
        precisions: tuple[Precision, ...] = (Precision.FP32, Precision.BF16),
        batches: bool = True,
    ) -> None:
        """Create it with an empty script.

        Args:
            lanes: contexts of the throughput profile.
            precisions: that its machine offers; BF16 rounds the outputs to bfloat16.
            batches: whether it keeps the bits of an image in batches.
        """
        self.lanes = lanes
        self.batches = batches
        self.compiled: list[str] = []
        self.compilations: list[tuple[Profile, Precision]] = []
        self.runs = 0
        self.shapes: list[tuple[int, ...]] = []
        self.users = 0
        self.most_users = 0
        self._precisions = precisions
        self._lock = threading.Lock()  # guards the counts above and the scripts below
        self._run_steps: deque[Step] = deque()
        self._every_run: Step = None
        self._compile_steps: deque[Step] = deque()

    def script(self, *steps: Step) -> None:
        """Give the next runs a first step each, in the order in which they begin."""
        with self._lock:
            self._run_steps.extend(steps)

    def script_every(self, step: Step) -> None:
        """Give a first step to all runs that have none of their own."""
        with self._lock:
            self._every_run = step

    def script_compile(self, *steps: Step) -> None:
        """Give the next compilations a first step each."""
        with self._lock:
            self._compile_steps.extend(steps)

    def profiles(self, model: Model, threads: int, plan: Plan) -> tuple[Profile, ...]:
        """Describe the two profiles of a CPU. Raises InvalidOption."""
        return cpu_profiles(self, model, threads, plan)

    def compile(self, model: Model, profile: Profile, precision: Precision = Precision.FP32) -> FakeCompiled:
        """Take the script's step, and make a network."""
        with self._lock:
            self.compiled.append(profile.name)
            self.compilations.append((profile, precision))
            step = self._compile_steps.popleft() if self._compile_steps else None
        _take(step)
        offered = self.lanes if profile.streams is None else profile.streams + 1
        return FakeCompiled(self, model, 1 if profile.name == LATENCY else offered, precision)

    def keeps_bits_in_batches(self, model: Model) -> bool:
        """Return `batches`."""
        return self.batches

    def precisions(self) -> tuple[Precision, ...]:
        """Return the precisions that it was made with."""
        return self._precisions

    def guarantee(self, precision: Precision = Precision.FP32) -> Guarantee:
        """Promise the same bits: outputs are a function of each image alone."""
        return Guarantee(
            backend=self.name,
            version="0",
            device="cpu",
            precision=precision.value,
            bit_identical=True,
            tolerance=0.0,
            because="the outputs are a function of each image alone",
        )

    def execute(self, model: Model, batch: Batch) -> RawOutputs:
        """One run: count, take the script's step, answer with `fake_rows` in the form of the model's head."""
        classes, outputs = len(model.names), []
        with self.running(batch.shape):
            for image in batch:
                rows = fake_rows(image, classes)
                if model.layout is not Layout.END2END:
                    x1, y1, x2, y2, scores, cls = rows.T
                    xywh = np.stack([(x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1])
                    one_hot = np.where(np.arange(classes)[:, None] == cls, scores, np.float32(0))
                    rows = np.concatenate([xywh, one_hot]).astype(np.float32)
                outputs.append(rows)
            return (np.stack(outputs),)

    @contextmanager
    def running(self, shape: tuple[int, ...]) -> Iterator[None]:
        """Count a run while it lasts, and begin it with the script's step."""
        with self._lock:
            self.runs += 1
            self.shapes.append(shape)
            self.users += 1
            self.most_users = max(self.most_users, self.users)
            step = self._run_steps.popleft() if self._run_steps else self._every_run
        try:
            _take(step)
            yield
        finally:
            with self._lock:
                self.users -= 1


class FakeCompiled:
    """A network of the fake backend. Immutable: shared freely."""

    splits_sums = False

    def __init__(self, backend: FakeBackend, model: Model, lanes: int, precision: Precision = Precision.FP32) -> None:
        self._backend = backend
        self._model = model
        self._precision = precision
        self.lanes = lanes

    def context(self) -> FakeContext:
        """Return a new context."""
        return FakeContext(self._backend, self._model, self._precision)


class FakeContext(Context):
    """A context of the fake backend. Thread safety: one thread at a time (ContextBusy)."""

    def __init__(self, backend: FakeBackend, model: Model, precision: Precision = Precision.FP32) -> None:
        super().__init__(model)
        self._backend = backend
        self._model = model
        self._precision = precision

    def _execute(self, batch: Batch, lowest_score: float) -> RawOutputs:
        outputs = self._backend.execute(self._model, batch)
        if self._precision is Precision.FP32:
            return outputs
        rounded = []
        for values in outputs:  # to the nearest bfloat16: the upper half of the bits, ties to even
            whole = values.view(np.uint32)
            bits = whole + np.uint32(0x7FFF) + ((whole >> np.uint32(16)) & np.uint32(1))
            rounded.append((bits & np.uint32(0xFFFF0000)).view(np.float32))
        return tuple(rounded)


def barrier_run(threads: int, work: Callable[[int], T]) -> list[T]:
    """Call `work(0)`, `work(1)`, ... at the same moment, each in a thread of its own.

    Args:
        threads: how many.
        work: called with the number of the thread.

    Returns:
        The results, in that order.

    Raises:
        BaseException: the first error of any of them, once all have ended.
        TimeoutError: a thread does not end within PATIENCE_S.
    """
    group = ThreadGroup(threads, work, "race-")
    group.start()
    stuck = group.join(PATIENCE_S)
    if group.errors:
        raise group.errors[0]
    if stuck:
        raise TimeoutError(f"still running after {PATIENCE_S:.0f} seconds: {', '.join(stuck)}")
    return cast("list[T]", group.results)


@contextmanager
def shaken() -> Iterator[None]:
    """Let the interpreter switch threads a thousand times as often as usual, so that races show. Process-wide."""
    with switch_interval(1e-6):
        yield


def _take(step: Step) -> None:
    if isinstance(step, BaseException):
        raise step
    if step is not None:
        step()
