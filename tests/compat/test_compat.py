"""Programs written for Ultralytics mean the same here: each idiom against what Ultralytics 8.4.190 answered.

golden.json was written by tools/golden_compat.py in the oracle's environment; nothing of Ultralytics runs here.
"""

from __future__ import annotations

import importlib.util
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import compatibility_page
from compat_cases import GROUPS
from compat_runner import DATA, Case, answers, same
from yoloom import YOLO

HERE = Path(__file__).parent
GOLDEN: dict[str, dict[str, Any]] = json.loads((HERE / "golden.json").read_text(encoding="utf-8"))["answers"]
CASES = [pytest.param(name, case, id=f"{name}: {case.code}") for name, group in GROUPS.items() for case in group.cases]
OWN_ERRORS = ("YoloomError", "InputError", "FrozenInstanceError", "TypeError")


@pytest.fixture(scope="module", autouse=True)
def open_model() -> Iterator[None]:
    """One handle open throughout, so that the network of the cases is compiled once."""
    with YOLO(DATA / "tiny-detect.pt"):
        yield


def test_every_idiom_has_the_answer_of_ultralytics() -> None:
    """Also that none is there twice, and none is left over."""
    assert {name: [*cases] for name, cases in GOLDEN.items()} == {
        name: [case.code for case in group.cases] for name, group in GROUPS.items()
    }


@pytest.mark.parametrize(("name", "case"), CASES)
def test_an_idiom_means_the_same_or_is_listed(name: str, case: Case) -> None:
    for module in case.needs:
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"needs {module}")
    expected = GOLDEN[name][case.code]
    got = json.loads(json.dumps(answers("yoloom", GROUPS[name], case)))
    is_same = same(got, expected)
    if not case.differs:
        assert is_same, f"expected {expected}, got {got}"
    else:
        assert not is_same, "the page says that it differs"
        is_error = isinstance(got, dict) and "error" in got
        assert is_error == bool(case.says), got
        if is_error:
            assert re.search(case.says, got["text"]), got


def test_the_page_is_that_of_the_cases() -> None:
    assert compatibility_page.PAGE.read_text(encoding="utf-8") == compatibility_page.page()
