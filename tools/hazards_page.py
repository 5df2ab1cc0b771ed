"""docs/hazards.md: tools/hazards_page.md with the figures of benchmarks/results/hazards.json.

`tools/benchmarks_page.py` writes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from string import Template
from typing import Any

PAGE = "hazards.md"
TEMPLATE = Path(__file__).with_suffix(".md")
Found = Mapping[str, Any]


def page(result: Found) -> str:
    """The whole page."""
    return Template(TEMPLATE.read_text()).substitute(
        ultralytics_version=result["versions"]["ultralytics"],
        cpu=result["machine"]["cpu"],
        cores=result["machine"]["cores"],
        **_figures(result["patterns"]),
    )


def _figures(patterns: Found) -> dict[str, str]:
    figures: dict[str, str] = {}
    for letter, library in (("u", "ultralytics"), ("y", "yoloom")):
        shared, passed, thread, process = (
            patterns[name][library]
            for name in ("shared_model", "models_passed_in", "model_per_thread", "model_per_process")
        )
        figures |= {
            f"shared_{letter}": _of(shared),
            f"shared_{letter}_raised": str(shared["raised"]),
            f"own_{letter}": _of(passed["own"]),
            f"two_{letter}": _of(passed["two"]),
            f"thread_{letter}": _of(thread),
            f"thread_{letter}_mib": f"{thread['mib_per_thread']:.1f}",
            f"thread_{letter}_open": f"{thread['open_s']:.3f}",
            f"process_{letter}": _of(process),
            f"process_{letter}_mib": f"{process['mib_per_process']:.0f}",
            f"process_{letter}_ready": f"{process['ready_s']:.1f}",
        }
    return figures


def _of(judged: Found) -> str:
    return f"{judged['wrong']} of {judged['of']}"
