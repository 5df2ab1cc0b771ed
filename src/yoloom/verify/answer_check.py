"""Checks the answers of one caller: compares each at once, holds it for a while, and reads it again."""

from __future__ import annotations

from collections import deque
from typing import Any

from yoloom.verify.answer import Answer, answer_of
from yoloom.verify.in_flight import InFlight
from yoloom.verify.journal import Journal, Mismatch
from yoloom.verify.reference import Fault, Raised, References

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

    def received(self, case: int, value: Any) -> None:
        """Compare an answer with its reference. Raises InvalidTarget when it is none, or what reading it raises."""
        answer = answer_of(value)
        self._journal.answered()
        diagnosis = self._references.diagnose(case, answer, self._in_flight.asked_by_others(self._caller))
        if diagnosis is not None and self._journal.count_fault(diagnosis.fault):
            expected = self._references.expected[case]
            self._journal.show(
                Mismatch(
                    diagnosis.fault,
                    self._where,
                    self._described(case),
                    answer.describe(),
                    f"raises {expected.kind}" if isinstance(expected, Raised) else expected.describe(),
                    "" if diagnosis.whose is None else self._described(diagnosis.whose),
                    "" if diagnosis.by is None else f"caller {diagnosis.by}",
                )
            )
        self._held.append((case, value, answer))
        if len(self._held) > HELD:
            self._check_oldest()

    def raised(self, case: int, error: BaseException) -> None:
        """Record an error; it is right where the case raises it alone too."""
        if self._references.raises(case, type(error).__qualname__):
            self._journal.answered()
        else:
            self._journal.raised(error, self._where, self._described(case))

    def finish(self) -> None:
        """Read all that is still held again, and let go of it."""
        while self._held:
            self._check_oldest()

    def _check_oldest(self) -> None:
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
    if now.digest != before.digest and journal.count_fault(Fault.CHANGED):
        journal.show(Mismatch(Fault.CHANGED, where, asked, now.describe(), before.describe()))
