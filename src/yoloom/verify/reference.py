"""The answers of the sequential run, and whose answer another one is.

```
asked: case 7 ──▶ came ──┬─ equals reference 7 ─────────────▶ right
                         ├─ equals that of the same picture ▶ cross-talk: somebody else's options
                         ├─ equals another picture's ───────▶ cross-talk: somebody else's picture
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
    """What is wrong with one answer."""

    OTHER_OPTIONS = "the answer for other options"
    OTHER_PICTURE = "the answer for another picture"
    TORN = "nobody's answer"
    CHANGED = "changed after it was delivered"
    UNSTEADY = "another answer the second time"
    UNRAISED = "an answer where alone there is an error"


@dataclass(frozen=True)
class Raised:
    """How a case ended that has no answer: the class of its error, by name. Immutable: shared freely."""

    kind: str


Expected = Answer | Raised


@dataclass(frozen=True)
class Judgement:
    """fault: what is wrong. whose: a case that this would have been the right answer for. by: the caller that asked for
    that, or with those options, at the time. Immutable.
    """

    fault: Fault
    whose: int | None = None
    by: int | None = None


class References:
    """The right answers, by case. Immutable once made: shared freely."""

    def __init__(self, cases: Sequence[Case], expected: Sequence[Expected], tolerance: float) -> None:
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
        """How many different answers there are: of one alone nothing can be told apart."""
        return len(self._by_digest)

    def raises(self, case: int, kind: str) -> bool:
        """Whether `case` ends in an error of this class when it runs alone."""
        return self.expected[case] == Raised(kind)

    def judge(self, case: int, came: Answer, asked_now: Mapping[int, int]) -> Judgement | None:
        """None for the right answer. asked_now: case -> caller, of the others: they are suspected first."""
        expected = self.expected[case]
        if isinstance(expected, Raised):
            return Judgement(Fault.UNRAISED)
        if came.is_same(expected, self.tolerance):
            return None
        suspects = [(self._asker(case, owner, asked_now), owner) for owner in self._owners(came)]
        if not suspects:
            return Judgement(Fault.TORN)
        by, whose = min(suspects, key=lambda suspect: (suspect[0] is None, suspect[1]))
        return Judgement(Fault.OTHER_OPTIONS if self._share_picture(case, whose) else Fault.OTHER_PICTURE, whose, by)

    def _asker(self, case: int, owner: int, asked_now: Mapping[int, int]) -> int | None:
        """The caller that asked for `owner`, or for something else with its options where only those were mixed up."""
        if owner in asked_now or not self._share_picture(case, owner):
            return asked_now.get(owner)
        options = self.cases[owner].options
        return next((by for other, by in asked_now.items() if self.cases[other].options == options), None)

    def _share_picture(self, case: int, other: int) -> bool:
        return self.cases[case].picture is self.cases[other].picture

    def _owners(self, came: Answer) -> Sequence[int]:
        owners = self._by_digest.get(came.digest)
        if owners is not None or not self.tolerance:
            return owners or ()
        return [
            case.number
            for case, answer in zip(self.cases, self.expected, strict=True)
            if isinstance(answer, Answer) and came.is_same(answer, self.tolerance)
        ]
