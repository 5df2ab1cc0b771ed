"""Turns everything that was seen into diagnoses, and finds the one that the others follow from."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from yoloom.verify.reference import Fault

if TYPE_CHECKING:
    from yoloom.verify.baseline import Unsteady
    from yoloom.verify.crowd import Hang
    from yoloom.verify.journal import Entries
    from yoloom.verify.leaks import Leak
    from yoloom.verify.pace import Late


class Verdict(enum.Enum):
    """Ends of a check. In order: the first that holds is the verdict, because the later ones can follow from it."""

    HANG = "hang"
    CHANGED_INPUT = "changed input"
    CHANGED = "changed after delivery"
    UNSTEADY = "not deterministic"
    CROSS_TALK = "cross-talk"
    REORDERED = "reordered answers"
    SWALLOWED = "swallowed answers"
    TORN = "torn answers"
    EXCEPTIONS = "exceptions"
    LEAK = "leak"
    LATE = "late answers"
    INCONCLUSIVE = "inconclusive"
    PASS = "pass"  # noqa: S105  no password


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong, with its explanation. Immutable: shared freely.

    Attributes:
        verdict: its kind.
        words: a sentence for the user.
    """

    verdict: Verdict
    words: str


@dataclass(frozen=True)
class Evidence:
    """Everything that was seen. Immutable: shared freely.

    Attributes:
        entries: of the journal.
        concurrent: requests of the concurrent runs.
        cases: how many.
        distinct: different answers to these cases.
        hang: a request that did not come back.
        unsteady: differences between the two sequential runs.
        written: names of the pictures whose bytes the target changed.
        leaks: that were confirmed.
        late: answers that came late.
    """

    entries: Entries
    concurrent: int
    cases: int
    distinct: int
    hang: Hang | None = None
    unsteady: Unsteady | None = None
    written: tuple[str, ...] = ()
    leaks: tuple[Leak, ...] = ()
    late: tuple[Late, ...] = ()


def find(evidence: Evidence) -> tuple[Finding, ...]:
    """Return all findings, in the order of `Verdict`; the first is the verdict, and none means that it passed."""
    findings = [*_before_all_others(evidence), *_wrong_answers(evidence)]
    entries = evidence.entries
    if entries.failures:
        kinds = ", ".join(f"{failure.count} {failure.kind}" for failure in entries.failures)
        words = f"{entries.raised} of {entries.requests} requests raised what they do not raise alone: {kinds}."
        findings.append(Finding(Verdict.EXCEPTIONS, words))
    for leak in evidence.leaks:
        growth = f"{leak.total:+,.0f} after the first lap, {leak.per_request:,.4g} for each request"
        findings.append(Finding(Verdict.LEAK, f"{leak.what} grow under the same load: {growth}."))
    if evidence.late:
        worst = max(evidence.late, key=lambda late: late.seconds / late.limit_s)
        words = (
            f"{len(evidence.late)} answers came far later than others, though nothing else was kept as long: "
            f"{worst.where} waited {worst.seconds:.2f} s for {worst.asked}; the load explains {worst.limit_s:.2f}."
        )
        findings.append(Finding(Verdict.LATE, words))
    if not findings and evidence.distinct < 2:
        reason = (
            "there is only one case, so that nothing could have been mixed up: give more pictures, or a target that "
            "takes options."
            if evidence.cases == 1
            else "all cases have the same answer, so that nothing could have been mixed up visibly: give pictures in "
            "which different things are found."
        )
        findings.append(Finding(Verdict.INCONCLUSIVE, reason))
    return tuple(findings)


def _before_all_others(evidence: Evidence) -> Iterator[Finding]:
    """Faults that make answers wrong or missing by themselves, without any other caller."""
    hang, unsteady = evidence.hang, evidence.unsteady
    if hang is not None:
        more = f", and {hang.others} more with it" if hang.others else ""
        yield Finding(
            Verdict.HANG,
            f"{hang.where} waited {hang.seconds:g} s for {hang.asked}{more}; where all threads stood is in the report.",
        )
    if evidence.written:
        yield Finding(
            Verdict.CHANGED_INPUT,
            f"it writes to the pictures that it is given ({', '.join(evidence.written)}): another caller may be using "
            "them.",
        )
    changed = evidence.entries.faults.get(Fault.CHANGED, 0)
    if changed:
        yield Finding(
            Verdict.CHANGED,
            f"{changed} answers changed after they had been delivered: they share memory with later ones. Copy what "
            "leaves the model.",
        )
    if unsteady is not None:
        advice = (
            f"the largest difference is {unsteady.difference:.1g}: with --tolerance {unsteady.offer:g} it can be "
            "checked."
            if unsteady.offer is not None
            else "no tolerance helps: shapes, classes or counts differ. Its answers depend on earlier calls, or on "
            "chance."
        )
        yield Finding(
            Verdict.UNSTEADY,
            f"{unsteady.count} of {unsteady.of} cases got another answer the second time although nobody else was "
            f"asking; {advice}",
        )


def _wrong_answers(evidence: Evidence) -> Iterator[Finding]:
    """Faults that callers see in their answers, each under the verdict that says what became of them."""
    for verdict, kinds, what in _WRONG:
        counts = [(fault, evidence.entries.faults.get(fault, 0)) for fault in kinds]
        total = sum(count for _, count in counts)
        if total:
            each = ", ".join(f"{count} {fault.value}" for fault, count in counts if count)
            yield Finding(verdict, f"{total} of {evidence.concurrent} concurrent answers {what}: {each}.")


_WRONG: tuple[tuple[Verdict, tuple[Fault, ...], str], ...] = (
    (Verdict.CROSS_TALK, (Fault.OTHER_OPTIONS, Fault.OTHER_PICTURE, Fault.OTHER_MEMBER), "were another case's"),
    (Verdict.REORDERED, (Fault.REORDERED, Fault.MOVED), "were the right ones in another order"),
    (
        Verdict.SWALLOWED,
        (Fault.EMPTY, Fault.ROWS_MISSING, Fault.NO_ANSWER, Fault.UNRAISED),
        "left out what there is alone",
    ),
    (Verdict.TORN, (Fault.TORN, Fault.EXTRA), "were no case's, mixed or computed from half-changed state"),
)
