"""Compares an answer with those of the sequential run, and finds whose answer a wrong one is.

```
asked: case 7 ──▶ answer ─┬─ equals reference 7 ─────────────▶ right
                          ├─ equals that of the same picture ▶ cross-talk: another caller's options
                          ├─ equals another picture's ───────▶ cross-talk: another caller's picture
                          └─ equals none ────────────────────▶ torn
```
"""

from __future__ import annotations

import enum
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from yoloom.verify.answer import Answer
from yoloom.verify.cases import Case


class Fault(enum.Enum):
    """Kinds of wrong answers."""

    OTHER_OPTIONS = "the answer for other options"
    OTHER_PICTURE = "the answer for another picture"
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
    """

    fault: Fault
    whose: int | None = None
    by: int | None = None


class References:
    """The right answers, by case. Immutable once made. Thread safety: any number of threads."""

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
        by_digest: defaultdict[bytes, list[int]] = defaultdict(list)
        for case, answer in zip(cases, expected, strict=True):
            if isinstance(answer, Answer):
                by_digest[answer.digest].append(case.number)
        self._by_digest = dict(by_digest)

    @property
    def distinct(self) -> int:
        """Number of different answers: with one alone nothing can be told apart."""
        return len(self._by_digest)

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
        owners = self._by_digest.get(answer.digest, [])
        if not owners and self.tolerance:
            owners = [
                other.number
                for other, reference in zip(self.cases, self.expected, strict=True)
                if isinstance(reference, Answer) and answer.is_same(reference, self.tolerance)
            ]
        if not owners:
            return Diagnosis(Fault.TORN)
        suspects = [(self._asker(case, owner, asked_now), owner) for owner in owners]
        by, whose = min(suspects, key=lambda suspect: (suspect[0] is None, suspect[1]))
        return Diagnosis(Fault.OTHER_OPTIONS if self._share_picture(case, whose) else Fault.OTHER_PICTURE, whose, by)

    def _asker(self, case: int, owner: int, asked_now: Mapping[int, int]) -> int | None:
        """Return the caller that asked for `owner`, or for anything with its options where only these are mixed up."""
        if owner in asked_now or not self._share_picture(case, owner):
            return asked_now.get(owner)
        options = self.cases[owner].options
        return next((by for other, by in asked_now.items() if self.cases[other].options == options), None)

    def _share_picture(self, case: int, other: int) -> bool:
        return self.cases[case].picture is self.cases[other].picture
