"""Compares an answer with those of the sequential run, and finds whose answer a wrong one is.

```
asked: case 7 ──▶ answer ─┬─ equals reference 7 ─────────────▶ right
                          ├─ nothing was found ──────────────▶ swallowed
                          ├─ equals that of the same picture ▶ cross-talk: another caller's options
                          ├─ equals another picture's ───────▶ cross-talk: another caller's picture
                          ├─ one member equals another's ────▶ cross-talk: another caller's member
                          ├─ rows of reference 7, moved ─────▶ reordered
                          ├─ rows of reference 7, fewer ─────▶ swallowed
                          └─ anything else ──────────────────▶ torn
```
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from yoloom.verify.answer import Answer
from yoloom.verify.cases import Case


class Fault(enum.Enum):
    """Kinds of wrong answers."""

    OTHER_OPTIONS = "the answer for other options"
    OTHER_PICTURE = "the answer for another picture"
    OTHER_MEMBER = "a member of another case's answer"
    REORDERED = "the right rows in another order"
    MOVED = "the answer for another picture of the same stream"
    EMPTY = "nothing where alone something is found"
    ROWS_MISSING = "the right rows without some of them"
    NO_ANSWER = "no answer"
    EXTRA = "an answer more than pictures"
    TORN = "nobody's answer"
    CHANGED = "changed after it was delivered"
    UNSTEADY = "another answer the second time"
    UNRAISED = "an answer where alone there is an error"


@dataclass(frozen=True)
class Raised:
    """The end of a case that has no answer: the class of its error, by name. Immutable: shared freely."""

    kind: str


Expected = Answer | Raised


@dataclass(frozen=True)
class Diagnosis:
    """Explanation of a wrong answer. Immutable.

    Attributes:
        fault: its kind.
        whose: a case that this would have been the right answer for.
        by: the caller that asked for that case, or with its options, at the time.
        members: names of the arrays that are wrong, where others are right.
    """

    fault: Fault
    whose: int | None = None
    by: int | None = None
    members: tuple[str, ...] = ()


class References:
    """The right answers, by case. Immutable once made. Thread safety: any number of threads.

    Attributes:
        distinct: number of different answers: with one alone nothing can be told apart.
    """

    def __init__(self, cases: Sequence[Case], expected: Sequence[Expected], tolerance: float) -> None:
        """Index the answers of the sequential run.

        Args:
            cases: all of them, in the order of their numbers.
            expected: by case.
            tolerance: 0 for bit for bit, see `Answer.difference`.
        """
        self.cases = tuple(cases)
        self.expected = tuple(expected)
        self.tolerance = tolerance
        self.distinct = len({answer.digest for answer in expected if isinstance(answer, Answer)})

    def raises(self, case: int, kind: str) -> bool:
        """Return whether `case` ends in an error of this class when it runs alone."""
        return self.expected[case] == Raised(kind)

    def diagnose(self, case: int, answer: Answer, asked_now: Mapping[int, int]) -> Diagnosis | None:
        """Explain a wrong answer; None for the right one.

        Args:
            case: the case that was asked for.
            answer: received for it.
            asked_now: case → caller, of the other callers: they are suspected first.
        """
        expected = self.expected[case]
        if isinstance(expected, Raised):
            return Diagnosis(Fault.UNRAISED)
        if answer.is_same(expected, self.tolerance):
            return None
        # Before all others: what another case does not find either says nothing about whose answer this is.
        if answer.is_empty and not expected.is_empty and answer.about == expected.about:
            return Diagnosis(Fault.EMPTY)
        owner = self._owner(case, lambda reference: answer.is_same(reference, self.tolerance), asked_now)
        if owner is not None:
            fault = Fault.OTHER_OPTIONS if self._share_picture(case, owner[0]) else Fault.OTHER_PICTURE
            return Diagnosis(fault, *owner)
        wrong = answer.wrong_arrays(expected, self.tolerance)
        if wrong is not None and len(wrong) < len(answer.arrays):
            owner = self._owner(case, lambda reference: answer.shares(reference, wrong, self.tolerance), asked_now)
            if owner is not None:
                return Diagnosis(Fault.OTHER_MEMBER, *owner, tuple(wrong))
        if answer.has_rows_of(expected, self.tolerance):
            return Diagnosis(Fault.REORDERED if answer.rows == expected.rows else Fault.ROWS_MISSING)
        return Diagnosis(Fault.TORN, members=tuple(wrong or ()))

    def _owner(
        self, case: int, is_its: Callable[[Answer], bool], asked_now: Mapping[int, int]
    ) -> tuple[int, int | None] | None:
        """Return a case to whose reference `is_its` applies, and the caller that asks for it, if any does.

        Where options alone are mixed up, any caller with these options is suspected.
        """
        by_options = {repr(self.cases[number].options): caller for number, caller in asked_now.items()}
        suspects = []
        for other, reference in zip(self.cases, self.expected, strict=True):
            if isinstance(reference, Answer) and is_its(reference):
                by = asked_now.get(other.number)
                if by is None and self._share_picture(case, other.number):
                    by = by_options.get(repr(other.options))
                suspects.append((by is None, other.number, by))
        if not suspects:
            return None
        _, whose, by = min(suspects, key=lambda suspect: suspect[:2])
        return whose, by

    def _share_picture(self, case: int, other: int) -> bool:
        return self.cases[case].picture is self.cases[other].picture
