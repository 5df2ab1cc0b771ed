"""`check`: everything from the pictures to the report.

```
pictures ─▶ cases ─▶ rehearsal ─▶ lap 1: 1, 2, 8, 64 callers ─▶ rest ─▶ lap 2 ─▶ ... ─▶ findings ─▶ report
            seed     references    threads, then tasks          memory
```
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any

from yoloom.errors import InvalidOption
from yoloom.verify.board import Board
from yoloom.verify.caller import Caller
from yoloom.verify.case import Picture, draw_cases
from yoloom.verify.crowd import Crowd, Hang
from yoloom.verify.examiner import Examiner
from yoloom.verify.growth import LEAST_LAPS, find_leaks
from yoloom.verify.journal import Journal
from yoloom.verify.latencies import Latencies, merged
from yoloom.verify.machine import describe_machine
from yoloom.verify.pictures import find_pictures
from yoloom.verify.reference import References
from yoloom.verify.rehearsal import Rehearsal, rehearse
from yoloom.verify.report import Memory, Report
from yoloom.verify.resources import Resources, at_rest
from yoloom.verify.samples import Samples
from yoloom.verify.settings import CASES, SECONDS, THREADS, Settings, parse_settings
from yoloom.verify.step import Act, steps
from yoloom.verify.tally import Run, Tally
from yoloom.verify.target import Target, target_of
from yoloom.verify.verdict import Evidence, Verdict, find

Say = Callable[[str], None]


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
    number in turn. asyncio: as many tasks too, through `predict_async`. seconds: for all concurrent runs together;
    each caller asks at least once in each lap, which may take longer. rounds: so many laps with every case about once
    instead, for the same requests on every machine. seed: of cases, order, pauses and cancellations. tolerance: the
    most that |a - b| / max(1, |b|) may be, 0 for bit for bit; by default what a `YOLO` promises, and 0 for others.
    hang_after: seconds that one request may take; by default 30 or, for slow models, what the queue allows for.
    cases: how many different questions. say: told what is going on, in a few words.

    One call at a time in a process: it changes the interpreter's switch interval meanwhile. Raises InputError for
    wrong arguments, InvalidTarget or TargetFailed for a model that gives no answers at all.
    """
    settings = parse_settings(threads, asyncio, seconds, rounds, seed, tolerance, hang_after, cases)
    target = target_of(model)
    if asyncio and target.predict_async is None:
        raise InvalidOption(f"asyncio needs a target with predict_async, which {target.name} has not.")
    pictures = find_pictures(images)
    return Check(target, settings, pictures, say or _silent).run()


class Check:
    """One check on its way. One thread, once."""

    def __init__(self, target: Target, settings: Settings, pictures: Sequence[Picture], say: Say) -> None:
        self._target = target
        self._settings = settings
        self._say = say
        self._cases = draw_cases(pictures, target.options, settings.cases, settings.seed)
        self._pictures = list({id(case.picture): case.picture for case in self._cases}.values())
        self._left_out = len(pictures) - len(self._pictures)
        self._digests = [picture.digest() for picture in self._pictures]
        self._tolerance = target.tolerance if settings.tolerance is None else settings.tolerance
        self._journal = Journal()
        self._samples = Samples()
        self._rests: list[Resources] = []
        self._tally = {level: Tally() for level in settings.levels}
        self._alone = 0  # requests of the sequential run
        self._started = time.perf_counter()

    def run(self) -> Report:
        self._say(f"{len(self._cases)} cases one after the other, twice")
        rehearsal = rehearse(
            self._target,
            self._cases,
            self._tolerance,
            self._settings.patience_s(),
            self._journal,
            self._samples,
        )
        references = References(self._cases, rehearsal.expected or [], self._tolerance) if rehearsal.expected else None
        self._alone = self._journal.read().requests
        hang = rehearsal.hang
        if references is not None and rehearsal.unsteady is None:
            hang = self._run_laps(references, rehearsal)
        return self._report(references, rehearsal, hang)

    def _run_laps(self, references: References, rehearsal: Rehearsal) -> Hang | None:
        laps = self._settings.laps(rehearsal.mean_s)
        self._rest()
        for lap in range(laps):
            self._say(f"lap {lap + 1} of {laps}")
            for mode, callers in self._settings.levels:
                hang = self._run_level(mode, callers, lap, laps, references, rehearsal.slowest_s)
                if hang is not None:
                    return hang
            self._rest()
        return None

    def _run_level(
        self, mode: str, callers: int, lap: int, laps: int, references: References, slowest_s: float
    ) -> Hang | None:
        settings = self._settings
        seconds = None if settings.rounds else settings.seconds / (laps * len(settings.levels))
        each = -(-len(self._cases) // callers) if settings.rounds else None
        place = f"{callers} {'threads' if mode == 'threads' else 'tasks'}, lap {lap + 1}"
        crowd_seed = f"{settings.seed}/{mode}/{callers}/{lap}"
        board = Board()
        plans = []
        for number in range(callers):
            examiner = Examiner(number, place, references, board, self._journal)
            caller = Caller(number, self._target, self._cases, examiner, board, self._journal, Latencies())
            taken = islice(steps(crowd_seed, number, len(self._cases), self._acts(mode)), each)
            plans.append((caller, taken))
        shaken = lap % 2 == 0
        crowd = Crowd(place, plans, board, settings.patience_s(callers, slowest_s), seconds, shaken, mode == "asyncio")
        before = self._journal.read()
        hang = crowd.run(self._samples)
        after = self._journal.read()
        self._tally[mode, callers].add(
            Run(
                after.requests - before.requests,
                after.answers - before.answers,
                crowd.elapsed_s,
                merged([caller.latencies for caller, _ in plans]),
            ),
            shaken,
        )
        return hang

    def _acts(self, mode: str) -> tuple[Act, ...]:
        acts = [Act.PREDICT]
        if self._target.submit is not None and mode == "threads":
            acts.append(Act.SUBMIT)
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
        leaks = tuple(find_leaks(laps[1:]))
        distinct = 0 if references is None else references.distinct
        evidence = Evidence(
            entries, entries.requests - self._alone, distinct, hang, rehearsal.unsteady, self._written(), leaks
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
            mismatches=sum(entries.faults.values()),
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
            notes.append(f"{most} callers share {len(self._cases)} cases of {len(self._pictures)} pictures.")
        if not self._target.options:
            notes.append("the target takes no options: only pictures can be mixed up.")
        return notes


def _silent(_words: str) -> None:
    """Nobody wants to know."""
