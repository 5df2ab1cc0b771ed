"""Renders a report as one HTML page that needs nothing else: no scripts, no fonts, no network."""

from __future__ import annotations

from collections import defaultdict
from html import escape

from yoloom.telemetry.charts import LineChart, Points, render_svg
from yoloom.verify.journal import Mismatch
from yoloom.verify.leaks import MIB
from yoloom.verify.report_data import Level, ReportData
from yoloom.verify.text_report import (
    LEVEL_COLUMNS,
    Pairs,
    answers_of,
    facts_of,
    failure_pairs,
    level_rows,
    mismatch_pairs,
    verdict_line,
)

STYLE = """
:root { color-scheme: light dark; --ink: #1d2329; --paper: #fff; --line: #d8dde3; --good: #1c7c4a; --bad: #b3261e }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e4e8ec; --paper: #15191d; --line: #39424b; --good: #5ac48d; --bad: #ff8a80 }
}
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); margin: 2rem auto;
  max-width: 72rem; padding: 0 1rem }
h1 { font-size: 1.4rem } h2 { font-size: 1.1rem; margin-top: 2rem }
.verdict { padding: .6rem .9rem; border-left: .4rem solid var(--bad); border-radius: .2rem }
.verdict.ok { border-color: var(--good) }
table { border-collapse: collapse } th, td { text-align: left; padding: .2rem .8rem .2rem 0; vertical-align: top;
  border-bottom: 1px solid var(--line); overflow-wrap: anywhere }
th, table.numbers td { white-space: nowrap; overflow-wrap: normal }
table.numbers td, table.numbers th { text-align: right }
table.numbers td:first-child, table.numbers th:first-child { text-align: left }
pre { margin: 0; white-space: pre-wrap; font: 12.5px/1.4 ui-monospace, monospace }
.wide { overflow-x: auto; margin-top: .6rem } .wide pre { white-space: pre }
mark { color: inherit; background: color-mix(in srgb, var(--bad) 22%, transparent) }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(24rem, 100%), 1fr)); gap: 1rem;
  margin-top: 1rem }
figure { margin: 0 }
svg { width: 100%; height: auto } svg text { font: 11px system-ui, sans-serif; fill: var(--ink) }
svg .grid { stroke: var(--line) }
"""


def render_html(report: ReportData) -> str:
    """Return the whole page. Everything in it that came from outside is escaped."""
    sections = [
        f"<h1>yoloom verify: {escape(report.target)}</h1>",
        f'<p class="verdict{" ok" if report.ok else ""}">{escape(verdict_line(report))}</p>',
        *(f"<p>{escape(finding.verdict.value)}: {escape(finding.words)}</p>" for finding in report.findings[1:]),
        _table(facts_of(report)),
        _section("Speed by concurrency", _level_table(report) + _plots(report)),
        *(_section(f"Wrong answer: {mismatch.fault.value}", _mismatch(mismatch)) for mismatch in report.shown),
        *(_section(f"Exception: {failure.kind}", _table(failure_pairs(failure))) for failure in report.exceptions),
    ]
    if report.hang is not None:
        sections.append(_section("Where the threads stood", f"<pre>{escape(report.hang.stacks)}</pre>"))
    sections.append(_section("Machine", _table(list(report.machine.items()))))
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><meta name="viewport" '
        f'content="width=device-width"><title>yoloom verify: {escape(report.verdict.value)}</title>'
        f"<style>{STYLE}</style></head>\n<body>\n{''.join(sections)}\n</body></html>\n"
    )


def _section(title: str, content: str) -> str:
    return f"\n<h2>{escape(title)}</h2>\n{content}"


def _table(pairs: Pairs) -> str:
    rows = "".join(f"<tr><th>{escape(name)}</th><td><pre>{escape(text)}</pre></td></tr>" for name, text in pairs)
    return f"<table>{rows}</table>"


def _level_table(report: ReportData) -> str:
    lines = ["".join(f"<th>{escape(column)}</th>" for column in LEVEL_COLUMNS)]
    for row in level_rows(report):
        cells = (f"{value:,.2f}" if isinstance(value, float) else str(value) for value in row)
        lines.append("".join(f"<td>{escape(cell)}</td>" for cell in cells))
    rows = "".join(f"<tr>{line}</tr>" for line in lines)
    return f'<div class="wide"><table class="numbers">{rows}</table></div>'


def _mismatch(mismatch: Mismatch) -> str:
    """The case, and below it the answer that came beside the one that was expected; lines that differ are marked."""
    columns: tuple[list[str], list[str]] = ([], [])
    for came, expected in answers_of(mismatch):
        for column, line in zip(columns, (came, expected), strict=True):
            column.append(f"<mark>{escape(line)}</mark>" if came != expected else escape(line))
    cells = "".join(f"<td><pre>{text}</pre></td>" for text in map("\n".join, columns))
    pairs = _table(mismatch_pairs(mismatch))
    return f'{pairs}<div class="wide"><table><tr><th>came</th><th>expected</th></tr><tr>{cells}</tr></table></div>'


def _plots(report: ReportData) -> str:
    by_mode: defaultdict[str, list[Level]] = defaultdict(list)
    for level in report.levels:
        by_mode[level.mode].append(level)
    rates = {mode: _by_callers(levels, "images_per_second") for mode, levels in by_mode.items()}
    charts = [LineChart(rates, "callers", "images/s", log_x=True)]
    for mode, levels in by_mode.items():
        lines = {name: _by_callers(levels, f"{name}_ms") for name in ("p50", "p95", "p99")}
        charts.append(LineChart(lines, f"callers ({mode})", "latency in ms", log_x=True))
    samples = [(second, count / MIB) for second, count in report.memory.samples if count]
    charts.append(LineChart({"memory": samples}, "seconds", "memory in MiB"))
    rests = [(float(lap), rest.memory_bytes / MIB) for lap, rest in enumerate(report.memory.laps) if rest.memory_bytes]
    charts.append(LineChart({"at rest": rests}, "laps", "memory at rest in MiB", whole_x=True))
    return f'<div class="plots">{"".join(f"<figure>{render_svg(chart)}</figure>" for chart in charts)}</div>'


def _by_callers(levels: list[Level], figure: str) -> Points:
    points = [(float(level.callers), getattr(level, figure)) for level in levels]
    return sorted((callers, value) for callers, value in points if value is not None)
