"""Runs a check: everything from the pictures to the report.

```
pictures ─▶ cases ─▶ baseline ─▶ lap 1: 1, 2, 8, 64 callers ─▶ rest ─▶ lap 2 ─▶ ... ─▶ findings ─▶ report
            seed     references   threads, then tasks          memory
```
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any

from yoloom.errors import InvalidOption
from yoloom.system.machine import describe_machine
from yoloom.telemetry.histogram import Histogram
from yoloom.values import counted
from yoloom.verify.answer_check import AnswerCheck
from yoloom.verify.baseline import Baseline, run_baseline
from yoloom.verify.caller import Caller, request_kinds
from yoloom.verify.cases import FoundPictures, draw_cases, find_pictures, most_pictures
from yoloom.verify.check_settings import CASES, SECONDS, THREADS, CheckSettings, parse_settings
from yoloom.verify.crowd import Crowd, Hang
from yoloom.verify.in_flight import InFlight
from yoloom.verify.journal import Journal
from yoloom.verify.leaks import LEAST_LAPS, Leak, MemorySamples, Resources, at_rest, confirmed, find_leaks
from yoloom.verify.reference import References
from yoloom.verify.report import Report
from yoloom.verify.report_data import CrowdRun, LevelTally, Memory
from yoloom.verify.schedule import TimeBudget, steps
from yoloom.verify.target import Target, target_of
from yoloom.verify.verdict import Evidence, Verdict, find

Progress = Callable[[str], None]
"""Gets a few words about each thing that begins."""

OVERRUN = 1.5
"""Times the given seconds, from which on the report explains why it took longer."""


def check(
    model: Any,
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
    say: Progress | None = None,
) -> Report:
    """Compare the answers that many callers get from a shared model with those of calls one after the other.

    Nothing is raised for what the model does wrong: the report says it. One call at a time in a process: it changes
    the interpreter's switch interval meanwhile.

    Args:
        model: a `YOLO`, or any callable `predict(image, **options)`, see `target_of`. It stays open.
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
        say: called with a few words about each thing that begins.

    Returns:
        A report, with its `verdict` and `findings`.

    Raises:
        InputError: an argument is wrong, or a picture can not be read.
        InvalidTarget: the model can not be called, or its answers can not be compared.
        TargetFailed: the model has no answer for any case.
    """
    settings = parse_settings(threads, asyncio, seconds, rounds, seed, tolerance, hang_after, cases)
    target = target_of(model)
    if asyncio and target.predict_async is None:
        raise InvalidOption(f"asyncio needs a target with predict_async, and {target.name} has none.")
    found = find_pictures(images, most_pictures(target.options, settings.cases), settings.seed)
    return Check(target, settings, found, say or (lambda _words: None)).run()


class Check:
    """One check on its way. Thread safety: owned by one thread, which runs it once."""

    def __init__(self, target: Target, settings: CheckSettings, found: FoundPictures, progress: Progress) -> None:
        """Draw the cases.

        Args:
            target: to check.
            settings: how to check it.
            found: the pictures.
            progress: gets a few words about each thing that begins.
        """
        self._target = target
        self._settings = settings
        self._progress = progress
        self._cases = draw_cases(found.pictures, target.options, settings.cases, settings.seed)
        self._pictures = found.pictures
        self._left_out = found.left_out
        self._digests = [picture.digest() for picture in self._pictures]
        self._tolerance = target.tolerance if settings.tolerance is None else settings.tolerance
        self._journal = Journal()
        self._samples = MemorySamples()
        self._rests: list[Resources] = []
        self._leaks: list[Leak] = []
        self._tallies = {level: LevelTally() for level in settings.levels}
        self._sequential = 0  # requests of the baseline
        self._at_once_s = 0.0
        self._ran_again = False  # because something seemed to leak
        self._started = time.perf_counter()

    def run(self) -> Report:
        """Run the baseline and, where that is steady, the laps of concurrent callers."""
        self._progress(f"{len(self._cases)} cases one after the other, twice")
        hang_after_s = self._settings.hang_after_s()
        baseline = run_baseline(self._target, self._cases, self._tolerance, hang_after_s, self._journal, self._samples)
        references = References(self._cases, baseline.expected, self._tolerance) if baseline.expected else None
        self._sequential = self._journal.read().requests
        hang = baseline.hang
        if references is not None and baseline.unsteady is None:
            began = time.perf_counter()
            laps, slowest_s = self._settings.laps(baseline.mean_s), baseline.slowest_s
            self._rest()
            hang = self._run_laps(range(laps), f"lap {{}} of {laps}", references, slowest_s)
            suspected = find_leaks(self._rests[1:])
            if suspected and hang is None:  # as many laps again, where something seems to leak
                self._ran_again = True
                words = f"lap {{}}: does {suspected[0].what} go on growing?"
                hang = self._run_laps(range(laps, 2 * laps), words, references, slowest_s)
                self._leaks = confirmed(suspected, find_leaks(self._rests[laps:]))
            self._at_once_s = time.perf_counter() - began
        return self._report(0 if references is None else references.distinct, baseline, hang)

    def _run_laps(self, laps: range, words: str, references: References, slowest_s: float) -> Hang | None:
        """Run as many of these laps as there is time for; the first of all whatever it takes."""
        seconds = None if self._settings.rounds else self._settings.seconds
        budget = TimeBudget(seconds, len(laps) * len(self._settings.levels))
        for lap in laps:
            self._progress(words.format(lap + 1))
            for mode, callers in self._settings.levels:
                if lap and budget.is_used_up:
                    return None
                hang_after_s = self._settings.hang_after_s(callers, slowest_s)
                hang = self._run_level(mode, callers, lap, budget.next_s(), references, hang_after_s)
                if hang is not None:
                    return hang
            self._rest()
        return None

    def _run_level(
        self, mode: str, callers: int, lap: int, seconds: float | None, references: References, hang_after_s: float
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
            caller = Caller(number, self._target, self._cases, handler, in_flight, self._journal, Histogram())
            plans.append((caller, islice(steps(seed, number, len(self._cases), kinds), each)))
        shaken = lap % 2 == 0
        crowd = Crowd(place, plans, in_flight, hang_after_s, seconds, shaken=shaken, as_tasks=mode == "asyncio")
        before = self._journal.read()
        hang = crowd.run(self._samples)
        after = self._journal.read()
        latencies = Histogram()
        for caller, _ in plans:
            latencies.merge(caller.latencies)
        run = CrowdRun(
            after.requests - before.requests,
            after.answers - before.answers,
            after.mismatches - before.mismatches,
            after.raised - before.raised,
            crowd.elapsed_s,
            latencies,
        )
        self._tallies[mode, callers].add(run, shaken)
        return hang

    def _rest(self) -> None:
        self._rests.append(at_rest(self._journal.read().requests))

    def _report(self, distinct: int, baseline: Baseline, hang: Hang | None) -> Report:
        entries = self._journal.read()
        laps, leaks, unsteady = tuple(self._rests), tuple(self._leaks), baseline.unsteady
        concurrent = entries.requests - self._sequential
        pictures = zip(self._pictures, self._digests, strict=True)
        written = tuple(picture.name for picture, before in pictures if picture.digest() != before)
        findings = find(Evidence(entries, concurrent, len(self._cases), distinct, hang, unsteady, written, leaks))
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
            levels=tuple(tally.level(*level) for level, tally in self._tallies.items() if tally.requests),
            memory=Memory(laps, self._samples.read(), leaks, len(laps) > LEAST_LAPS),
            pictures=len(self._pictures),
            cases=len(self._cases),
            distinct=distinct,
            tolerance=self._tolerance,
            laps=max(0, len(laps) - 1),
            seed=self._settings.seed,
            seconds=round(time.perf_counter() - self._started, 3),
            seconds_at_once=round(self._at_once_s, 3),
            machine=describe_machine(),
            facts=self._target.facts,
            notes=tuple(self._notes()),
        )

    def _notes(self) -> list[str]:
        notes = []
        if self._left_out:
            notes.append(f"{self._left_out} more pictures were left out: ask with more cases.")
        most = max(self._settings.threads)
        if len(self._cases) < most:
            cases, pictures = counted(len(self._cases), "case"), counted(len(self._pictures), "picture")
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
