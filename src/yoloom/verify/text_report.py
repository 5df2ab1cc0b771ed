"""Renders a report as text: for a terminal, and for the test that it fails."""

from __future__ import annotations

from itertools import zip_longest

from yoloom.values import counted
from yoloom.verify.journal import Failure, Mismatch
from yoloom.verify.leaks import MIB
from yoloom.verify.report_data import ReportData

Pairs = list[tuple[str, str]]
"""Rows of a name and a text."""

TRACE_LINES = 8

LEVEL_COLUMNS = ("mode", "callers", "requests", "wrong", "raised", "images/s", "p50 ms", "p95 ms", "p99 ms")


def render_text(report: ReportData) -> str:
    """Return the verdict, the facts of the check, and the details of everything that was wrong."""
    facts = facts_of(report)
    width = max(len(name) for name, _ in facts)
    lines = [f"{name.ljust(width)}  {text}" for name, text in facts]
    return "\n".join([f"{report.target}: {verdict_line(report)}", "", *lines, *details_of(report)])


def verdict_line(report: ReportData) -> str:
    """Return the verdict in one line."""
    if report.ok:
        return f"pass: {report.concurrent} concurrent answers, each that of its own call alone"
    more = f" (and {len(report.findings) - 1} more)" if len(report.findings) > 1 else ""
    return f"{report.verdict.value}: {report.findings[0].words}{more}"


def facts_of(report: ReportData) -> Pairs:
    """Return the facts of the check, by name."""
    ended = [f"{report.cancelled} cancelled"] * bool(report.cancelled)
    ended += [f"{report.expired} past their deadline"] * bool(report.expired)
    sequential = report.requests - report.concurrent
    requests = f"{report.concurrent} at once, {sequential} one after the other"
    raised = sum(failure.count for failure in report.exceptions)
    kinds = ", ".join(f"{failure.count} {failure.kind}" for failure in report.exceptions)
    at_once = f"{report.seconds_at_once:.1f} at once in {counted(report.laps, 'lap')}"
    last = report.memory.laps[-1].memory_bytes if report.memory.laps else 0
    memory = f"{last / MIB:.0f} MiB, {report.memory.growth_bytes / MIB:+.1f} MiB since the first lap"
    if not last:
        memory = "not told by this system"
    elif not report.memory.judged:
        memory += " (too few laps to tell a leak)"
    pictures = f"{counted(report.pictures, 'picture')}{f' and {report.crops} crops of them' if report.crops else ''}"
    first = f"of {counted(report.instances, 'instance')}, and about {counted(report.new_sizes, 'new size')}, at once"
    return [
        ("target", report.target),
        *report.facts.items(),
        ("asked", f"{report.cases} cases of {pictures}, {report.distinct} different answers"),
        ("first calls", first),
        ("compared", f"within {report.tolerance:g}" if report.tolerance else "bit for bit"),
        ("requests", f"{requests} ({', '.join(ended)})" if ended else requests),
        ("mismatches", str(report.mismatches)),
        ("exceptions", f"{raised} ({kinds})" if raised else "0"),
        ("hangs", str(int(report.hang is not None))),
        ("late answers", str(len(report.late))),
        ("memory at rest", memory),
        ("took", f"{report.seconds:.1f} s, {at_once}, seed {report.seed}"),
        *(("note", note) for note in report.notes),
        *(("not tried", thing) for thing in report.untried),
    ]


def level_rows(report: ReportData) -> list[tuple[object, ...]]:
    """Return a row for each number of callers, under LEVEL_COLUMNS."""
    rows: list[tuple[object, ...]] = []
    for level in report.levels:
        figures = (level.images_per_second, level.p50_ms, level.p95_ms, level.p99_ms)
        counts = (level.mode, level.callers, level.requests, level.mismatches, level.exceptions)
        rows.append((*counts, *("-" if figure is None else figure for figure in figures)))
    return rows


def details_of(report: ReportData) -> list[str]:
    """Return lines: findings, the first wrong answers side by side, exceptions with traces, the stacks of a hang."""
    lines: list[str] = []
    for finding in report.findings:
        lines += ["", f"{finding.verdict.value}: {finding.words}"]
    for mismatch in report.shown:
        lines += ["", f"wrong answer, {mismatch.fault.value}:", *_hanging(mismatch_pairs(mismatch))]
        rows = [("came", "expected"), *answers_of(mismatch)]
        width = max(len(came) for came, _ in rows)
        for index, (came, expected) in enumerate(rows):
            mark = "!=" if index and came != expected else "  "
            lines.append(f"    {came.ljust(width)}  {mark}  {expected}".rstrip())
    for failure in report.exceptions:
        lines += ["", f"{failure.kind}:", *_hanging(failure_pairs(failure))]
    if report.hang is not None:
        lines += ["", "where the threads stood:", report.hang.stacks]
    return lines


def mismatch_pairs(mismatch: Mismatch) -> Pairs:
    """Return the case of a wrong answer, and whose answer it was; the answers themselves stand side by side below."""
    then = f", which {mismatch.by} had asked for" if mismatch.by else ""
    return [
        ("where", mismatch.where),
        ("asked", mismatch.asked),
        *([("wrong", mismatch.members)] if mismatch.members else []),
        *([("whose", f"{mismatch.whose}{then}")] if mismatch.whose else []),
    ]


def answers_of(mismatch: Mismatch) -> list[tuple[str, str]]:
    """Return the lines of the answer that came with those of the one that was expected."""
    return list(zip_longest(mismatch.came.splitlines(), mismatch.expected.splitlines(), fillvalue=""))


def failure_pairs(failure: Failure) -> Pairs:
    """Return the first of the exceptions of a kind, with the end of its traceback."""
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
