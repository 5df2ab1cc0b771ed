"""Results as text on stdout, in one of four formats.

A format is a context manager that yields the function to write one `Results` with. Leaving it ends the document, also
when it is left by an error: what was written is whole.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any, TextIO

from yoloom.cli.table import Row, print_table
from yoloom.results.results import Results

Write = Callable[[Results], None]
Format = Callable[[TextIO], AbstractContextManager[Write]]

CORNERS = ("x1", "y1", "x2", "y2")
CSV_COLUMNS = ("file", "class", "name", "confidence", *CORNERS)


@contextmanager
def json_lines(out: TextIO) -> Iterator[Write]:
    """One line for each image, as soon as it is there."""

    def write(results: Results) -> None:
        out.write(f"{_record(results)}\n")
        out.flush()

    yield write


@contextmanager
def json_document(out: TextIO) -> Iterator[Write]:
    """One list with an object for each image."""
    written = 0

    def write(results: Results) -> None:
        nonlocal written
        out.write(f"{',' if written else '['}\n{_record(results)}")
        written += 1

    try:
        yield write
    finally:
        out.write("\n]\n" if written else "[]\n")


@contextmanager
def csv_rows(out: TextIO) -> Iterator[Write]:
    """One header, one row for each detection: of an oriented box the upright one around it, of a class no box."""
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)

    def write(results: Results) -> None:
        writer.writerows(
            (results.path, found["class"], found["name"], found["confidence"], *box)
            for found, box in zip(results.summary(), _upright_boxes(results), strict=True)
        )
        out.flush()

    yield write


@contextmanager
def table(out: TextIO) -> Iterator[Write]:
    """For people: a row for each detection, all at the end."""
    rows: list[Row] = []
    try:
        yield lambda results: rows.extend(_table_rows(results))
    finally:
        if rows:
            print_table(out, ("file", "class", "name", "conf", *CORNERS), rows)


FORMATS: Mapping[str, Format] = {"table": table, "json": json_document, "jsonl": json_lines, "csv": csv_rows}


def _record(results: Results) -> str:
    height, width = results.orig_shape
    record: dict[str, Any] = {
        "file": results.path,
        "width": width,
        "height": height,
        "detections": results.summary(),
    }
    return json.dumps(record)


def _table_rows(results: Results) -> list[Row]:
    if not len(results):
        return [(results.path, "", "(no detections)", "", "", "", "", "")]
    return [
        (results.path, found["class"], found["name"], found["confidence"], *map(_whole, box))
        for found, box in zip(results.summary(), _upright_boxes(results), strict=True)
    ]


def _upright_boxes(results: Results) -> list[tuple[Any, ...]]:
    """The corners of each row of the summary; texts without anything in them for a picture classified as a whole."""
    if results.detections is None:
        return [("",) * len(CORNERS)] * len(results.summary())
    return [tuple(round(value, 5) for value in box) for box in results.detections.xyxy.tolist()]


def _whole(value: Any) -> Any:
    return value if value == "" else round(value)
