"""Tables for people: drawn on a terminal, aligned by spaces in a file or pipe."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TextIO

Row = Sequence[object]

PLAIN_GAP = "  "


def print_table(out: TextIO, columns: Sequence[str], rows: Sequence[Row]) -> None:
    """Write `rows` under their `columns`; columns of numbers are aligned to the right."""
    cells = [[_cell(value) for value in row] for row in rows]
    right = [any(isinstance(row[index], (int, float)) for row in rows) for index in range(len(columns))]
    if not out.isatty():
        _print_aligned(out, [list(columns), *cells], right)
        return
    from rich import box  # its import takes a while, and only a terminal needs it
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.ROUNDED)
    for column, to_right in zip(columns, right, strict=True):
        table.add_column(column, justify="right" if to_right else "left", overflow="fold")
    for row in cells:
        table.add_row(*row)
    Console(file=out, markup=False, highlight=False, emoji=False).print(table)


def print_facts(out: TextIO, facts: Sequence[tuple[str, object]]) -> None:
    """Write pairs of a name and its value, one a line."""
    cells = [[name, _cell(value)] for name, value in facts]
    if not out.isatty():
        _print_aligned(out, cells, [False, False])
        return
    from rich.console import Console
    from rich.table import Table

    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold")
    grid.add_column(overflow="fold")
    for row in cells:
        grid.add_row(*row)
    Console(file=out, markup=False, highlight=False, emoji=False).print(grid)


def _cell(value: object) -> str:
    """Format a value as one line, without characters by which a file or class name could control the terminal."""
    text = f"{value:,.2f}" if isinstance(value, float) else str(value)
    return "".join(character if character.isprintable() else "?" for character in text)


def _print_aligned(out: TextIO, lines: Sequence[Sequence[str]], right: Sequence[bool]) -> None:
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        padded = [
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(line, widths, right, strict=True)
        ]
        out.write(PLAIN_GAP.join(padded).rstrip() + "\n")
