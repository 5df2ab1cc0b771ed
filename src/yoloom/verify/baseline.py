"""The sequential run: every case alone, twice, the second time backwards.

What it gives is what all later answers are compared with, if it is the same both times.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from yoloom.errors import InvalidTarget, TargetFailed
from yoloom.telemetry.latencies import Latencies
from yoloom.verify.answer import Answer, answer_of
from yoloom.verify.answer_check import look_again
from yoloom.verify.caller import Caller
from yoloom.verify.cases import Case
from yoloom.verify.causes import told_with_causes
from yoloom.verify.crowd import Crowd, Hang, Watch
from yoloom.verify.in_flight import InFlight
from yoloom.verify.journal import Journal, Mismatch
from yoloom.verify.reference import Expected, Fault, Raised
from yoloom.verify.schedule import Act, Step
from yoloom.verify.target import Target

PLACE = "one after the other"


@dataclass(frozen=True)
class Unsteady:
    """A target that gives two answers to one case although nobody else asks. Immutable: shared freely.

    count: cases of which that is true, of so many. difference: the largest, see `Answer.difference`. first: one of
    them.
    """

    count: int
    of: int
    difference: float
    first: Mismatch

    @property
    def offer(self) -> float | None:
        """A tolerance with which it would pass, None where none helps: shapes, classes or whole numbers differ."""
        if not 0 < self.difference < 0.1:
            return None
        return float(10 ** np.ceil(np.log10(2 * self.difference)))


@dataclass(frozen=True)
class Rehearsal:
    """expected: by case, of the first time. mean_s, slowest_s: of one request. Immutable: shared freely."""

    expected: tuple[Expected, ...]
    unsteady: Unsteady | None
    hang: Hang | None
    mean_s: float
    slowest_s: float


class Recorder:
    """Keeps the answers of one sequential run, and looks at each again after the next. Belongs to its caller."""

    def __init__(self, cases: Sequence[Case], journal: Journal) -> None:
        self.answers: dict[int, Answer] = {}
        self.errors: dict[int, BaseException] = {}
        self._cases = cases
        self._journal = journal
        self._last: tuple[int, Any] | None = None

    def received(self, case: int, value: Any) -> None:
        self.answers[case] = answer_of(value)
        self._journal.answered()
        self.finish()
        self._last = (case, value)

    def raised(self, case: int, error: BaseException) -> None:
        self.errors[case] = error

    def finish(self) -> None:
        if self._last is not None:
            case, value = self._last
            look_again(value, self.answers[case], PLACE, str(self._cases[case]), self._journal)
            self._last = None


def rehearse(
    target: Target,
    cases: Sequence[Case],
    tolerance: float,
    patience_s: float,
    journal: Journal,
    watch: Watch,
) -> Rehearsal:
    """Ask for every case twice. Raises InvalidTarget for answers that are none, TargetFailed when no case has one."""
    latencies = Latencies()
    board = InFlight()
    recorders = []
    elapsed_s = 0.0
    for order in (cases, cases[::-1]):  # what comes before a case is another one the second time
        recorder = Recorder(cases, journal)
        recorders.append(recorder)
        caller = Caller(0, target, cases, recorder, board, journal, latencies)
        crowd = Crowd(
            PLACE, [(caller, [Step(case.number, Act.PREDICT, 0.0, 0.0) for case in order])], board, patience_s
        )
        hang = crowd.run(watch)
        if hang is not None:
            return Rehearsal((), None, hang, 0.0, 0.0)
        _raise_if_useless(target, recorder, cases)
        elapsed_s += crowd.elapsed_s
    first, second = recorders
    expected = tuple(_expected(case, first, second, journal) for case in cases)
    return Rehearsal(
        expected,
        _unsteady(cases, first, second, tolerance),
        None,
        elapsed_s / (2 * len(cases)),
        latencies.percentile_s(100),
    )


def _raise_if_useless(target: Target, recorder: Recorder, cases: Sequence[Case]) -> None:
    for number, error in recorder.errors.items():
        if isinstance(error, InvalidTarget):
            raise InvalidTarget(f"{target.name}, asked for {cases[number]}: {error}") from error
    if len(recorder.errors) == len(cases):
        error = next(iter(recorder.errors.values()))
        raise TargetFailed(
            f"{target.name} raised for each of {len(cases)} cases, asked one after the other: "
            f"{told_with_causes(error)}. It must answer alone before many can ask at once."
        ) from error


def _expected(case: Case, first: Recorder, second: Recorder, journal: Journal) -> Expected:
    """The answer where there was one; an error only if it is the same both times."""
    errors = [recorder.errors[case.number] for recorder in (first, second) if case.number in recorder.errors]
    kinds = {type(error).__qualname__ for error in errors}
    if len(errors) == 2 and len(kinds) == 1:
        journal.answered()
        journal.answered()
        return Raised(kinds.pop())
    for error in errors:
        journal.raised(error, PLACE, str(case))
    answer = first.answers.get(case.number) or second.answers.get(case.number)
    return Raised(" or ".join(sorted(kinds))) if answer is None else answer


def _unsteady(cases: Sequence[Case], first: Recorder, second: Recorder, tolerance: float) -> Unsteady | None:
    both = [case for case in cases if case.number in first.answers and case.number in second.answers]
    different = [
        case for case in both if not first.answers[case.number].is_same(second.answers[case.number], tolerance)
    ]
    if not different:
        return None
    worst = max(first.answers[case.number].difference(second.answers[case.number]) for case in different)
    return Unsteady(len(different), len(both), worst, _side_by_side(different[0], first, second))


def _side_by_side(case: Case, first: Recorder, second: Recorder) -> Mismatch:
    return Mismatch(
        fault=Fault.UNSTEADY,
        where=PLACE,
        asked=str(case),
        came=second.answers[case.number].describe(),
        expected=first.answers[case.number].describe(),
    )
