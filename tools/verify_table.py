"""The figures of docs/verify.md: what `yoloom verify` said of other libraries, from benchmarks/results/verify.json.

`tools/benchmarks_page.py` writes them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marked_block import filled

PAGE = "verify.md"
PACKAGES = ("ultralytics", "openvino", "onnxruntime")
Found = Mapping[str, Any]


def page(text: str, result: Found) -> str:
    """The page with the figures of `result`."""
    return filled(text, "figures", "verify_table", made(result))


def made(result: Found) -> str:
    """What stands between the marks."""
    columns = ["", *map(_callers, result["callers"]), "what came instead", "errors"]
    rows = [_row(name, found) for name, found in result["contenders"].items()]
    lines = [f"| {' | '.join(cells)} |" for cells in (columns, ["---"] * len(columns), *rows)]
    return "\n".join([_how(result), "", *lines])


def _how(result: Found) -> str:
    versions = ", ".join(f"{name} {result['versions'][name]}" for name in PACKAGES)
    machine = result["machine"]
    return (
        "Wrong answers of all requests, by callers. A trained YOLOv8s, two photographs, "
        f"{result['seconds']:g} seconds for each on {machine['cores']} cores ({machine['cpu']}); {versions}; "
        f"`benchmarks/verify_adapters.py`, {result['date']}."
    )


def _callers(count: int) -> str:
    return f"{count} caller{'s' * (count != 1)}"


def _row(name: str, found: Found) -> list[str]:
    most_first = sorted(found["faults"].items(), key=lambda fault: -fault[1])
    faults = ", ".join(f"{count:,} {words}" for words, count in most_first)
    errors = ", ".join(f"{failure['count']:,} {failure['message']}" for failure in found["exceptions"])
    return [name, *(_wrong(level) for level in found["levels"]), faults, errors or "0"]


def _wrong(level: Found) -> str:
    words = f"{level['mismatches']:,} of {level['requests']:,}"
    return f"**{words}**" if level["mismatches"] else words
