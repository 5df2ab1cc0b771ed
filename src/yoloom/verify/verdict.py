"""From what was seen to what is said: diagnoses, and the one that the others follow from."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from yoloom.verify.baseline import Unsteady
from yoloom.verify.crowd import Hang
from yoloom.verify.journal import Entries
from yoloom.verify.leaks import Leak
from yoloom.verify.reference import Fault


class Verdict(enum.Enum):
    """How a check ends. In order: the first that holds is the verdict, because the later ones can follow from it."""

    HANG = "hang"
    CHANGED_INPUT = "changed input"
    CHANGED = "changed after delivery"
    UNSTEADY = "not deterministic"
    CROSS_TALK = "cross-talk"
    TORN = "torn answers"
    EXCEPTIONS = "exceptions"
    LEAK = "leak"
    INCONCLUSIVE = "inconclusive"
    PASS = "pass"  # noqa: S105  no password


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong, in words. Immutable: shared freely."""

    verdict: Verdict
    words: str


@dataclass(frozen=True)
class Evidence:
    """All that was seen. Immutable: shared freely.

    distinct: different answers to so many cases. written: pictures whose bytes the target changed.
    """

    entries: Entries
    concurrent: int
    cases: int
    distinct: int
    hang: Hang | None = None
    unsteady: Unsteady | None = None
    written: tuple[str, ...] = ()
    leaks: Sequence[Leak] = ()


def find(evidence: Evidence) -> tuple[Finding, ...]:
    """All findings, in the order of `Verdict`; the first is the verdict, and none means that it passed."""
    faults = evidence.entries.faults
    found = [
        *_hang(evidence.hang),
        *_written(evidence.written),
        *_changed(faults),
        *_unsteady(evidence.unsteady),
        *_cross_talk(faults, evidence.concurrent),
        *_torn(faults, evidence.concurrent),
        *_exceptions(evidence.entries),
        *(Finding(Verdict.LEAK, _leak(leak)) for leak in evidence.leaks),
    ]
    return tuple(found or _inconclusive(evidence.cases, evidence.distinct))


def _hang(hang: Hang | None) -> list[Finding]:
    if hang is None:
        return []
    more = f", and {hang.others} more with it" if hang.others else ""
    return [
        Finding(
            Verdict.HANG,
            f"{hang.where} waited {hang.seconds:g} s for {hang.asked}{more}; where all threads stood is in the report.",
        )
    ]


def _written(pictures: Sequence[str]) -> list[Finding]:
    if not pictures:
        return []
    return [
        Finding(
            Verdict.CHANGED_INPUT,
            f"it writes to the pictures that it is given ({', '.join(pictures)}): another caller may be using them.",
        )
    ]


def _changed(faults: Mapping[Fault, int]) -> list[Finding]:
    count = faults.get(Fault.CHANGED, 0)
    if not count:
        return []
    return [
        Finding(
            Verdict.CHANGED,
            f"{count} answers changed after they had been delivered: they share memory with later ones. Copy what "
            "leaves the model.",
        )
    ]


def _unsteady(unsteady: Unsteady | None) -> list[Finding]:
    if unsteady is None:
        return []
    offer = unsteady.offer
    help_ = (
        f"the largest difference is {unsteady.difference:.1g}: with --tolerance {offer:g} it can be checked."
        if offer is not None
        else "no tolerance helps: shapes, classes or counts differ. Its answers depend on earlier calls, or on chance."
    )
    return [
        Finding(
            Verdict.UNSTEADY,
            f"{unsteady.count} of {unsteady.of} cases got another answer the second time although nobody else was "
            f"asking; {help_}",
        )
    ]


def _cross_talk(faults: Mapping[Fault, int], requests: int) -> list[Finding]:
    options, pictures = faults.get(Fault.OTHER_OPTIONS, 0), faults.get(Fault.OTHER_PICTURE, 0)
    if not options + pictures:
        return []
    kinds = [f"{options} the answer for other options"] * bool(options)
    kinds += [f"{pictures} that for another picture"] * bool(pictures)
    return [
        Finding(
            Verdict.CROSS_TALK,
            f"{options + pictures} of {requests} concurrent answers were another case's: {', '.join(kinds)}.",
        )
    ]


def _torn(faults: Mapping[Fault, int], requests: int) -> list[Finding]:
    torn, unraised = faults.get(Fault.TORN, 0), faults.get(Fault.UNRAISED, 0)
    found = []
    if torn:
        words = f"{torn} of {requests} concurrent answers were no case's: mixed, or computed from half-changed state."
        found.append(Finding(Verdict.TORN, words))
    if unraised:
        words = f"{unraised} of {requests} concurrent calls gave an answer where alone there is an error."
        found.append(Finding(Verdict.TORN, words))
    return found


def _exceptions(entries: Entries) -> list[Finding]:
    if not entries.failures:
        return []
    kinds = ", ".join(f"{failure.count} {failure.kind}" for failure in entries.failures)
    return [
        Finding(
            Verdict.EXCEPTIONS,
            f"{entries.raised} of {entries.requests} requests raised what they do not raise alone: {kinds}.",
        )
    ]


def _leak(leak: Leak) -> str:
    return (
        f"{leak.what} grow under the same load: {leak.total:+,.0f} after the first lap, "
        f"{leak.per_request:,.4g} for each request."
    )


def _inconclusive(cases: int, distinct: int) -> list[Finding]:
    if distinct > 1:
        return []
    why = (
        "there is only one case, so that nothing could have been mixed up: give more pictures, or a target that takes "
        "options."
        if cases == 1
        else "all cases have the same answer, so that nothing could have been mixed up visibly: give pictures in which "
        "different things are found."
    )
    return [Finding(Verdict.INCONCLUSIVE, why)]
