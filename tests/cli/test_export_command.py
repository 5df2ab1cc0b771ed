"""`yoloom export` and `yoloom cache` as people and scripts meet them."""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path

import cv2
import pytest

from scenes import scene
from yoloom import YOLO
from yoloom.cli.commands.cache import _ago
from yoloom.cli.exit_codes import ExitCode
from yoloom.cli.main import run_command

CHECKPOINTS = Path(__file__).parents[1] / "data" / "checkpoints"


def run_here(*arguments: object) -> int:
    try:
        return run_command([str(argument) for argument in arguments])
    except SystemExit as end:  # how argparse answers
        return int(end.code or 0)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with best.pt and a.jpg, and a cache of its own."""
    folder = tmp_path / "here"
    folder.mkdir()
    shutil.copy(CHECKPOINTS / "v8-detect.pt", folder / "best.pt")
    cv2.imwrite(str(folder / "a.jpg"), scene(1, (64, 48)).image)
    monkeypatch.setenv("YOLOOM_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(folder)
    return folder


def test_a_checkpoint_is_predicted_with_and_described(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_here("predict", "best.pt", "a.jpg", "--imgsz", 64, "--conf", 0.001, "--format", "json") == ExitCode.OK
    (record,) = json.loads(capsys.readouterr().out)
    assert record["detections"]
    assert run_here("info", "best.pt", "--json") == ExitCode.OK
    facts = json.loads(capsys.readouterr().out)
    assert (facts["format"], facts["bytes"]) == ("checkpoint", (here / "best.pt").stat().st_size)


@pytest.mark.slow
def test_export(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, name, hw in (
        ((), "best.onnx", (640, 640)),
        (("mine.onnx", "--imgsz", "64,96", "--half"), "mine.onnx", (64, 96)),
        (("--dynamic", "--imgsz", 64), "best.onnx", None),
        (("--static", "--imgsz", 64, "--batch", 2, "--no-nms"), "best.onnx", (64, 64)),
        (("--format", "openvino"), "best_openvino_model", (640, 640)),
    ):
        assert run_here("export", "best.pt", *arguments) == ExitCode.OK
        out, err = capsys.readouterr()
        assert (out, err) == (f"{here / name}\n", "")
        with YOLO(here / name) as model:
            assert model.model.input.hw == hw


def test_a_published_checkpoint_is_exported_to_the_working_folder(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    models = here.parent / "cache" / "models"
    models.mkdir(parents=True)
    shutil.move(here / "best.pt", models / "yolov8n.pt")
    assert run_here("export", "yolov8n.pt") == ExitCode.OK
    assert capsys.readouterr().out == f"{here / 'yolov8n.onnx'}\n"
    assert list(models.iterdir()) == [models / "yolov8n.pt"]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("best.pt", "--imgsz", 100), ExitCode.USAGE, "multiples of the network's stride"),
        (("best.pt", "--imgsz", "big"), ExitCode.USAGE, "'big'"),
        (("best.pt", "--batch", 0), ExitCode.USAGE, "batch must be at least 1"),
        (("best.pt", "--format", "engine"), ExitCode.USAGE, "'engine'"),
        (("best.pt", "--dynamic", "--static"), ExitCode.USAGE, "not allowed with"),
        (("best.pt", "best.txt"), ExitCode.USAGE, "name of an .onnx file"),
        (("best.pt", "nowhere/x.onnx"), ExitCode.USAGE, "can not be written"),
        (("a.jpg",), ExitCode.MODEL, "expected a checkpoint (.pt)"),
        (("nothing.pt",), ExitCode.MODEL, "nothing.pt"),
        (("empty.pt",), ExitCode.MODEL, "empty.pt: the file is empty"),
        (("folder.pt",), ExitCode.MODEL, "folder.pt: a folder"),
    ],
)
def test_exit_codes_of_export(
    here: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[object, ...], code: ExitCode, message: str
) -> None:
    (here / "empty.pt").touch()
    (here / "folder.pt").mkdir()
    assert run_here("export", *arguments) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ")
    assert message in err
    assert len(err.splitlines()) == 1


def test_cache_shows_and_clears(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = here.parent / "cache" / "converted"
    assert run_here("cache") == ExitCode.OK
    assert capsys.readouterr().out.splitlines()[:2] == [f"folder  {folder}", "total   0 entries, 0.0 MB"]
    with YOLO("best.pt") as model:
        shutil.copy(CHECKPOINTS / "v3-detect.pt", here / "new.pt")
        YOLO("new.pt").close()
        (entry,) = (path for path in folder.iterdir() if b"best.pt" in path.read_bytes()[-164:])
        os.utime(entry, (time.time() - 3 * 3600,) * 2)
        assert run_here("cache") == ExitCode.OK
        lines = capsys.readouterr().out.splitlines()
        assert [line.split()[0] for line in lines[1:3]] == ["new.pt", "best.pt"]
        assert lines[2].endswith("3 hours ago")
        assert run_here("cache", "--json") == ExitCode.OK
        facts = json.loads(capsys.readouterr().out)
        assert facts["total_bytes"] == sum(path.stat().st_size for path in folder.iterdir())
        assert [entry["checkpoint"] for entry in facts["entries"]] == ["new.pt", "best.pt"]
        assert run_here("cache", "--clear") == ExitCode.OK
        assert capsys.readouterr().out.splitlines()[1].split()[:3] == ["removed", "2", "entries,"]
        assert list(folder.iterdir()) == []
        assert model(here / "a.jpg", imgsz=64)  # goes on
    assert run_here("cache", "--clear", "--json") == ExitCode.OK
    assert json.loads(capsys.readouterr().out)["removed"] == []


def test_a_wrong_limit_is_wrong_usage(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("YOLOOM_CACHE_BYTES", "lots")
    for arguments in (("cache",), ("info", "best.pt")):
        assert run_here(*arguments) == ExitCode.USAGE
        assert "YOLOOM_CACHE_BYTES must be a whole number" in capsys.readouterr().err


def test_ages_are_told_in_the_largest_unit() -> None:
    ages = (-1, 0, 119, 120, 7199, 7200, 172799, 172800)
    assert [_ago(age) for age in ages] == [
        *("0 seconds ago", "0 seconds ago", "119 seconds ago", "2 minutes ago", "119 minutes ago", "2 hours ago"),
        *("47 hours ago", "2 days ago"),
    ]
