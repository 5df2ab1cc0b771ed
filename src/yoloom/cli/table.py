"""Tables for people: drawn on a terminal, aligned by spaces in a file or pipe."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TextIO

Row = Sequence[object]

PLAIN_GAP = "  "
LEAST_WIDTH = 7  # of a column whose rows are not known yet: a coordinate, a confidence, a short name


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


class RowWriter:
    """A table whose rows are written one by one: a column grows with the first cell that is too wide for it.

    Thread safety: one thread at a time.
    """

    def __init__(self, out: TextIO, columns: Sequence[str]) -> None:
        self._out = out
        self._columns = columns
        self._widths: list[int] = []

    def write(self, row: Row) -> None:
        """Write a row; the first one under the names of the columns."""
        cells = [_cell(value) for value in row]
        if not self._widths:
            self._widths = [
                max(LEAST_WIDTH, len(name), len(cell)) for name, cell in zip(self._columns, cells, strict=True)
            ]
            self._write_line(self._columns)
        self._widths = [max(width, len(cell)) for width, cell in zip(self._widths, cells, strict=True)]
        self._write_line(cells)

    def _write_line(self, cells: Sequence[str]) -> None:
        padded = [cell.ljust(width) for cell, width in zip(cells, self._widths, strict=True)]
        self._out.write(PLAIN_GAP.join(padded).rstrip() + "\n")


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
