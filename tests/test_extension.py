"""What it takes to add a backend or a source: one file and one entry, and no other part knows its name."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import yoloom
from mirror_backend import BOX, ENTRY
from yoloom import YOLO, Frame
from yoloom.cli.main import main
from yoloom.errors import InvalidOption, UnknownDevice
from yoloom.facade import open_model
from yoloom.runtime.registry import TABLE
from yoloom.testing import barrier_run
from yoloom.workers.recipe import Recipe, file_recipe

ROOT = Path(yoloom.__file__).parent
REPOSITORY = Path(__file__).parent.parent
FILES_OF_AN_ADDITION = 4

NAMED_ELSEWHERE = {
    "formats/openvino_ir.py": "the name of a file format",
    "formats/read.py": "the name of a file format",
    "facade/export_model.py": "writes that file format, with its own library",
    "facade/cpu_budget.py": "looks at libraries that the program has imported",
    "cli/arguments.py": "the table's names, for help that imports no runtime; held to the table by tests/cli",
    "cli/command_arguments.py": "the name of a file format",
    "cli/installation.py": "packages whose versions reports tell",
    "results/arrays.py": "answers PyTorch when that asks, in programs that use it on results",
    "system/machine.py": "packages whose versions reports tell",
    "bench/bench_report.py": "packages whose versions reports tell",
    "verify/adapters.py": "other libraries as targets of `yoloom verify`, without yoloom between",
}
"""Files outside of `runtime/` that spell the name of a backend, though they choose none."""


def picture(x: int, y: int) -> np.ndarray:
    """A dark picture of 64 x 64 pixels with a bright one in it."""
    image = np.full((64, 64, 3), 20, np.uint8)
    image[y, x] = 255
    return image


@pytest.fixture
def mirror(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TABLE, "mirror", ENTRY)


@pytest.fixture
def model(mirror: None, tiny_onnx: Callable[..., Path]) -> Iterator[YOLO]:
    with YOLO(tiny_onnx(), backend="mirror") as model:
        yield model


# ---- A backend


def test_a_backend_is_opened_by_its_name(model: YOLO) -> None:
    (result,) = model.predict(picture(40, 24), imgsz=64)
    assert result.boxes.xyxy.tolist() == [[40 - BOX / 2, 24 - BOX / 2, 40 + BOX / 2, 24 + BOX / 2]]
    assert result.boxes.conf.tolist() == [1.0]
    assert model.guarantee().backend == "mirror"


def test_it_serves_many_callers_with_the_same_bits(model: YOLO) -> None:
    images = [picture(8 + 6 * number, 50 - 4 * number) for number in range(8)]
    alone = [model.predict(image, imgsz=64)[0].boxes.data.tobytes() for image in images]
    together = barrier_run(8, lambda number: model.predict(images[number], imgsz=64)[0].boxes.data.tobytes())
    assert together == alone
    assert len(set(alone)) == 8
    assert model.statistics().succeeded == 16


def test_the_command_line_knows_it(
    mirror: None, tiny_onnx: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, image = str(tiny_onnx()), str(tmp_path / "bright.png")
    cv2.imwrite(image, picture(16, 32))
    assert main(["predict", path, image, "--backend", "mirror", "--imgsz", "64", "--format", "json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert found["detections"][0]["confidence"] == 1.0
    assert main(["info", path, "--backend", "mirror", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["guarantee"]["backend"] == "mirror"


@pytest.mark.slow
def test_workers_run_it(mirror: None, tiny_onnx: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """The entry is there in the parent only, so the opener of the test makes it in the worker too."""

    def recipe(*arguments: Any) -> Recipe:
        return replace(file_recipe(*arguments), opener="mirror_backend:open_registered")

    monkeypatch.setattr(open_model, "file_recipe", recipe)
    with YOLO(tiny_onnx(), backend="mirror", workers=1) as model:
        (result,) = model.predict(picture(40, 24), imgsz=64)
        assert result.boxes.xyxy.tolist() == [[40 - BOX / 2, 24 - BOX / 2, 40 + BOX / 2, 24 + BOX / 2]]
        assert model.guarantee().backend == "mirror"


def test_messages_read_the_table(mirror: None, tiny_onnx: Callable[..., Path]) -> None:
    with pytest.raises(InvalidOption, match=r"backend must be one of .*mirror, got 'miror'"):
        YOLO(tiny_onnx(), backend="miror")
    with pytest.raises(UnknownDevice, match="device must be 'cpu' for backend 'mirror'"):
        YOLO(tiny_onnx(), backend="mirror", device="cuda")


def test_every_extra_of_the_table_can_be_installed() -> None:
    project = (REPOSITORY / "pyproject.toml").read_text(encoding="utf-8")
    section = project.split("[project.optional-dependencies]")[1].split("\n[")[0]
    extras = {entry.extra for entry in TABLE.values()} - {""}
    assert extras <= set(re.findall(r"^([\w-]+) = ", section, flags=re.MULTILINE))


def spelled_names(source: str) -> set[str]:
    """Names of backends in the code, and imports of their modules; docstrings and comments aside."""
    names = set()
    tree = ast.parse(source)
    described = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    modules = {entry.module for entry in TABLE.values()}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and id(node) not in described and node.value in {*TABLE, *modules}:
            names.add(node.value)
        if isinstance(node, ast.ImportFrom) and node.module in modules:
            names.add(node.module)
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names} & modules
    return names


def test_names_of_backends_stand_in_their_table_only() -> None:
    paths = [path for path in sorted(ROOT.rglob("*.py")) if path.relative_to(ROOT).parts[0] != "runtime"]
    found = {
        path.relative_to(ROOT).as_posix(): names
        for path in paths
        if (names := spelled_names(path.read_text(encoding="utf-8")))
    }
    assert set(found) <= set(NAMED_ELSEWHERE), found


def test_a_spelled_name_is_found() -> None:
    assert spelled_names('backend = "openvino"') == {"openvino"}
    assert spelled_names("from yoloom.runtime.openvino import core") == {"yoloom.runtime.openvino"}
    assert spelled_names('"""openvino"""') == set()


# ---- A source


class Blinker:
    """A source of frames, as a program may write one: a bright pixel that moves."""

    def __init__(self, name: str, row: int) -> None:
        self.name = name
        self.row = row

    def __iter__(self) -> Iterator[Frame]:
        for index in range(4):
            yield Frame(picture(8 + 12 * index, self.row), self.name, index, captured_at_s=index / 25)


def test_a_source_is_anything_that_gives_frames(model: YOLO) -> None:
    door, yard = Blinker("door", 16), Blinker("yard", 48)
    frames = [frame for pair in zip(door, yard, strict=True) for frame in pair]
    results = list(model.map(iter(frames), imgsz=64))
    assert [result.frame for result in results] == [frame.id for frame in frames]
    for result, frame in zip(results, frames, strict=True):
        x, y = np.unravel_index(frame.image.sum(axis=2).argmax(), (64, 64))[::-1]
        assert result.boxes.xywh.tolist() == [[x, y, BOX, BOX]]


# ---- The page that lists the files


def file_lists() -> dict[str, list[str]]:
    """Headings of docs/extending.md, each with the files of its numbered list."""
    text = (REPOSITORY / "docs" / "extending.md").read_text(encoding="utf-8")
    parts = re.split(r"^## (.+)\n", text, flags=re.MULTILINE)
    return {
        heading: re.findall(r"^\d+\. `([^`]+)`", body, flags=re.MULTILINE)
        for heading, body in zip(parts[1::2], parts[2::2], strict=True)
    }


@pytest.mark.parametrize("heading", ["A backend", "A source", "A task"])
def test_an_addition_touches_few_files(heading: str) -> None:
    files = file_lists()[heading]
    assert 1 <= len(files) <= FILES_OF_AN_ADDITION
    for name in files:
        folder = REPOSITORY / name.replace("NAME", "*")
        assert "NAME" in name or folder.is_file(), f"{name} is not there"
        assert folder.parent.is_dir(), f"{name} has no folder"
