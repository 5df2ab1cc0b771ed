"""Runs every case alone, twice, the second time backwards.

All later answers are compared with the ones that it gives, if they are the same both times.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from yoloom.errors import InvalidTarget, TargetFailed
from yoloom.telemetry.histogram import Histogram
from yoloom.verify.answer import Answer, answer_of
from yoloom.verify.answer_check import check_unchanged
from yoloom.verify.caller import Caller
from yoloom.verify.crowd import Crowd, Hang, Watch
from yoloom.verify.in_flight import InFlight
from yoloom.verify.journal import Journal, Mismatch
from yoloom.verify.reference import Expected, Fault, Raised
from yoloom.verify.schedule import CallerStep, RequestKind
from yoloom.verify.target_import import described_with_causes

if TYPE_CHECKING:
    from yoloom.verify.cases import Case
    from yoloom.verify.target import Target

PLACE = "one after the other"


@dataclass(frozen=True)
class Unsteady:
    """Two answers of a target to one case although no other caller asks. Immutable: shared freely.

    Attributes:
        count: cases of which that is true.
        of: cases with two answers.
        difference: the largest, see `Answer.difference`.
        first: one of these cases.
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
class Baseline:
    """Outcome of the sequential run. Immutable: shared freely.

    Attributes:
        expected: by case, of the first time; empty after a hang.
        unsteady: differences between the two times.
        hang: a request that did not come back.
        mean_s: seconds of one request.
        slowest_s: seconds of the longest one.
    """

    expected: tuple[Expected, ...] = ()
    unsteady: Unsteady | None = None
    hang: Hang | None = None
    mean_s: float = 0.0
    slowest_s: float = 0.0


class AnswerRecorder:
    """Keeps the answers of one sequential run, and reads each again after the next one.

    Thread safety: owned by its caller.
    """

    def __init__(self, cases: Sequence[Case], journal: Journal) -> None:
        self.answers: dict[int, Answer] = {}
        self.errors: dict[int, BaseException] = {}
        self._cases = cases
        self._journal = journal
        self._last: tuple[int, Any] | None = None

    def received(self, case: int, value: Any) -> None:
        """Keep an answer. Raises InvalidTarget when it is none, or what reading it raises."""
        self.answers[case] = answer_of(value)
        self._journal.answered()
        self.finish()
        self._last = (case, value)

    def raised(self, case: int, error: BaseException) -> None:
        """Keep an error in place of an answer."""
        self.errors[case] = error

    def finish(self) -> None:
        """Read the last answer again, and let go of it."""
        if self._last is not None:
            case, value = self._last
            check_unchanged(value, self.answers[case], PLACE, str(self._cases[case]), self._journal)
            self._last = None


def run_baseline(
    target: Target, cases: Sequence[Case], tolerance: float, hang_after_s: float, journal: Journal, watch: Watch
) -> Baseline:
    """Ask for every case twice, one after the other.

    Args:
        target: is asked.
        cases: all of them, in the order of their numbers.
        tolerance: within which two answers are the same.
        hang_after_s: seconds after which a request counts as a hang.
        journal: gets the counts and faults.
        watch: called again and again meanwhile.

    Raises:
        InvalidTarget: an answer is none.
        TargetFailed: no case has an answer.
    """
    latencies = Histogram()
    in_flight = InFlight()
    recorders = []
    elapsed_s = 0.0
    for order in (cases, cases[::-1]):  # each case follows another one the second time
        recorder = AnswerRecorder(cases, journal)
        recorders.append(recorder)
        caller = Caller(0, target, cases, recorder, in_flight, journal, latencies)
        steps = [CallerStep(case.number, RequestKind.PREDICT) for case in order]
        crowd = Crowd(PLACE, [(caller, steps)], in_flight, hang_after_s)
        hang = crowd.run(watch)
        if hang is not None:
            return Baseline(hang=hang)
        _raise_if_useless(target, recorder, cases)
        elapsed_s += crowd.elapsed_s
    first, second = recorders
    return Baseline(
        expected=tuple(_expected(case, first, second, journal) for case in cases),
        unsteady=_find_unsteady(cases, first, second, tolerance),
        mean_s=elapsed_s / (2 * len(cases)),
        slowest_s=latencies.distribution().max_ms / 1e3,
    )


def _raise_if_useless(target: Target, recorder: AnswerRecorder, cases: Sequence[Case]) -> None:
    for number, error in recorder.errors.items():
        if isinstance(error, InvalidTarget):
            raise InvalidTarget(f"{target.name}, asked for {cases[number]}: {error}") from error
    if len(recorder.errors) == len(cases):
        error = next(iter(recorder.errors.values()))
        raise TargetFailed(
            f"{target.name} raised for each of {len(cases)} cases, asked one after the other: "
            f"{described_with_causes(error)}. It must answer alone before many can ask at once."
        ) from error


def _expected(case: Case, first: AnswerRecorder, second: AnswerRecorder, journal: Journal) -> Expected:
    """Return the answer where there was one; an error only if it is the same both times."""
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


def _find_unsteady(
    cases: Sequence[Case], first: AnswerRecorder, second: AnswerRecorder, tolerance: float
) -> Unsteady | None:
    pairs = [
        (case, first.answers[case.number], second.answers[case.number])
        for case in cases
        if case.number in first.answers and case.number in second.answers
    ]
    different = [(case, before, after) for case, before, after in pairs if not before.is_same(after, tolerance)]
    if not different:
        return None
    worst = max(before.difference(after) for _, before, after in different)
    case, before, after = different[0]
    shown = Mismatch(Fault.UNSTEADY, PLACE, str(case), came=after.describe(), expected=before.describe())
    return Unsteady(len(different), len(pairs), worst, shown)
