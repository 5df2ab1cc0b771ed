"""What a crowd of callers has seen: counts, and the first few faults in full."""

from __future__ import annotations

import dataclasses
import threading
import traceback
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from yoloom.verify.causes import told_with_causes
from yoloom.verify.reference import Fault

SHOWN = 5
"""Mismatches of each kind, and kinds of exceptions, that are kept in full."""


@dataclass(frozen=True)
class Mismatch:
    """One wrong answer, side by side. Immutable: shared freely.

    whose: the case that it would have been right for, "" for nobody's. by: the caller that asked for that case, or
    with its options, at the time; "" where nobody did.
    """

    fault: Fault
    where: str
    asked: str
    came: str
    expected: str
    whose: str = ""
    by: str = ""


@dataclass(frozen=True)
class Failure:
    """The exceptions of one class: how many, and the first with its traceback. Immutable: shared freely."""

    kind: str
    count: int
    where: str
    asked: str
    message: str
    trace: str


@dataclass(frozen=True)
class Entries:
    """Everything that was written down, at one moment. Immutable: shared freely.

    answers: the requests that ended in an answer, right or wrong, or in the error that they end in alone too.
    """

    requests: int
    answers: int
    cancelled: int
    expired: int
    faults: Mapping[Fault, int]
    shown: tuple[Mismatch, ...]
    failures: tuple[Failure, ...]

    @property
    def mismatches(self) -> int:
        """Faults of all kinds."""
        return sum(self.faults.values())

    @property
    def raised(self) -> int:
        """Exceptions of all kinds."""
        return sum(failure.count for failure in self.failures)


class Journal:
    """Shared freely."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # guards all below
        self._requests = self._answers = self._cancelled = self._expired = 0
        self._faults: Counter[Fault] = Counter()
        self._shown: list[Mismatch] = []
        self._failures: dict[str, Failure] = {}

    def answered(self) -> None:
        with self._lock:
            self._requests += 1
            self._answers += 1

    def cancelled(self) -> None:
        with self._lock:
            self._requests += 1
            self._cancelled += 1

    def expired(self) -> None:
        with self._lock:
            self._requests += 1
            self._expired += 1

    def wants(self, fault: Fault) -> bool:
        """Count a fault, and say whether it is one of the first, to be `show`n."""
        with self._lock:
            self._faults[fault] += 1
            return self._faults[fault] <= SHOWN

    def show(self, mismatch: Mismatch) -> None:
        with self._lock:
            self._shown.append(mismatch)

    def raised(self, error: BaseException, where: str, asked: str) -> None:
        kind = type(error).__qualname__
        with self._lock:
            self._requests += 1
            known = self._failures.get(kind)
            if known is not None:
                self._failures[kind] = dataclasses.replace(known, count=known.count + 1)
                return
        trace = "".join(traceback.format_exception(error))
        first = Failure(kind, 1, where, asked, told_with_causes(error), trace)
        with self._lock:
            known = self._failures.get(kind)
            self._failures[kind] = first if known is None else dataclasses.replace(known, count=known.count + 1)

    def read(self) -> Entries:
        with self._lock:
            return Entries(
                self._requests,
                self._answers,
                self._cancelled,
                self._expired,
                dict(self._faults),
                tuple(self._shown),
                tuple(sorted(self._failures.values(), key=lambda failure: -failure.count)),
            )
