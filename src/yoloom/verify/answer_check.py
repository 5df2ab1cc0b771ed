"""Checks the answers of one caller: compares each at once, holds it for a while, and reads it again."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

from yoloom.errors import InvalidTarget
from yoloom.verify.answer import Answer, answer_of
from yoloom.verify.in_flight import InFlight
from yoloom.verify.journal import Journal, Mismatch
from yoloom.verify.reference import Diagnosis, Fault, Raised, References

HELD = 3
"""Answers of a caller that are held while it goes on asking, to see that nothing writes to them."""


class AnswerCheck:
    """Compares the answers of one caller with the references. Thread safety: owned by that caller."""

    def __init__(self, caller: int, place: str, references: References, in_flight: InFlight, journal: Journal) -> None:
        """Check the answers of one caller.

        Args:
            caller: its number.
            place: name of its crowd, for reports.
            references: the right answers.
            in_flight: requests of its crowd.
            journal: gets the faults.
        """
        self._caller = caller
        self._where = f"{place}, caller {caller}"
        self._references = references
        self._in_flight = in_flight
        self._journal = journal
        self._held: deque[tuple[int, Any, Answer]] = deque()  # case, the target's value, and its content on arrival

    def received(self, cases: Sequence[int], values: Sequence[Any]) -> None:
        """Compare the answers to one request, or to those of a stream. Raises what reading them raises."""
        answers: list[Answer | None] = [None] * len(cases)
        for place, value in enumerate(values[: len(cases)]):
            with contextlib.suppress(InvalidTarget):  # alone there is an answer that can be read
                answers[place] = answer_of(value)
        self.compare(cases, answers)
        for value in values[len(cases) :]:
            self._record(cases[-1], answer_of(value), Diagnosis(Fault.EXTRA))
        self._held.extend((c, v, a) for c, v, a in zip(cases, values, answers, strict=False) if a is not None)
        self.finish(HELD)

    def compare(self, cases: Sequence[int], answers: Sequence[Answer | None]) -> None:
        """Compare what came for these cases, in their order, with the references; None where nothing came."""
        self._journal.answered(len(cases))
        asked_by_others = self._in_flight.asked_by_others(self._caller)
        for case, answer in zip(cases, answers, strict=True):
            diagnosis = self._diagnose(case, answer, cases, asked_by_others)
            if diagnosis is not None:
                self._record(case, answer, diagnosis)

    def _diagnose(
        self, case: int, answer: Answer | None, cases: Sequence[int], asked_by_others: Mapping[int, int]
    ) -> Diagnosis | None:
        if answer is None:
            return Diagnosis(Fault.NO_ANSWER)
        diagnosis = self._references.diagnose(case, answer, asked_by_others)
        if diagnosis is None or diagnosis.whose is None:
            return diagnosis
        for other in cases:  # of its own stream
            expected = self._references.expected[other]
            if isinstance(expected, Answer) and answer.is_same(expected, self._references.tolerance):
                return Diagnosis(Fault.MOVED, other, self._caller)
        return diagnosis

    def _record(self, case: int, answer: Answer | None, diagnosis: Diagnosis) -> None:
        expected = self._references.expected[case]

        def describe() -> Mismatch:
            return Mismatch(
                diagnosis.fault,
                self._where,
                self._described(case),
                "nothing" if answer is None else answer.describe(),
                f"raises {expected.kind}" if isinstance(expected, Raised) else expected.describe(),
                "" if diagnosis.whose is None else self._described(diagnosis.whose),
                "" if diagnosis.by is None else f"caller {diagnosis.by}",
                ", ".join(diagnosis.members),
            )

        self._journal.wrong(diagnosis.fault, describe)

    def raised(self, cases: Sequence[int], error: BaseException) -> None:
        """Record an error; it is right where one of the cases raises it alone too."""
        if any(self._references.raises(case, type(error).__qualname__) for case in cases):
            self._journal.answered()
        elif isinstance(error, InvalidTarget):  # raised by reading what came
            self.compare(cases, [None] * len(cases))
        else:
            self._journal.raised(error, self._where, self._described(cases[0]))

    def finish(self, held: int = 0) -> None:
        """Read the oldest answers again, and let go of them. held: how many of the last ones are kept."""
        while len(self._held) > held:
            case, value, answer = self._held.popleft()
            check_unchanged(value, answer, self._where, self._described(case), self._journal)

    def _described(self, case: int) -> str:
        return str(self._references.cases[case])


def check_unchanged(value: Any, before: Answer, where: str, asked: str, journal: Journal) -> None:
    """Read a delivered value again, and record it when it is not what it was.

    Args:
        value: returned by the target.
        before: its content on arrival.
        where: crowd and caller.
        asked: the case, as text.
        journal: gets the fault.
    """
    try:
        now = answer_of(value)
    except Exception as error:  # noqa: BLE001  it can be read no longer, whatever the reason
        journal.raised(error, where, asked)
        return
    if now.digest != before.digest:
        shown = Mismatch(Fault.CHANGED, where, asked, now.describe(), before.describe())
        journal.wrong(Fault.CHANGED, lambda: shown)
