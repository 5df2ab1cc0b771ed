"""`check`: everything from the pictures to the report.

```
pictures ─▶ cases ─▶ rehearsal ─▶ lap 1: 1, 2, 8, 64 callers ─▶ rest ─▶ lap 2 ─▶ ... ─▶ findings ─▶ report
            seed     references    threads, then tasks          memory
```
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any

from yoloom.errors import InvalidOption
from yoloom.system.machine import describe_machine
from yoloom.telemetry.latencies import Latencies, merged
from yoloom.values import counted
from yoloom.verify.allowance import Allowance
from yoloom.verify.answer_check import Examiner
from yoloom.verify.baseline import Rehearsal, rehearse
from yoloom.verify.caller import Caller
from yoloom.verify.cases import draw_cases, most_pictures
from yoloom.verify.crowd import Crowd, Hang, Plan
from yoloom.verify.in_flight import InFlight
from yoloom.verify.journal import Entries, Journal
from yoloom.verify.leaks import LEAST_LAPS, Leak, confirmed, find_leaks
from yoloom.verify.pictures import Found, find_pictures
from yoloom.verify.reference import References
from yoloom.verify.report import Memory, Report
from yoloom.verify.resources import Resources, at_rest
from yoloom.verify.samples import Samples
from yoloom.verify.schedule import Act, steps
from yoloom.verify.settings import CASES, SECONDS, THREADS, Settings, parse_settings
from yoloom.verify.tally import LevelTally, Run
from yoloom.verify.target import Target, target_of
from yoloom.verify.verdict import Evidence, Verdict, find

Say = Callable[[str], None]

OVERRUN = 1.5
"""So many times what was asked for is told."""


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
    say: Say | None = None,
) -> Report:
    """Ask `model` one after the other, then by many at once, and compare every answer. Nothing is raised for what it
    does wrong: the report says it.

    model: a `YOLO`, or any callable `predict(image, **options)`, see `target_of`. It stays open. images: paths,
    folders, patterns or arrays (H, W, 3) uint8 BGR; bundled scenes for None. threads: how many callers at once, each
    number in turn. asyncio: as many tasks too, through `predict_async`. seconds: for all concurrent runs together. In
    the first lap each caller asks at least once, however long that takes, and requests under way are waited for; where
    something seems to leak, as many seconds again. The report says what it took. rounds: so many laps with every case
    about once instead, for the same requests on every machine. seed: of cases, order, pauses and cancellations.
    tolerance: the most that |a - b| / max(1, |b|) may be, 0 for bit for bit; by default what a `YOLO` promises, and 0
    for others. hang_after: seconds that one request may take; by default 30 or, for slow models, what the queue allows
    for. cases: how many different questions. say: told what is going on, in a few words.

    One call at a time in a process: it changes the interpreter's switch interval meanwhile. Raises InputError for
    wrong arguments, InvalidTarget or TargetFailed for a model that gives no answers at all.
    """
    settings = parse_settings(threads, asyncio, seconds, rounds, seed, tolerance, hang_after, cases)
    target = target_of(model)
    if asyncio and target.predict_async is None:
        raise InvalidOption(f"asyncio needs a target with predict_async, which {target.name} has not.")
    found = find_pictures(images, most_pictures(target.options, settings.cases), settings.seed)
    return Check(target, settings, found, say or _silent).run()


@dataclass(frozen=True)
class Place:
    """What the callers of one crowd share. Immutable."""

    name: str
    references: References
    board: InFlight


class Check:
    """One check on its way. One thread, once."""

    def __init__(self, target: Target, settings: Settings, found: Found, say: Say) -> None:
        self._target = target
        self._settings = settings
        self._say = say
        self._cases = draw_cases(found.pictures, target.options, settings.cases, settings.seed)
        self._pictures = found.pictures
        self._left_out = found.left_out
        self._digests = [picture.digest() for picture in self._pictures]
        self._tolerance = target.tolerance if settings.tolerance is None else settings.tolerance
        self._journal = Journal()
        self._samples = Samples()
        self._rests: list[Resources] = []
        self._leaks: list[Leak] = []
        self._tally = {level: LevelTally() for level in settings.levels}
        self._alone = 0  # requests of the sequential run
        self._at_once_s = 0.0
        self._ran_again = False  # because something seemed to leak
        self._started = time.perf_counter()

    def run(self) -> Report:
        self._say(f"{len(self._cases)} cases one after the other, twice")
        patience_s = self._settings.patience_s()
        rehearsal = rehearse(self._target, self._cases, self._tolerance, patience_s, self._journal, self._samples)
        references = References(self._cases, rehearsal.expected, self._tolerance) if rehearsal.expected else None
        self._alone = self._journal.read().requests
        hang = rehearsal.hang
        if references is not None and rehearsal.unsteady is None:
            hang = self._run_laps(references, rehearsal)
        return self._report(references, rehearsal, hang)

    def _run_laps(self, references: References, rehearsal: Rehearsal) -> Hang | None:
        began = time.perf_counter()
        laps = self._settings.laps(rehearsal.mean_s)
        run_laps = partial(self._run_some, references=references, slowest_s=rehearsal.slowest_s)
        self._rest()
        hang = run_laps(range(laps), f"lap {{}} of {laps}")
        suspected = find_leaks(self._rests[1:])
        if suspected and hang is None:
            self._ran_again = True
            hang = run_laps(range(laps, 2 * laps), f"lap {{}}: does {suspected[0].what} go on growing?")
            self._leaks = confirmed(suspected, find_leaks(self._rests[laps:]))
        self._at_once_s = time.perf_counter() - began
        return hang

    def _run_some(self, laps: range, words: str, *, references: References, slowest_s: float) -> Hang | None:
        """As many of these laps as there is time for; the first of all whatever it takes."""
        seconds = None if self._settings.rounds else self._settings.seconds
        allowance = Allowance(seconds, len(laps) * len(self._settings.levels))
        for lap in laps:
            self._say(words.format(lap + 1))
            for mode, callers in self._settings.levels:
                if lap and allowance.is_used_up:
                    return None
                hang = self._run_level(mode, callers, lap, allowance.next_s(), references, slowest_s)
                if hang is not None:
                    return hang
            self._rest()
        return None

    def _run_level(
        self, mode: str, callers: int, lap: int, seconds: float | None, references: References, slowest_s: float
    ) -> Hang | None:
        place = f"{callers} {'threads' if mode == 'threads' else 'tasks'}, lap {lap + 1}"
        board = InFlight()
        crowd = Crowd(
            place,
            self._plans(mode, callers, lap, Place(place, references, board)),
            board,
            self._settings.patience_s(callers, slowest_s),
            seconds,
            shaken=lap % 2 == 0,
            as_tasks=mode == "asyncio",
        )
        before = self._journal.read()
        hang = crowd.run(self._samples)
        self._tally[mode, callers].add(_run_of(crowd, before, self._journal.read()), crowd.shaken)
        return hang

    def _plans(self, mode: str, callers: int, lap: int, place: Place) -> list[Plan]:
        """What each caller does: endlessly, or about as often as all of them together have to for every case once."""
        seed = f"{self._settings.seed}/{mode}/{callers}/{lap}"
        each = -(-len(self._cases) // callers) if self._settings.rounds else None
        acts = self._acts(mode)
        return [
            (self._caller(number, place), islice(steps(seed, number, len(self._cases), acts), each))
            for number in range(callers)
        ]

    def _caller(self, number: int, place: Place) -> Caller:
        examiner = Examiner(number, place.name, place.references, place.board, self._journal)
        return Caller(number, self._target, self._cases, examiner, place.board, self._journal, Latencies())

    def _acts(self, mode: str) -> tuple[Act, ...]:
        acts = [Act.PREDICT]
        if self._target.submit is not None and mode == "threads":
            acts.append(Act.SUBMIT)
        if self._target.map is not None and mode == "threads":
            acts.append(Act.MAP)
        if self._target.submit is not None or mode == "asyncio":
            acts.append(Act.CANCEL)
        if self._target.deadlines:
            acts.append(Act.DEADLINE)
        return tuple(acts)

    def _rest(self) -> None:
        self._rests.append(at_rest(self._journal.read().requests))

    def _written(self) -> tuple[str, ...]:
        return tuple(
            picture.name
            for picture, before in zip(self._pictures, self._digests, strict=True)
            if picture.digest() != before
        )

    def _report(self, references: References | None, rehearsal: Rehearsal, hang: Hang | None) -> Report:
        entries = self._journal.read()
        laps = tuple(self._rests)
        leaks = tuple(self._leaks)
        distinct = 0 if references is None else references.distinct
        evidence = Evidence(
            entries,
            entries.requests - self._alone,
            len(self._cases),
            distinct,
            hang,
            rehearsal.unsteady,
            self._written(),
            leaks,
        )
        findings = find(evidence)
        shown = entries.shown if rehearsal.unsteady is None else (rehearsal.unsteady.first, *entries.shown)
        return Report(
            target=self._target.name,
            verdict=findings[0].verdict if findings else Verdict.PASS,
            findings=findings,
            requests=entries.requests,
            concurrent=evidence.concurrent,
            cancelled=entries.cancelled,
            expired=entries.expired,
            mismatches=entries.mismatches,
            faults={fault.value: count for fault, count in entries.faults.items()},
            shown=shown,
            exceptions=entries.failures,
            hang=hang,
            levels=tuple(tally.level(*level) for level, tally in self._tally.items() if tally.requests),
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
            notes.append(self._overrun())
        if not self._target.options:
            notes.append("the target takes no options: only pictures can be mixed up.")
        return notes

    def _overrun(self) -> str:
        why = (
            "to see whether it goes on growing"
            if self._ran_again
            else "because each caller asks at least once at each concurrency; fewer threads take less"
        )
        return f"the runs at once took {self._at_once_s:.0f} s instead of {self._settings.seconds:g}, {why}."


def _run_of(crowd: Crowd, before: Entries, after: Entries) -> Run:
    latencies = merged(caller.latencies for caller, _ in crowd.plans)
    return Run(
        after.requests - before.requests,
        after.answers - before.answers,
        after.mismatches - before.mismatches,
        after.raised - before.raised,
        crowd.elapsed_s,
        latencies,
    )


def _silent(_words: str) -> None:
    """Nobody wants to know."""
