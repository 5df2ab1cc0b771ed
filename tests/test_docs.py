"""The pages about the design say what the code has: files, functions, constants, the order of the layers."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import yoloom
from yoloom.errors import YoloomError

PACKAGE = Path(yoloom.__file__).parent
REPOSITORY = Path(__file__).parent.parent
DESIGN = (REPOSITORY / "docs" / "design.md").read_text(encoding="utf-8")
PAGES = [
    "README.md",
    "CONTRIBUTING.md",
    "docs/design.md",
    "docs/decisions.md",
    "docs/extending.md",
    "docs/gpu.md",
    "docs/workers.md",
]

MOST_STEPS = 30


def marked(name: str) -> str:
    """The part of the design page between two marks."""
    return DESIGN.split(f"<!-- {name} -->")[1].split(f"<!-- end of the {name} -->")[0]


def test_the_order_is_that_of_the_layers() -> None:
    source = Path(__file__).with_name("test_layers.py").read_text(encoding="utf-8")
    order = re.findall(r'"(\w+)"', source.split("ORDER = [")[1].split("]")[0])
    assert re.findall(r"^\| `(\w+)` \|", marked("order"), flags=re.MULTILINE) == order


STEPS = re.findall(r"^(\d+)\. `([^`]+)` `([^`]+)`", marked("steps"), flags=re.MULTILINE)


def test_a_request_is_told_in_few_steps() -> None:
    assert [int(number) for number, _, _ in STEPS] == list(range(1, len(STEPS) + 1))
    assert 20 <= len(STEPS) <= MOST_STEPS
    assert len(re.findall(r"^\d+\. ", marked("steps"), flags=re.MULTILINE)) == len(STEPS)


CONSTANTS = re.findall(r"^\| `([^`]+\.py)` `(\w+)` \|", DESIGN, flags=re.MULTILINE)


@pytest.mark.parametrize(("file", "name"), [*(step[1:] for step in STEPS), *CONSTANTS])
def test_what_a_page_names_is_in_that_file(file: str, name: str) -> None:
    source = (PACKAGE / file).read_text(encoding="utf-8")
    assert re.search(rf"^\s*(?:def |class )?{name}\b\s*(?:[:=(\[]|$)", source, flags=re.MULTILINE), f"{file}: no {name}"


@pytest.mark.parametrize("page", PAGES)
def test_files_and_links_of_a_page_are_there(page: str) -> None:
    text = (REPOSITORY / page).read_text(encoding="utf-8")
    for link in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text):
        assert "://" in link or (REPOSITORY / page).parent.joinpath(link).exists(), f"{page} links to {link}"
    names = {path.name for path in REPOSITORY.joinpath("src").rglob("*.py")}
    for name in re.findall(r"`([\w./]+\.py)`", text):
        places = [REPOSITORY, PACKAGE, PACKAGE / "formats" / "checkpoint", REPOSITORY / "tests", PACKAGE.parent]
        there = any(place.joinpath(name).is_file() for place in places) or ("/" not in name and name in names)
        assert there or "NAME" in name or name == "mycode.py", f"{page} names {name}"


def test_errors_that_a_page_names_exist() -> None:
    known = {
        cls.__name__ for cls in vars(yoloom.errors).values() if isinstance(cls, type) and issubclass(cls, YoloomError)
    }
    for page in PAGES:
        text = (REPOSITORY / page).read_text(encoding="utf-8")
        named = set(re.findall(r"`(\w+(?:Failed|Closed|Full|Busy|Exceeded|Crashed|Unavailable|Engine|Failure))`", text))
        assert named - {"Engine"} <= known, page


def test_the_first_program_of_the_readme_prints_what_it_says(capsys: pytest.CaptureFixture[str]) -> None:
    page = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    program, output = re.findall(r"```(?:python|text)\n(.*?)```", page, re.DOTALL)[:2]
    scope: dict[str, Any] = {}
    try:
        exec(program, scope)
    finally:
        scope["model"].close()
    assert capsys.readouterr().out == output
    longest = max(
        len(line) for block in re.findall(r"```\w*\n(.*?)```", page, re.DOTALL) for line in block.splitlines()
    )
    assert longest <= 80
