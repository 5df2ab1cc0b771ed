"""A report as text: for a terminal, and for the test that it fails."""

from __future__ import annotations

from itertools import zip_longest
from typing import TYPE_CHECKING

from yoloom.values import counted
from yoloom.verify.journal import Failure, Mismatch
from yoloom.verify.leaks import MIB

if TYPE_CHECKING:
    from yoloom.verify.report import Level, Report

Pairs = list[tuple[str, str]]

TRACE_LINES = 8


def in_words(report: Report) -> str:
    """The verdict, what was done, and what was wrong."""
    facts = facts_of(report)
    width = max(len(name) for name, _ in facts)
    lines = [f"{name.ljust(width)}  {text}" for name, text in facts]
    return "\n".join([f"{report.target}: {verdict_line(report)}", "", *lines, *details_of(report)])


def verdict_line(report: Report) -> str:
    """In one line."""
    if report.ok:
        return f"pass: {report.concurrent} concurrent answers, each that of its own call alone"
    more = f" (and {len(report.findings) - 1} more)" if len(report.findings) > 1 else ""
    return f"{report.verdict.value}: {report.findings[0].words}{more}"


def facts_of(report: Report) -> Pairs:
    """What was done, by name."""
    within = f"within {report.tolerance:g}" if report.tolerance else "bit for bit"
    return [
        ("target", report.target),
        *report.facts.items(),
        ("asked", f"{report.cases} cases of {report.pictures} pictures, {report.distinct} different answers"),
        ("compared", within),
        ("requests", _requests(report)),
        ("mismatches", str(report.mismatches)),
        ("exceptions", _exceptions(report)),
        ("hangs", str(int(report.hang is not None))),
        ("memory at rest", _memory(report)),
        ("took", _took(report)),
        *(("note", note) for note in report.notes),
    ]


def level_rows(report: Report) -> list[tuple[object, ...]]:
    """A row for each concurrency, under LEVEL_COLUMNS."""
    return [
        (
            level.mode,
            level.callers,
            level.requests,
            level.mismatches,
            level.exceptions,
            *("-" if figure is None else figure for figure in _figures(level)),
        )
        for level in report.levels
    ]


LEVEL_COLUMNS = ("mode", "callers", "requests", "wrong", "raised", "images/s", "p50 ms", "p95 ms", "p99 ms")


def details_of(report: Report) -> list[str]:
    """Findings, the first wrong answers side by side, exceptions with their traces, and the stacks of a hang."""
    lines: list[str] = []
    for finding in report.findings:
        lines += ["", f"{finding.verdict.value}: {finding.words}"]
    for mismatch in report.shown:
        lines += ["", f"wrong answer, {mismatch.fault.value}:", *_hanging(mismatch_pairs(mismatch)), *_beside(mismatch)]
    for failure in report.exceptions:
        lines += ["", f"{failure.kind}:", *_hanging(failure_pairs(failure))]
    if report.hang is not None:
        lines += ["", "where the threads stood:", report.hang.stacks]
    return lines


def _figures(level: Level) -> tuple[float | None, ...]:
    return level.images_per_second, level.p50_ms, level.p95_ms, level.p99_ms


def _took(report: Report) -> str:
    at_once = f"{report.seconds_at_once:.1f} at once in {counted(report.laps, 'lap')}"
    return f"{report.seconds:.1f} s, {at_once}, seed {report.seed}"


def _requests(report: Report) -> str:
    alone = report.requests - report.concurrent
    ended = [f"{report.cancelled} cancelled"] * bool(report.cancelled)
    ended += [f"{report.expired} past their deadline"] * bool(report.expired)
    return f"{report.concurrent} at once, {alone} one after the other" + (f" ({', '.join(ended)})" if ended else "")


def _exceptions(report: Report) -> str:
    count = sum(failure.count for failure in report.exceptions)
    kinds = ", ".join(f"{failure.count} {failure.kind}" for failure in report.exceptions)
    return f"{count} ({kinds})" if count else "0"


def _memory(report: Report) -> str:
    last = report.memory.laps[-1].memory_bytes if report.memory.laps else 0
    if not last:
        return "not told by this system"
    told = f"{last / MIB:.0f} MiB, {report.memory.growth_bytes / MIB:+.1f} MiB since the first lap"
    return told if report.memory.judged else f"{told} (too few laps to tell a leak)"


def mismatch_pairs(mismatch: Mismatch) -> Pairs:
    """What was asked, and whose answer came; that itself stands beside what should have come."""
    then = f", which {mismatch.by} had asked for" if mismatch.by else ""
    return [
        ("where", mismatch.where),
        ("asked", mismatch.asked),
        *([("whose", f"{mismatch.whose}{then}")] if mismatch.whose else []),
    ]


def answers_of(mismatch: Mismatch) -> list[tuple[str, str]]:
    """Line by line what came and what should have come."""
    return list(zip_longest(mismatch.came.splitlines(), mismatch.expected.splitlines(), fillvalue=""))


def _beside(mismatch: Mismatch) -> list[str]:
    """Both answers side by side, with a mark where they differ."""
    rows = [("came", "expected"), *answers_of(mismatch)]
    width = max(len(came) for came, _ in rows)
    marks = ["  ", *("!=" if came != expected else "  " for came, expected in rows[1:])]
    return [
        f"    {came.ljust(width)}  {mark}  {expected}".rstrip()
        for (came, expected), mark in zip(rows, marks, strict=True)
    ]


def failure_pairs(failure: Failure) -> Pairs:
    """The first of the exceptions of a kind, with the end of its traceback."""
    trace = failure.trace.rstrip().splitlines()[-TRACE_LINES:]
    return [
        ("count", str(failure.count)),
        ("first", failure.where),
        ("asked", failure.asked),
        ("message", failure.message),
        ("trace", "\n".join(trace)),
    ]


def _hanging(pairs: Pairs) -> list[str]:
    """Each name with its text, further lines of which are set below."""
    lines = []
    for name, text in pairs:
        head, *rest = text.splitlines() or [""]
        lines += [f"  {name}: {head}", *(f"      {line}" for line in rest)]
    return lines
