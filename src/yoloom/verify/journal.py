"""Records what a crowd of callers sees: counts, and the first few faults in full."""

from __future__ import annotations

import dataclasses
import threading
import traceback
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from yoloom.verify.reference import Fault
from yoloom.verify.target_import import described_with_causes

SHOWN = 5
"""Mismatches of each kind, and kinds of exceptions, that are kept in full."""


@dataclass(frozen=True)
class Mismatch:
    """One wrong answer, side by side with the right one. Immutable: shared freely.

    Attributes:
        fault: its kind.
        where: crowd and caller.
        asked: the case.
        came: the answer, as text.
        expected: the right one, as text.
        whose: the case that it would have been right for, "" for nobody's.
        by: the caller that asked for that case, or with its options, at the time; "" where nobody did.
        members: that are wrong where others are right, "" where all are.
    """

    fault: Fault
    where: str
    asked: str
    came: str
    expected: str
    whose: str = ""
    by: str = ""
    members: str = ""


@dataclass(frozen=True)
class Failure:
    """The exceptions of one class. Immutable: shared freely.

    Attributes:
        kind: the class, by name.
        count: how many.
        where: crowd and caller of the first.
        asked: the case of the first.
        message: of the first, with its causes.
        trace: traceback of the first.
    """

    kind: str
    count: int
    where: str
    asked: str
    message: str
    trace: str


@dataclass(frozen=True)
class Entries:
    """Everything that was recorded until one moment. Immutable: shared freely.

    Attributes:
        requests: that have ended, in any way.
        answers: requests that ended in an answer, right or wrong, or in the error that they end in alone too.
        cancelled: requests that their caller cancelled.
        expired: requests that ran past their deadline.
        faults: how many of each kind.
        shown: the first mismatches of each kind.
        failures: exceptions by class, the most frequent first.
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
        """Number of faults of all kinds."""
        return sum(self.faults.values())

    @property
    def raised(self) -> int:
        """Number of exceptions of all kinds."""
        return sum(failure.count for failure in self.failures)


class Journal:
    """Counts of one check, and its first faults. Thread safety: any number of threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # guards all below
        self._requests = self._answers = self._cancelled = self._expired = 0
        self._faults: Counter[Fault] = Counter()
        self._shown: list[Mismatch] = []
        self._failures: dict[str, Failure] = {}

    def answered(self, count: int = 1) -> None:
        """Count requests that ended in an answer."""
        with self._lock:
            self._requests += count
            self._answers += count

    def unanswered(self, cancelled: bool) -> None:
        """Count a request that its caller cancelled, or one that ran past its deadline."""
        with self._lock:
            self._requests += 1
            self._cancelled += cancelled
            self._expired += not cancelled

    def wrong(self, fault: Fault, describe: Callable[[], Mismatch]) -> None:
        """Count a wrong answer, and keep it in full if it is one of the first of its kind."""
        with self._lock:
            self._faults[fault] += 1
            if self._faults[fault] > SHOWN:
                return
        mismatch = describe()  # takes its time
        with self._lock:
            self._shown.append(mismatch)

    def raised(self, error: BaseException, where: str, asked: str) -> None:
        """Count an exception, and keep the first of its class with its traceback."""
        kind = type(error).__qualname__
        with self._lock:
            self._requests += 1
            if self._count_known(kind):
                return
        # Formatting runs foreign code, such as the error's __str__: not under the lock.
        trace = "".join(traceback.format_exception(error))
        first = Failure(kind, 1, where, asked, described_with_causes(error), trace)
        with self._lock:
            if not self._count_known(kind):  # another thread may have been faster
                self._failures[kind] = first

    def _count_known(self, kind: str) -> bool:
        known = self._failures.get(kind)
        if known is not None:
            self._failures[kind] = dataclasses.replace(known, count=known.count + 1)
        return known is not None

    def read(self) -> Entries:
        """Return everything that was recorded until now."""
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
