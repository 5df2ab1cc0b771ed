"""A report as one HTML page that needs nothing else: no scripts, no fonts, no network."""

from __future__ import annotations

from collections import defaultdict
from html import escape
from typing import TYPE_CHECKING

from yoloom.telemetry.charts import Points, line_plot
from yoloom.verify.leaks import MIB
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

if TYPE_CHECKING:
    from yoloom.verify.journal import Mismatch
    from yoloom.verify.report import Level, Report

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


def html_page(report: Report) -> str:
    """The whole page. Everything in it that came from outside is escaped."""
    good = " ok" if report.ok else ""
    sections = [
        f"<h1>yoloom verify: {escape(report.target)}</h1>",
        f'<p class="verdict{good}">{escape(verdict_line(report))}</p>',
        *(f"<p>{escape(finding.verdict.value)}: {escape(finding.words)}</p>" for finding in report.findings[1:]),
        _table(facts_of(report)),
        _section("Speed by concurrency", _rows(LEVEL_COLUMNS, level_rows(report)) + _plots(report)),
        *(
            _section(f"Wrong answer: {mismatch.fault.value}", _table(mismatch_pairs(mismatch)) + _beside(mismatch))
            for mismatch in report.shown
        ),
        *(_section(f"Exception: {failure.kind}", _table(failure_pairs(failure))) for failure in report.exceptions),
        _hang(report),
        _section("Machine", _table(list(report.machine.items()))),
    ]
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


def _rows(columns: tuple[str, ...], rows: list[tuple[object, ...]]) -> str:
    head = "".join(f"<th>{escape(column)}</th>" for column in columns)
    lines = "".join("<tr>" + "".join(f"<td>{escape(_cell(value))}</td>" for value in row) + "</tr>" for row in rows)
    return f'<div class="wide"><table class="numbers"><tr>{head}</tr>{lines}</table></div>'


def _beside(mismatch: Mismatch) -> str:
    """What came beside what should have come; lines that differ are marked."""
    answers = answers_of(mismatch)
    columns = ("\n".join(_line(pair[side], pair[0] != pair[1]) for pair in answers) for side in (0, 1))
    cells = "".join(f"<td><pre>{column}</pre></td>" for column in columns)
    return f'<div class="wide"><table><tr><th>came</th><th>expected</th></tr><tr>{cells}</tr></table></div>'


def _line(text: str, differs: bool) -> str:
    return f"<mark>{escape(text)}</mark>" if differs else escape(text)


def _cell(value: object) -> str:
    return f"{value:,.2f}" if isinstance(value, float) else str(value)


def _plots(report: Report) -> str:
    by_mode: defaultdict[str, list[Level]] = defaultdict(list)
    for level in report.levels:
        by_mode[level.mode].append(level)
    rates = {mode: _by_callers(levels, "images_per_second") for mode, levels in by_mode.items()}
    plots = [line_plot(rates, "callers", "images/s", log_x=True)]
    for mode, levels in by_mode.items():
        lines = {name: _by_callers(levels, f"{name}_ms") for name in ("p50", "p95", "p99")}
        plots.append(line_plot(lines, f"callers ({mode})", "latency in ms", log_x=True))
    samples = [(second, count / MIB) for second, count in report.memory.samples if count]
    plots.append(line_plot({"memory": samples}, "seconds", "memory in MiB"))
    rests = [(float(lap), rest.memory_bytes / MIB) for lap, rest in enumerate(report.memory.laps) if rest.memory_bytes]
    plots.append(line_plot({"at rest": rests}, "laps", "memory at rest in MiB", whole_x=True))
    return f'<div class="plots">{"".join(f"<figure>{plot}</figure>" for plot in plots)}</div>'


def _by_callers(levels: list[Level], figure: str) -> Points:
    found = [(float(level.callers), getattr(level, figure)) for level in levels]
    return sorted((callers, value) for callers, value in found if value is not None)


def _hang(report: Report) -> str:
    if report.hang is None:
        return ""
    return _section("Where the threads stood", f"<pre>{escape(report.hang.stacks)}</pre>")
