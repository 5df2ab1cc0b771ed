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
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from yoloom.verify.answer import Answer
from yoloom.verify.case import Case


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
    """fault: what is wrong. whose: the cases that this would have been the right answer for. Immutable."""

    fault: Fault
    whose: tuple[int, ...] = ()


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

    def judge(self, case: int, came: Answer, asked_now: Collection[int]) -> Judgement | None:
        """None for the right answer. asked_now: cases of other callers, to be named before others that fit too."""
        expected = self.expected[case]
        if isinstance(expected, Raised):
            return Judgement(Fault.UNRAISED)
        if came.is_same(expected, self.tolerance):
            return None
        whose = sorted(self._owners(came), key=lambda other: (other not in asked_now, other))
        if not whose:
            return Judgement(Fault.TORN)
        same_picture = self.cases[whose[0]].picture is self.cases[case].picture
        return Judgement(Fault.OTHER_OPTIONS if same_picture else Fault.OTHER_PICTURE, tuple(whose))

    def _owners(self, came: Answer) -> Sequence[int]:
        owners = self._by_digest.get(came.digest)
        if owners is not None or not self.tolerance:
            return owners or ()
        return [
            case.number
            for case, answer in zip(self.cases, self.expected, strict=True)
            if isinstance(answer, Answer) and came.is_same(answer, self.tolerance)
        ]
