"""docs/compatibility.md, made of the idioms of tests/compat and tools/compatibility_page.md.

PYTHONPATH=tests/compat python tools/compatibility_page.py
"""

from __future__ import annotations

import json
from pathlib import Path
from string import Template

from compat_cases import GROUPS
from compat_runner import Case

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "compatibility.md"
TEMPLATE = Path(__file__).with_suffix(".md")
GOLDEN = ROOT / "tests" / "compat" / "golden.json"


def page() -> str:
    """Return the whole page."""
    cases = [case for group in GROUPS.values() for case in group.cases]
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))
    refused = [case for case in cases if case.differs and case.says]
    different = [case for case in cases if case.differs and not case.says]
    same = [
        f"### {group.title}\n\nGiven {group.given}.\n\n```text\n"
        + "\n".join(case.code for case in group.cases if not case.differs)
        + "\n```"
        for group in GROUPS.values()
        if any(not case.differs for case in group.cases)
    ]
    return Template(TEMPLATE.read_text(encoding="utf-8")).substitute(
        ultralytics=golden["ultralytics"],
        idioms=len(cases),
        same=len(cases) - len(refused) - len(different),
        different=len(different),
        refused=len(refused),
        different_rows=_rows(different),
        refused_rows=_rows(refused),
        same_lists="\n\n".join(same),
    )


def _rows(cases: list[Case]) -> str:
    """Return the rows of a table: idioms of one reason together."""
    codes: dict[str, list[str]] = {}
    for case in cases:
        codes.setdefault(case.differs, []).append(f"`{case.code}`".replace("|", "\\|"))
    return "\n".join(f"| {'<br>'.join(idioms)} | {reason} |" for reason, idioms in codes.items())


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
