"""Writes the survey of networks into docs/formats.md, with src, tests/survey and tools on the path."""

from __future__ import annotations

import tempfile
from pathlib import Path

from survey_cases import CASES, reading_of

PAGE = Path(__file__).parents[1] / "docs" / "formats.md"
BEGIN, END = "<!-- survey: written by tools/formats_table.py -->", "<!-- end of the survey -->"


def table() -> str:
    """Return the table of all networks of the survey, as they are read now."""
    lines = ["| network | metadata | arguments | read as |", "|---|---|---|---|"]
    with tempfile.TemporaryDirectory() as folder:
        for case in CASES:
            arguments = ", ".join(f"`{name}={value!r}`" for name, value in case.arguments.items())
            reading = reading_of(case.write(Path(folder)), case.arguments)
            lines.append(f"| {case.network} | {case.notes} | {arguments} | {reading} |")
    return "\n".join(lines)


def page() -> str:
    """Return the page with a new table. Raises ValueError where it has no place for one."""
    before, begin, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{PAGE} must have the marks {BEGIN} and {END}.")
    return f"{before}{begin}\n\n{table()}\n\n{end}{after}"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
