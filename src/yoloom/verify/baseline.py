"""Runs every case alone, twice, the second time backwards.

All later answers are compared with the ones that it gives, if they are the same both times.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from yoloom.errors import InvalidTarget, TargetFailed
from yoloom.verify.journal import Mismatch
from yoloom.verify.recorded_crowd import AnswerRecorder, RecordedCrowd
from yoloom.verify.reference import Expected, Fault, Raised
from yoloom.verify.target_import import described_with_causes

if TYPE_CHECKING:
    from yoloom.verify.cases import Case
    from yoloom.verify.crowd import Hang, Watch
    from yoloom.verify.journal import Journal
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
        usual_s: seconds of one request, the median.
        slowest_s: seconds of the longest one.
        slowest_case_s: seconds of the slowest case, at its better time: what a slow start took is not in it.
    """

    expected: tuple[Expected, ...] = ()
    unsteady: Unsteady | None = None
    hang: Hang | None = None
    usual_s: float = 0.0
    slowest_s: float = 0.0
    slowest_case_s: float = 0.0


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
    numbers = range(len(cases))
    runs = []
    for order in (numbers, numbers[::-1]):  # each case follows another one the second time
        run = RecordedCrowd(PLACE, target, cases, [order], journal)
        hang = run.run(hang_after_s, watch)
        if hang is not None:
            return Baseline(hang=hang)
        _raise_if_useless(target, run.recorders[0], cases)
        runs.append(run)
    first, second = (run.recorders[0] for run in runs)
    journal.answered(len(first.answers) + len(second.answers))
    return Baseline(
        expected=tuple(_expected(case, first, second, journal) for case in cases),
        unsteady=_find_unsteady(cases, first, second, tolerance),
        usual_s=statistics.median(seconds for run in runs for seconds in run.fastest_s.values()),
        slowest_s=max(seconds for run in runs for seconds in run.fastest_s.values()),
        slowest_case_s=max(min(run.fastest_s[case.number] for run in runs) for case in cases),
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
        journal.answered(2)
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
