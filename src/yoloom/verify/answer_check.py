"""What one caller does with an answer: compare it now, keep it for a while, and look at it again."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any

from yoloom.verify.answer import Answer, answer_of
from yoloom.verify.in_flight import InFlight
from yoloom.verify.journal import Journal, Mismatch
from yoloom.verify.reference import Fault, Raised, References

KEPT = 3
"""Answers of a caller that are held while it goes on asking, to see that nothing writes to them."""


@dataclass(frozen=True)
class Kept:
    """What the target gave, and what it was then."""

    case: int
    value: Any
    answer: Answer


class Examiner:
    """Judges the answers of one caller. Belongs to that caller."""

    def __init__(self, caller: int, place: str, references: References, board: InFlight, journal: Journal) -> None:
        self._caller = caller
        self._where = f"{place}, caller {caller}"
        self._references = references
        self._board = board
        self._journal = journal
        self._kept: deque[Kept] = deque()

    def received(self, case: int, value: Any) -> None:
        """Compare an answer with its reference. Raises InvalidTarget when it is none, or what reading it raises."""
        came = answer_of(value)
        self._journal.answered()
        others = self._board.asked_by_others(self._caller)
        judgement = self._references.judge(case, came, others)
        if judgement is not None and self._journal.wants(judgement.fault):
            self._journal.show(
                Mismatch(
                    judgement.fault,
                    self._where,
                    self._asked(case),
                    came.describe(),
                    self._expected(case),
                    "" if judgement.whose is None else self._asked(judgement.whose),
                    "" if judgement.by is None else f"caller {judgement.by}",
                )
            )
        self._kept.append(Kept(case, value, came))
        if len(self._kept) > KEPT:
            self._look_again(self._kept.popleft())

    def raised(self, case: int, error: BaseException) -> None:
        """An error is right where the case raises it alone too."""
        if self._references.raises(case, type(error).__qualname__):
            self._journal.answered()
        else:
            self._journal.raised(error, self._where, self._asked(case))

    def finish(self) -> None:
        """Look at all that is still held, and let go of it."""
        while self._kept:
            self._look_again(self._kept.popleft())

    def _look_again(self, kept: Kept) -> None:
        look_again(kept.value, kept.answer, self._where, self._asked(kept.case), self._journal)

    def _asked(self, case: int) -> str:
        return str(self._references.cases[case])

    def _expected(self, case: int) -> str:
        expected = self._references.expected[case]
        return f"raises {expected.kind}" if isinstance(expected, Raised) else expected.describe()


def look_again(value: Any, before: Answer, where: str, asked: str, journal: Journal) -> None:
    """Write it down when what a target gave is not what it was any more."""
    try:
        now = answer_of(value)
    except Exception as error:  # noqa: BLE001  whatever it is, it can be read no longer
        journal.raised(error, where, asked)
        return
    if now.digest != before.digest and journal.wants(Fault.CHANGED):
        journal.show(Mismatch(Fault.CHANGED, where, asked, now.describe(), before.describe()))
