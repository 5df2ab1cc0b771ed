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
from dataclasses import dataclass, field

import numpy as np

from yoloom.errors import InvalidOption
from yoloom.formats.model import Model
from yoloom.runtime.plan import Plan
from yoloom.runtime.protocol import Backend, Batch, Compiled, Context, Precision
from yoloom.sync.clock import Clock, monotonic
from yoloom.values import counted

log = logging.getLogger("yoloom.plans")

Progress = Callable[[str], None]
"""Called with a few words about each round of turns."""

MARGIN = 0.03
"""How much faster than the default a plan must be: less is within the noise of short turns."""

SECONDS = 12.0
"""About how long a tuning takes."""

ROUNDS = 3
OVERRUN = 1.1
"""So many times the seconds may pass: what would take longer is not begun. The rest of 1.2 is for the last turn."""

LEAST_ROUNDS = 2
"""Rounds without which a run-off says nothing."""

WARM_UPS = 2
"""Runs of each lane before its turn counts: buffers may be of another size, and lanes fall into step."""

RUNS = 2
"""A turn is at least as long as so many runs."""

LARGEST_BATCH = 4
MOST_STREAMS = 6
"""Candidates for the number of streams, on machines with many CPUs."""


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


@dataclass
class _Entrant:
    """One plan that is tried, with its lanes, and the rates of its turns. Owned by the tuner's thread.

    ratios: each rate to the default's of the same round. is_proven: it was in the run-off, and these are its ratios.
    """

    plan: Plan
    streams: int
    contexts: list[Context]
    images: Batch
    rates: list[float] = field(default_factory=list)
    ratios: list[float] = field(default_factory=list)
    is_proven: bool = False

    def candidate(self) -> Candidate:
        """Sum up the turns."""
        rate, ratio = statistics.median(self.rates), statistics.median(self.ratios)
        return Candidate(self.plan, self.streams, len(self.contexts), len(self.images), rate, ratio)


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
        progress: Progress = lambda _words: None,
    ) -> None:
        self._model = model
        self._backend = backend
        self._threads = threads
        self._precision = precision
        self._seconds = seconds
        self._turn_s = 0.0
        self._clock = clock
        self._progress = progress
        self._started = clock()
        self._longest_turn_s = self._longest_extra_s = 0.0  # of the latter, what a turn took beyond `_turn_s`
        self._compiled: dict[int | None, Compiled] = {}  # by the streams that the plan asks for
        self._contexts: dict[int | None, list[Context]] = {}
        self._entrants: dict[Plan, _Entrant] = {}
        self._images = _images(model)

    def tune(self) -> Tuning:
        """Measure, and choose. Raises what the backend raises."""
        self._started = self._clock()
        default = self._entrant(Plan())
        expected = self._alone()
        best, is_measured = default, False
        for stage in Stage:
            plans_of_stage = self._next_plans(stage, best)
            # A run may take far longer than a turn: what is known by then must do, with time left for the run-off.
            if is_measured and not self._has_time(ROUNDS * (2 + len(plans_of_stage)) + 2 * LEAST_ROUNDS):
                break
            entrants = [self._entrant(plan) for plan in plans_of_stage]
            others = [entrant for entrant in entrants if self._has_bits(entrant, expected)]
            if others or not is_measured:
                plans = dict.fromkeys(entrant.plan for entrant in (default, best, *others))
                later = (
                    3 * ROUNDS * (list(Stage)[::-1].index(stage)) + 4 * ROUNDS
                )  # turns; most stages have three plans
                best = self._fastest(stage.value, [self._entrants[plan] for plan in plans], ROUNDS, later)
                is_measured = True
        if best is not default and self._has_time(2 * LEAST_ROUNDS):
            best.ratios.clear()  # it was the best of many, some of that by luck
            self._fastest("run-off", [default, best], 2 * ROUNDS)
            best.is_proven = True
        return self._chosen(best, default, self._clock() - self._started)

    def _has_time(self, turns: int) -> bool:
        """Whether so many more turns, as long as the longest one so far, end in time."""
        return self._clock() - self._started + turns * self._longest_turn_s <= OVERRUN * self._seconds

    def _entrant(self, plan: Plan) -> _Entrant:
        """Find the entrant of a plan, compiled when it is the first with so many streams."""
        if plan not in self._entrants:
            profile = self._backend.profiles(self._model, self._threads, plan)[-1]
            if plan.streams not in self._compiled:
                self._compiled[plan.streams] = self._backend.compile(self._model, profile, self._precision)
            compiled = self._compiled[plan.streams]
            contexts, lanes = self._contexts.setdefault(plan.streams, []), plan.lanes or compiled.lanes
            contexts.extend(compiled.context() for _ in range(lanes - len(contexts)))
            streams = plan.streams or max(1, compiled.lanes - 1)
            self._entrants[plan] = _Entrant(plan, streams, contexts[:lanes], self._images[: profile.max_batch])
        return self._entrants[plan]

    def _next_plans(self, stage: Stage, best: _Entrant) -> list[Plan]:
        """List the plans that a stage tries beside the best one so far."""
        if stage is Stage.STREAMS:
            default = len(self._entrant(Plan()).contexts) - 1
            return [Plan(streams) for streams in stream_candidates(self._threads) if streams != default]
        if stage is Stage.LANES:
            lanes = len(best.contexts)
            return [dataclasses.replace(best.plan, lanes=count) for count in (lanes - 1, lanes + 1) if count >= 1]
        if self._model.input.batch is not None:
            return []  # such a graph computes its whole batch in any case
        if stage is Stage.LARGER_BATCHES and best.plan.batch != 2:
            return []  # pairs have not won, so larger ones will not
        plan = dataclasses.replace(best.plan, batch=2 if stage is Stage.PAIRS else LARGEST_BATCH)
        try:
            self._backend.profiles(self._model, self._threads, plan)
        except InvalidOption:
            return []
        return [plan]

    def _alone(self) -> list[bytes]:
        """The bits of each image when it is the only one."""
        alone = self._backend.profiles(self._model, self._threads, Plan())[0]
        context = self._backend.compile(self._model, alone, self._precision).context()
        return [_bits(context.run(image[None]), 0) for image in self._images]

    def _has_bits(self, entrant: _Entrant, expected: Sequence[bytes]) -> bool:
        outputs = entrant.contexts[0].run(entrant.images)
        same = all(_bits(outputs, row) == expected[row] for row in range(len(entrant.images)))
        if not same:
            path = self._model.graph.path
            log.warning("%s: a plan with other bits than one image alone is left out: %s", path, entrant.plan)
        return same

    def _fastest(self, stage: str, entrants: Sequence[_Entrant], rounds: int, later: int = 0) -> _Entrant:
        """Give each a turn in each round, beginning with another one; the first of `entrants` is the default.

        There is one round whatever it takes, and another one where there is time for it. later: turns that come after
        these; the time that is left is shared with them.
        """
        left_s = self._seconds - (self._clock() - self._started)
        self._turn_s = max(0.0, left_s / (rounds * len(entrants) + later) - self._longest_extra_s)
        for number in range(rounds):
            if number and not self._has_time(len(entrants)):
                break
            passed = (self._clock() - self._started) / self._seconds
            self._progress(f"{stage}, round {number + 1} of {rounds}: {len(entrants)} plans, {passed:.0%} of the time")
            shift = number % len(entrants)
            order = [*entrants[shift:], *entrants[:shift]]
            found = {}
            for entrant in order:
                began = self._clock()
                found[entrant.plan] = self._turn(entrant)
                took = self._clock() - began
                self._longest_turn_s = max(self._longest_turn_s, took)
                self._longest_extra_s = max(self._longest_extra_s, took - self._turn_s)
            for entrant in order:
                entrant.rates.append(found[entrant.plan])
                entrant.ratios.append(found[entrant.plan] / found[entrants[0].plan])
        return max(entrants, key=lambda entrant: statistics.median(entrant.ratios))

    def _turn(self, entrant: _Entrant) -> float:
        """Images per second of all lanes together."""
        window = _Window(len(entrant.contexts), self._turn_s)

        def lane(context: Context) -> list[_Run]:
            runs: list[_Run] = []
            while not runs or runs[-1].ended < window.end:
                started = self._clock()
                context.run(entrant.images)
                runs.append(_Run(started, self._clock()))
                if len(runs) == WARM_UPS:
                    window.warm(runs[-1])
            return runs

        return window.rate(_in_threads(lane, entrant.contexts, window)) * len(entrant.images)

    def _chosen(self, best: _Entrant, default: _Entrant, seconds: float) -> Tuning:
        candidates = tuple(entrant.candidate() for entrant in self._entrants.values() if entrant.rates)
        winner, usual = best.candidate(), default.candidate()
        against = f"{usual.images_per_s:.1f} images/s of the default ({usual.words})"
        tried = f"{counted(len(candidates), 'plan')} in {seconds:.1f} s"
        lost = 1 if len(best.ratios) == 2 * ROUNDS else 0  # it may lose one of six rounds, and none of fewer
        if best.is_proven and winner.ratio > 1 + MARGIN and sorted(best.ratios)[lost] > 1:
            because = f"{winner.words}: {winner.ratio:.2f} times the {against}; {tried}"
            return Tuning(dataclasses.replace(best.plan, because=because), candidates, seconds)
        if best is not default and not best.is_proven:
            because = f"there was no time to compare {winner.words} twice with the {against}: ask for more seconds"
            return Tuning(dataclasses.replace(default.plan, because=f"{because}; {tried}"), candidates, seconds)
        others = [candidate for candidate in candidates if candidate.plan != default.plan]
        second = max(others, key=lambda candidate: candidate.ratio, default=None)
        beside = f", the best other had {second.ratio:.2f} times as many ({second.words})" if second else ""
        because = f"nothing beats the {against} by more than {MARGIN:.0%}{beside}; {tried}"
        return Tuning(dataclasses.replace(default.plan, because=because), candidates, seconds)


def stream_candidates(threads: int) -> list[int]:
    """Numbers of streams worth a try: all threads on one image, one thread for each, and powers of two between."""
    powers = [1 << exponent for exponent in range(threads.bit_length())]
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
