"""Writes tests/compat/golden.json: what Ultralytics answers to each idiom of tests/compat/compat_cases.py.

python tools/golden_compat.py tests/compat/golden.json      in the oracle's environment
"""

from __future__ import annotations  # noqa: I001

import json
import sys
from pathlib import Path

import cpu_torchvision  # noqa: F401 - before ultralytics, which needs it
import ultralytics

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "compat"))
from compat_cases import GROUPS
from compat_runner import answers


def main(target: Path) -> None:
    found = {
        name: {case.code: answers("ultralytics", group, case) for case in group.cases} for name, group in GROUPS.items()
    }
    for cases in found.values():
        for answer in cases.values():
            if isinstance(answer, dict):
                answer.pop("text", None)  # the words of another program
    document = {"ultralytics": ultralytics.__version__, "answers": found}
    target.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"{target}: {sum(map(len, found.values()))} idioms")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
