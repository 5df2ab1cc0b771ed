"""Results as text on stdout, in one of four formats.

A format is a context manager that yields the function to write one `Results` with. Leaving it ends the document, also
when an error is the reason: whatever was written is complete.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any, TextIO

from yoloom.cli.table import RowWriter
from yoloom.results.results import Results
from yoloom.values import strict_json

Write = Callable[[Results], None]
"""Writes the results of one image."""

Format = Callable[[TextIO], AbstractContextManager[Write]]

CORNERS = ("x1", "y1", "x2", "y2")
CSV_COLUMNS = ("file", "class", "name", "confidence", *CORNERS)


@contextmanager
def json_lines(out: TextIO) -> Iterator[Write]:
    """Write one JSON object a line for each image, as soon as it is there."""

    def write(results: Results) -> None:
        out.write(f"{_record(results)}\n")
        out.flush()

    yield write


@contextmanager
def json_document(out: TextIO) -> Iterator[Write]:
    """Write one JSON list with an object for each image."""
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
    """Write a header, and a row for each detection.

    An oriented box is written as the upright box around it, a class of a classified image without a box.
    """
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)

    def write(results: Results) -> None:
        writer.writerows(
            (results.path, detection["class"], detection["name"], detection["confidence"], *box)
            for detection, box in zip(results.summary(), _upright_boxes(results), strict=True)
        )
        out.flush()

    yield write


@contextmanager
def table(out: TextIO) -> Iterator[Write]:
    """Write a table for people: a row for each detection, as soon as it is there."""
    rows = RowWriter(out, ("file", "class", "name", "conf", *CORNERS))

    def write(results: Results) -> None:
        for detection, box in zip(results.summary(), _upright_boxes(results), strict=True):
            corners = (value if value == "" or not math.isfinite(value) else round(value) for value in box)
            rows.write((results.path, detection["class"], detection["name"], detection["confidence"], *corners))
        if not len(results):
            rows.write((results.path, "", "(no detections)", "", "", "", "", ""))
        out.flush()

    yield write


FORMATS: Mapping[str, Format] = {"table": table, "json": json_document, "jsonl": json_lines, "csv": csv_rows}
"""Name on the command line → format."""


def _record(results: Results) -> str:
    height, width = results.orig_shape
    record: dict[str, Any] = {
        "file": results.path,
        "width": width,
        "height": height,
        "detections": results.summary(),
    }
    return strict_json(record)


def _upright_boxes(results: Results) -> list[tuple[Any, ...]]:
    """Return x1, y1, x2, y2 of each row of the summary; four empty texts for each class of a classified image."""
    if results.detections is None:
        return [("",) * len(CORNERS)] * len(results.summary())
    return [tuple(round(value, 5) for value in box) for box in results.detections.xyxy.tolist()]
