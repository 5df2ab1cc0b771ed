"""Runs a check: everything from the pictures to the report.

```
pictures ─▶ cases ─▶ first calls ─▶ baseline ─▶ lap 1: a new size, 1, 2, 8, 64 callers ─▶ rest ─▶ lap 2 ─▶ ... ─▶ report
            seed     at once        references   threads, then tasks                    memory
```
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any

from yoloom.errors import InvalidOption
from yoloom.system.machine import describe_machine
from yoloom.values import counted
from yoloom.verify.answer import Answer
from yoloom.verify.answer_check import AnswerCheck
from yoloom.verify.baseline import Baseline, run_baseline
from yoloom.verify.caller import Caller, request_kinds
from yoloom.verify.cases import FoundPictures, NewSizes, combine, draw_option_sets, find_pictures, most_pictures
from yoloom.verify.check_settings import CASES, SECONDS, THREADS, CheckSettings, parse_settings
from yoloom.verify.crowd import Crowd, Hang
from yoloom.verify.first_calls import (
    CALL_S,
    CALLERS,
    INSTANCES_IN_ROUNDS,
    MOST_INSTANCES,
    SHARE,
    first_orders,
    new_size_cases,
)
from yoloom.verify.in_flight import InFlight
from yoloom.verify.journal import Journal
from yoloom.verify.leaks import LEAST_LAPS, Leak, MemorySamples, Resources, at_rest, confirmed, find_leaks
from yoloom.verify.pace import LEAST_LATE, Late
from yoloom.verify.recorded_crowd import RecordedCrowd
from yoloom.verify.reference import References
from yoloom.verify.report import Report
from yoloom.verify.report_data import CrowdRun, LevelTally, Memory
from yoloom.verify.schedule import TimeBudget, seconds_at_once, steps
from yoloom.verify.target import Target, target_of
from yoloom.verify.untried import find_untried
from yoloom.verify.verdict import Evidence, Verdict, find

Progress = Callable[[str], None]
"""Gets a few words about each thing that begins."""

OVERRUN = 1.5
"""Times the given seconds, from which on the report explains why it took longer."""


def check(
    model: Any = None,
    images: Any = None,
    *,
    threads: int | Sequence[int] = THREADS,
    asyncio: bool = False,
    seconds: float = SECONDS,
    rounds: int | None = None,
    seed: int = 0,
    tolerance: float | None = None,
    hang_after: float | None = None,
    cases: int = CASES,
    fresh: Callable[[], Any] | None = None,
    say: Progress | None = None,
) -> Report:
    """Compare the answers that many callers get from a shared model with those of calls one after the other.

    Nothing is raised for what the model does wrong: the report says it. One call at a time in a process: it changes
    the interpreter's switch interval meanwhile.

    Args:
        model: a `YOLO`, or any callable `predict(image, **options)`, see `target_of`. It stays open. It can be left out
            where `fresh` makes one.
        images: paths, folders, patterns or arrays (H, W, 3) uint8 BGR; None for the bundled pictures.
        threads: callers at once, each number in turn.
        asyncio: whether as many tasks ask too, through `predict_async`.
        seconds: for all concurrent runs together. In the first lap each caller asks at least once, however long that
            takes, and requests under way are waited for; where something seems to leak, as many seconds again. The
            report says how long it took.
        rounds: so many laps with every case about once, in place of `seconds`, for the same requests on every machine.
        seed: of cases, order, pauses and cancellations.
        tolerance: the most that |a - b| / max(1, |b|) may be, 0 for bit for bit; by default the promise of a `YOLO`,
            and 0 for others.
        hang_after: seconds that one request may take; by default 30 or, for slow models, as many as the queue needs.
        cases: how many different ones, of picture and options.
        fresh: makes another instance of the model, which nobody has asked yet and which shares nothing with those that
            it made before: these are not used any more. Several are asked by many callers at once for the first time.
            Without it, the first calls are those of `model`.
        say: called with a few words about each thing that begins.

    Returns:
        A report, with its `verdict` and `findings`.

    Raises:
        InputError: an argument is wrong, or a picture can not be read.
        InvalidTarget: the model can not be called, or its answers can not be compared.
        TargetFailed: the model has no answer for any case.
    """
    settings = parse_settings(threads, asyncio, seconds, rounds, seed, tolerance, hang_after, cases)
    first = target_of(model if fresh is None else fresh())
    if asyncio and first.predict_async is None:
        raise InvalidOption(f"asyncio needs a target with predict_async, and {first.name} has none.")
    found = find_pictures(images, most_pictures(first.options, settings.cases), settings.seed)
    run = Check(first, settings, found, say or (lambda _words: None))
    del first  # it may be large, and is soon replaced by the next instance
    return run.run(fresh, None if model is None else target_of(model))


class Check:
    """One check on its way. Thread safety: owned by one thread, which runs it once."""

    def __init__(self, target: Target, settings: CheckSettings, found: FoundPictures, progress: Progress) -> None:
        """Draw the cases.

        Args:
            target: to check, or an instance like it.
            settings: how to check it.
            found: the pictures.
            progress: gets a few words about each thing that begins.
        """
        self._target = target
        self._settings = settings
        self._progress = progress
        self._found = found
        self._pictures = found.pictures
        self._option_sets = draw_option_sets(
            target.options, max(1, settings.cases // len(self._pictures)), settings.seed
        )
        self._cases = combine(self._pictures, self._option_sets)
        self._digests = [picture.digest() for picture in self._pictures]
        self._sizes = NewSizes([*found.cropped, *found.whole], f"{settings.seed}/new sizes")
        self._tolerance = target.tolerance if settings.tolerance is None else settings.tolerance
        self._first_callers = min(CALLERS, max(settings.threads))
        self._journal = Journal()
        self._samples = MemorySamples()
        self._baseline = Baseline()
        self._rests: list[Resources] = []
        self._leaks: list[Leak] = []
        self._late: list[Late] = []
        self._tallies = {level: LevelTally() for level in settings.levels}
        self._instances = 0  # that were asked for the first time by many
        self._new_sizes = 0
        self._sequential = 0  # requests without any other
        self._at_once_s = 0.0
        self._ran_again = False  # because something seemed to leak
        self._started = time.perf_counter()

    def run(self, fresh: Callable[[], Any] | None, model: Target | None) -> Report:
        """Ask for the first time, alone and, where the answers are the same each time, in laps of concurrent callers.

        Args:
            fresh: makes another instance.
            model: to check after the first calls; None for one that `fresh` makes.
        """
        first: list[RecordedCrowd] = []
        hang = self._ask_first(fresh, first) if self._first_callers > 1 else None
        if hang is None:
            if fresh is not None:
                self._target = target_of(fresh()) if model is None else model
            self._progress(f"{len(self._cases)} cases one after the other, twice")
            hang_after_s = self._settings.hang_after_s()
            self._baseline = baseline = run_baseline(
                self._target, self._cases, self._tolerance, hang_after_s, self._journal, self._samples
            )
            self._sequential = self._journal.read().requests
            hang = baseline.hang
            if hang is None and baseline.unsteady is None:
                references = References(self._cases, baseline.expected, self._tolerance)
                for crowd in first:
                    crowd.judge(references)
                first.clear()
                hang = self._run_all_laps(references)
        return self._report(hang)

    def _ask_first(self, fresh: Callable[[], Any] | None, crowds: list[RecordedCrowd]) -> Hang | None:
        """Let callers ask instances for the first time; their answers are compared when the right ones are known."""
        is_timed = self._settings.rounds is None
        most = MOST_INSTANCES if is_timed else INSTANCES_IN_ROUNDS
        limit_s = SHARE * self._settings.seconds
        began = time.perf_counter()
        while True:
            self._progress(f"first calls of instance {self._instances + 1}, {self._first_callers} at once")
            orders = first_orders(self._cases, self._first_callers, self._instances, self._settings.seed)
            place = f"{self._first_callers} threads, first calls of instance {self._instances + 1}"
            crowd = RecordedCrowd(place, self._target, self._cases, orders, self._journal)
            crowds.append(crowd)
            hang_after_s = self._settings.hang_after_s(self._first_callers, CALL_S)
            shaken = self._instances % 4 < 3
            hang = crowd.run(hang_after_s, self._samples, limit_s / most if is_timed else None, shaken)
            self._instances += 1
            each_s = (time.perf_counter() - began) / self._instances
            enough = self._instances >= most or (is_timed and (self._instances + 1) * each_s > limit_s)
            if hang is not None or fresh is None or enough:
                return hang
            before = self._target.predict
            self._target = target_of(fresh())
            if self._target.predict == before:  # one object for all
                return None

    def _run_all_laps(self, references: References) -> Hang | None:
        """Run the laps, and as many again where something seems to leak."""
        began = time.perf_counter()
        laps = self._settings.laps(self._baseline.usual_s)
        seconds = None if self._settings.rounds else seconds_at_once(self._settings.seconds, began - self._started)
        self._rest()
        hang = self._run_laps(range(laps), f"lap {{}} of {laps}", references, seconds)
        suspected = find_leaks(self._rests[1:])
        if suspected and hang is None:
            self._ran_again = True
            words = f"lap {{}}: does {suspected[0].what} go on growing?"
            hang = self._run_laps(range(laps, 2 * laps), words, references, seconds)
            self._leaks = confirmed(suspected, find_leaks(self._rests[laps:]))
        self._at_once_s = time.perf_counter() - began
        return hang

    def _run_laps(self, laps: range, words: str, references: References, seconds: float | None) -> Hang | None:
        """Run as many of these laps as there is time for; the first of all whatever it takes."""
        budget = TimeBudget(seconds, len(laps) * len(self._settings.levels))
        for lap in laps:
            self._progress(words.format(lap + 1))
            hang = self._ask_new_size(lap, len(laps))
            if hang is not None:
                return hang
            for mode, callers in self._settings.levels:
                if lap and budget.is_used_up:
                    return None
                hang = self._run_level(mode, callers, lap, budget.next_s(), references)
                if hang is not None:
                    return hang
            self._rest()
        return None

    def _ask_new_size(self, lap: int, laps: int) -> Hang | None:
        """Let callers ask at once about a size that is new to the target, and compare with what it says alone."""
        callers = self._first_callers
        if self._settings.rounds is None:
            share_s = SHARE * self._settings.seconds / laps
            callers = min(callers, int(share_s / (2 * max(self._baseline.usual_s, 1e-9))))
        if callers < 2:
            return None
        cases = new_size_cases(self._sizes, self._option_sets, callers, same=lap % 3 != 2)
        height, width = cases[0].picture.pixels.shape[:2]
        place = f"{callers} threads, a new size of {height} x {width}, lap {lap + 1}"
        orders = [[caller % len(cases)] for caller in range(callers)]
        crowd = RecordedCrowd(place, self._target, cases, orders, self._journal)
        hang_after_s = self._settings.hang_after_s(callers, self._baseline.slowest_s)
        hang = crowd.run(hang_after_s, self._samples, shaken=lap % 2 == 0)
        if hang is None:
            alone = RecordedCrowd(f"{place}, alone", self._target, cases, [range(len(cases))], self._journal)
            hang = alone.run(hang_after_s, self._samples)
            if hang is None:
                self._new_sizes += 1
                self._sequential += len(cases)
                crowd.judge(References(cases, alone.expected(), self._tolerance))
        return hang

    def _run_level(
        self, mode: str, callers: int, lap: int, seconds: float | None, references: References
    ) -> Hang | None:
        """Run one crowd: endlessly until its time is up, or for about as many requests as there are cases."""
        place = f"{callers} {'threads' if mode == 'threads' else 'tasks'}, lap {lap + 1}"
        seed = f"{self._settings.seed}/{mode}/{callers}/{lap}"
        kinds = request_kinds(self._target, mode)
        each = -(-len(self._cases) // callers) if self._settings.rounds else None
        in_flight = InFlight()
        plans = []
        for number in range(callers):
            handler = AnswerCheck(number, place, references, in_flight, self._journal)
            caller = Caller(number, self._target, self._cases, handler, in_flight, self._journal)
            endless = steps(seed, number, len(self._cases), kinds, len(self._option_sets))
            plans.append((caller, islice(endless, each)))
        shaken = lap % 2 == 0
        hang_after_s = self._settings.hang_after_s(callers, self._baseline.slowest_s)
        crowd = Crowd(place, plans, in_flight, hang_after_s, seconds, shaken=shaken, as_tasks=mode == "asyncio")
        before = self._journal.read()
        hang = crowd.run(self._samples)
        after = self._journal.read()
        run = CrowdRun(
            after.requests - before.requests,
            after.answers - before.answers,
            after.mismatches - before.mismatches,
            after.raised - before.raised,
            crowd.elapsed_s,
            crowd.latencies(),
        )
        self._tallies[mode, callers].add(run, shaken)
        if lap and hang is None:  # the first lap warms up
            self._late += crowd.late_answers(self._baseline.slowest_case_s)
        return hang

    def _rest(self) -> None:
        self._rests.append(at_rest(self._journal.read().requests))

    def _report(self, hang: Hang | None) -> Report:
        entries, unsteady = self._journal.read(), self._baseline.unsteady
        references = self._baseline.expected
        distinct = len({answer.digest for answer in references if isinstance(answer, Answer)})
        concurrent = entries.requests - self._sequential
        pictures = zip(self._pictures, self._digests, strict=True)
        evidence = Evidence(
            entries,
            concurrent,
            len(self._cases),
            distinct,
            hang,
            unsteady,
            written=tuple(picture.name for picture, before in pictures if picture.digest() != before),
            leaks=tuple(self._leaks),
            late=tuple(self._late) if len(self._late) >= LEAST_LATE else (),
        )
        findings = find(evidence)
        laps = max(0, len(self._rests) - 1)
        judged = laps >= LEAST_LAPS
        return Report(
            target=self._target.name,
            verdict=findings[0].verdict if findings else Verdict.PASS,
            findings=findings,
            requests=entries.requests,
            concurrent=concurrent,
            cancelled=entries.cancelled,
            expired=entries.expired,
            mismatches=entries.mismatches,
            faults={fault.value: count for fault, count in entries.faults.items()},
            shown=entries.shown if unsteady is None else (unsteady.first, *entries.shown),
            exceptions=entries.failures,
            hang=hang,
            late=evidence.late,
            levels=tuple(tally.level(*level) for level, tally in self._tallies.items() if tally.requests),
            memory=Memory(tuple(self._rests), self._samples.read(), evidence.leaks, judged),
            pictures=len(self._found.whole),
            crops=len(self._found.cropped),
            cases=len(self._cases),
            distinct=distinct,
            tolerance=self._tolerance,
            instances=self._instances,
            new_sizes=self._new_sizes,
            laps=laps,
            seed=self._settings.seed,
            seconds=round(time.perf_counter() - self._started, 3),
            seconds_at_once=round(self._at_once_s, 3),
            machine=describe_machine(),
            facts=self._target.facts,
            notes=tuple(self._notes()),
            untried=tuple(find_untried(self._target, self._settings, self._instances, self._new_sizes, laps, judged)),
        )

    def _notes(self) -> list[str]:
        notes = []
        if self._found.left_out:
            notes.append(f"{self._found.left_out} more pictures were left out: ask with more cases.")
        most = max(self._settings.threads)
        if len(self._cases) < most:
            cases, pictures = counted(len(self._cases), "case"), counted(len(self._found.whole), "picture")
            notes.append(f"{most} callers share {cases} of {pictures}.")
        if not self._settings.rounds and self._at_once_s > OVERRUN * self._settings.seconds:
            reason = (
                "to see whether it goes on growing"
                if self._ran_again
                else "because each caller asks at least once at each concurrency; fewer threads take less"
            )
            notes.append(
                f"the runs at once took {self._at_once_s:.0f} s instead of {self._settings.seconds:g}, {reason}."
            )
        if not self._target.options:
            notes.append("the target takes no options: only pictures can be mixed up.")
        return notes
