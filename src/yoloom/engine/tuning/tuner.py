"""Which plan is fastest on this machine: candidates take short turns, and the best must beat the default twice.

```
streams ─▶ lanes ─▶ batches of 2, then of 4 ─▶ run-off with the default
each: the best so far, its variations and the default, in turns that are interleaved over several rounds
```

A turn counts what happens in a window of time while all lanes are under way, a run by the part of it that lies in the
window: were it counted from a common start, lanes that only wait would seem to be the faster ones.

A rate is compared with the default's of the same round, so that what slows the machine for a while slows both. A plan
whose outputs differ from those of the form for one caller in a single bit is out.
"""

from __future__ import annotations

import dataclasses
import enum
import itertools
import logging
import math
import statistics
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from yoloom.errors import InvalidOption
from yoloom.formats.model import Model
from yoloom.runtime.plan import Plan
from yoloom.runtime.protocol import Backend, Batch, Compiled, Context, Precision, Profile
from yoloom.sync.clock import Clock, monotonic
from yoloom.values import counted

log = logging.getLogger("yoloom.plans")

MARGIN = 0.03
"""How much faster than the default a plan must be: less is within the noise of short turns."""

SECONDS = 12.0
"""About how long a tuning takes, for a network whose run is short against a turn."""

ROUNDS = 3
PATIENCE = 2
"""So many times the seconds may pass before the last stage begins."""

WARM_UPS = 2
"""Runs of each lane before its turn counts: buffers may be of another size, and lanes fall into step."""

RUNS = 2
"""A turn is at least as long as so many runs."""

LARGEST_BATCH = 4
MOST_STREAMS = 6
"""Candidates for the number of streams, on machines with many CPUs."""

_TURNS = 40
"""About how many turns there are in all."""


@dataclass(frozen=True)
class Candidate:
    """One plan, resolved, and how it did.

    Thread safety: any number of threads (immutable).

    Attributes:
        images_per_s: The median over its turns.
        ratio: To the default in the same rounds, the median.
    """

    plan: Plan
    streams: int
    lanes: int
    batch: int
    images_per_s: float
    ratio: float

    @property
    def words(self) -> str:
        """The plan in words, as reports print it."""
        return f"{counted(self.streams, 'stream')}, {counted(self.lanes, 'lane')}, batches of {self.batch}"


@dataclass(frozen=True)
class Tuning:
    """The plan that was chosen, and the candidates. seconds: how long it took.

    Thread safety: any number of threads (immutable).
    """

    plan: Plan
    candidates: tuple[Candidate, ...]
    seconds: float


class Stage(enum.Enum):
    """Steps of a tuning, in order: each varies one thing of the best plan so far."""

    STREAMS = "streams"
    LANES = "lanes"
    PAIRS = "pairs"
    LARGER_BATCHES = "larger batches"


class Tuner:
    """Measures plans of one model; nothing else should compute meanwhile.

    Thread safety: one thread at a time.
    """

    def __init__(
        self,
        model: Model,
        backend: Backend,
        threads: int,
        precision: Precision = Precision.FP32,
        seconds: float = SECONDS,
        clock: Clock = monotonic,
    ) -> None:
        self._model = model
        self._backend = backend
        self._threads = threads
        self._precision = precision
        self._seconds = seconds
        self._turn_s = seconds / _TURNS
        self._clock = clock
        self._compiled: dict[int | None, Compiled] = {}
        self._contexts: dict[int | None, list[Context]] = {}
        self._rates: dict[Plan, list[float]] = {}
        self._ratios: dict[Plan, list[float]] = {}
        self._images = _images(model)

    def tune(self) -> Tuning:
        """Measure, and choose. Raises what the backend raises."""
        started = self._clock()
        default = Plan()
        expected = self._alone()
        best = default
        for stage in Stage:
            if self._rates and self._clock() - started > PATIENCE * self._seconds:
                break  # a run takes far longer than a turn: what is known by now must do
            others = [plan for plan in self._next_plans(stage, best) if self._has_bits(plan, expected)]
            if others or not self._rates:
                best = self._fastest(list(dict.fromkeys([default, best, *others])), ROUNDS)
        if best != default:
            self._ratios[best].clear()  # it was the best of many, some of that by luck
            self._fastest([default, best], 2 * ROUNDS)
        return self._chosen(best, default, self._clock() - started)

    def _next_plans(self, stage: Stage, best: Plan) -> list[Plan]:
        """List the plans that a stage tries beside the best one so far."""
        if stage is Stage.STREAMS:
            default = self._lanes(Plan()) - 1
            return [Plan(streams) for streams in stream_candidates(self._threads) if streams != default]
        if stage is Stage.LANES:
            lanes = self._lanes(best)
            return [dataclasses.replace(best, lanes=count) for count in (lanes - 1, lanes + 1) if count >= 1]
        if self._model.input.batch is not None:
            return []  # such a graph computes its whole batch in any case
        if stage is Stage.LARGER_BATCHES and best.batch != 2:
            return []  # pairs have not won, so larger ones will not
        plan = dataclasses.replace(best, batch=2 if stage is Stage.PAIRS else LARGEST_BATCH)
        try:
            self._profile(plan)
        except InvalidOption:
            return []
        return [plan]

    def _alone(self) -> list[bytes]:
        """The bits of each image when it is the only one."""
        alone = self._backend.profiles(self._model, self._threads, Plan())[0]
        context = self._backend.compile(self._model, alone, self._precision).context()
        return [_bits(context.run(image[None]), 0) for image in self._images]

    def _has_bits(self, plan: Plan, expected: Sequence[bytes]) -> bool:
        outputs = self._places(plan)[0].run(self._batch(plan))
        same = all(_bits(outputs, row) == expected[row] for row in range(self._size(plan)))
        if not same:
            log.warning("%s: a plan with other bits than one image alone is left out: %s", self._model.graph.path, plan)
        return same

    def _fastest(self, plans: Sequence[Plan], rounds: int) -> Plan:
        """Give each plan a turn in each round, beginning with another one; the first of `plans` is the default."""
        for number in range(rounds):
            shift = number % len(plans)
            found = {plan: self._turn(plan) for plan in [*plans[shift:], *plans[:shift]]}
            for plan, rate in found.items():
                self._rates.setdefault(plan, []).append(rate)
                self._ratios.setdefault(plan, []).append(rate / found[plans[0]])
        return max(plans, key=lambda plan: statistics.median(self._ratios[plan]))

    def _turn(self, plan: Plan) -> float:
        """Images per second of all lanes together."""
        contexts, batch = self._places(plan), self._batch(plan)
        window = _Window(len(contexts), self._turn_s)
        runs = _in_threads(lambda context: self._runs(context, batch, window), contexts, window)
        return window.rate(runs) * len(batch)

    def _runs(self, context: Context, batch: Batch, window: _Window) -> list[_Run]:
        """Run one lane until the window is over."""
        runs: list[_Run] = []
        while not runs or runs[-1].ended < window.end:
            started = self._clock()
            context.run(batch)
            runs.append(_Run(started, self._clock()))
            if len(runs) == WARM_UPS:
                window.warm(runs[-1])
        return runs

    def _chosen(self, best: Plan, default: Plan, seconds: float) -> Tuning:
        candidates = tuple(self._candidate(plan) for plan in self._rates)
        winner, usual = self._candidate(best), self._candidate(default)
        against = f"{usual.images_per_s:.1f} images/s of the default ({usual.words})"
        tried = f"{counted(len(candidates), 'plan')} in turns of {self._turn_s:.2f} s"
        if winner.ratio > 1 + MARGIN and sorted(self._ratios[best])[1] > 1:  # of six rounds, it lost one at the most
            because = f"{winner.words}: {winner.ratio:.2f} times the {against}; {tried}"
            return Tuning(dataclasses.replace(best, because=because), candidates, seconds)
        others = [candidate for candidate in candidates if candidate.plan != default]
        second = max(others, key=lambda candidate: candidate.ratio, default=None)
        beside = f", the best other had {second.ratio:.2f} times as many ({second.words})" if second else ""
        because = f"nothing beats the {against} by more than {MARGIN:.0%}{beside}; {tried}"
        return Tuning(dataclasses.replace(default, because=because), candidates, seconds)

    def _candidate(self, plan: Plan) -> Candidate:
        return Candidate(
            plan,
            plan.streams or max(1, self._form(plan).lanes - 1),
            self._lanes(plan),
            self._size(plan),
            statistics.median(self._rates[plan]),
            statistics.median(self._ratios[plan]),
        )

    def _lanes(self, plan: Plan) -> int:
        return plan.lanes or self._form(plan).lanes

    def _size(self, plan: Plan) -> int:
        return self._profile(plan).max_batch

    def _batch(self, plan: Plan) -> Batch:
        return self._images[: self._size(plan)]

    def _profile(self, plan: Plan) -> Profile:
        return self._backend.profiles(self._model, self._threads, plan)[-1]

    def _form(self, plan: Plan) -> Compiled:
        if plan.streams not in self._compiled:
            profile = self._profile(plan)
            self._compiled[plan.streams] = self._backend.compile(self._model, profile, self._precision)
        return self._compiled[plan.streams]

    def _places(self, plan: Plan) -> list[Context]:
        contexts, count = self._contexts.setdefault(plan.streams, []), self._lanes(plan)
        contexts.extend(self._form(plan).context() for _ in range(count - len(contexts)))
        return contexts[:count]


def stream_candidates(threads: int) -> list[int]:
    """Numbers of streams worth a try: all threads on one image, one thread for each, and powers of two between."""
    powers = [1 << exponent for exponent in range(threads.bit_length()) if 1 << exponent <= threads]
    return sorted({1, *powers[-MOST_STREAMS:], threads})


def _images(model: Model) -> Batch:
    """Different images, as large as the model was made for."""
    count = max(LARGEST_BATCH, model.input.batch or 1)
    return np.random.default_rng(0).integers(0, 256, (count, *(model.input.hw or model.imgsz_hw), 3), np.uint8)


def _bits(outputs: Sequence[np.ndarray[tuple[int, ...], np.dtype[np.float32]]], row: int) -> bytes:
    return b"".join(output[row].tobytes() for output in outputs)


@dataclass(frozen=True)
class _Run:
    """When a run began and ended, in seconds. Immutable: shared freely."""

    started: float
    ended: float


class _Window:
    """The time that counts: it begins when every lane has warmed up. Shared freely by the lanes of a turn."""

    def __init__(self, lanes: int, seconds: float) -> None:
        self._seconds = seconds
        self._lock = threading.Lock()  # guards what follows
        self._cold = lanes
        self._longest = 0.0
        self.begin = self.end = math.inf

    def warm(self, run: _Run) -> None:
        """A lane has warmed up with this run, and goes on."""
        with self._lock:
            self._cold -= 1
            self._longest = max(self._longest, run.ended - run.started)
            if not self._cold:
                self.begin = run.ended
                self.end = self.begin + max(self._seconds, RUNS * self._longest)

    def abandon(self) -> None:
        """A lane has failed: the others end with their run."""
        with self._lock:
            self._cold = -1
            self.end = -math.inf

    def rate(self, lanes: Sequence[Sequence[_Run]]) -> float:
        """Runs per second in the window, of all lanes."""
        runs = 0.0
        for run in itertools.chain(*lanes):
            inside = min(run.ended, self.end) - max(run.started, self.begin)  # its part that lies in the window
            runs += max(inside, 0.0) / max(run.ended - run.started, 1e-9)
        return runs / (self.end - self.begin)


def _in_threads(
    lane: Callable[[Context], list[_Run]], contexts: Sequence[Context], window: _Window
) -> list[list[_Run]]:
    """Run the work of each lane, all at once. Raises the first error of any; a lane that fails ends the others."""
    runs, errors = [list[_Run]() for _ in contexts], list[Exception]()

    def work(number: int) -> None:
        try:
            runs[number] = lane(contexts[number])
        except Exception as error:  # noqa: BLE001  raised below
            errors.append(error)
            window.abandon()

    threads = [
        threading.Thread(target=work, args=(number,), name=f"yoloom-tune-{number}", daemon=True)
        for number in range(len(contexts))
    ]
    try:
        for thread in threads:
            thread.start()
    except RuntimeError:
        window.abandon()  # the system gives no more threads
        raise
    finally:
        for thread in threads:
            if thread.ident:
                thread.join()
    if errors:
        raise errors[0]
    return runs
