"""Where the calls of a handle write: one folder for the same place, and nothing is written over."""

from __future__ import annotations

import importlib.resources
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import pytest

from yoloom import YOLO, errors
from yoloom.assets import DEMO_MODEL
from yoloom.facade.output_folder import OutputFolders
from yoloom.options import SaveOptions
from yoloom.testing import barrier_run, shaken

SCENES = sorted(Path(str(importlib.resources.files("yoloom.assets"))).glob("scene-*.jpg"))
OPTIONS: dict[str, Any] = {"imgsz": 160, "save": True}


@pytest.fixture
def model(demo_stays_open: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[YOLO]:
    monkeypatch.chdir(tmp_path)
    with YOLO(DEMO_MODEL) as opened:
        yield opened


def written(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_a_loop_of_calls_writes_into_one_folder(model: YOLO, tmp_path: Path) -> None:
    """Seen to fail: predict, predict2, predict3, one folder for each call."""
    for scene in SCENES[:3]:
        (result,) = model.predict(scene, **OPTIONS)
        assert result.save_dir == "runs/detect/predict"
    assert written(tmp_path) == [f"runs/detect/predict/{scene.name}" for scene in SCENES[:3]]


def test_pictures_of_one_name_are_all_kept(model: YOLO, tmp_path: Path) -> None:
    """Arrays have no name: all of them are image0.jpg."""
    for scene in SCENES[:3]:
        model.predict(cv2.imread(str(scene)), **OPTIONS)
    folder = tmp_path / "runs/detect/predict"
    assert written(folder) == ["image0-2.jpg", "image0-3.jpg", "image0.jpg"]


def test_threads_on_one_handle_lose_no_picture(model: YOLO, tmp_path: Path) -> None:
    """Seen to fail (pictures are written over) without the locks."""
    barrier_run(8, lambda _: model.predict(cv2.imread(str(SCENES[0])), **OPTIONS))
    assert [path.name for path in (tmp_path / "runs/detect").iterdir()] == ["predict"]
    assert len(written(tmp_path)) == 8


def test_threads_make_one_folder(tmp_path: Path) -> None:
    """Seen to fail (two folders in nearly every round) without the lock of the table."""
    for turn in range(20):
        folders, options = OutputFolders(), SaveOptions(save=True, project=str(tmp_path / str(turn)))
        with shaken():
            found = barrier_run(8, lambda _, folders=folders, options=options: folders.find(options, "detect"))
        assert len(set(map(id, found))) == 1
        assert len(list((tmp_path / str(turn)).iterdir())) == 1


def test_another_handle_has_another_folder(model: YOLO, tmp_path: Path) -> None:
    model.predict(SCENES[0], **OPTIONS)
    with YOLO(DEMO_MODEL) as other:
        other.predict(SCENES[0], **OPTIONS)
    assert written(tmp_path / "runs/detect") == [f"predict-2/{SCENES[0].name}", f"predict/{SCENES[0].name}"]


def test_each_place_has_its_folder(model: YOLO, tmp_path: Path) -> None:
    for place in ({"project": "P", "name": "N"}, {"project": "P", "name": "M"}, {"save_dir": tmp_path / "here"}):
        for _ in range(2):
            model.predict(SCENES[0], **OPTIONS, **place)
    stem = SCENES[0].stem
    names = [f"{stem}-2.jpg", f"{stem}.jpg"]
    assert written(tmp_path) == sorted(f"{folder}/{name}" for folder in ("P/M", "P/N", "here") for name in names)


def test_each_call_writes_what_it_asked_for(model: YOLO, tmp_path: Path) -> None:
    model.predict(SCENES[0], imgsz=160, save_txt=True, conf=0.01, save_dir=tmp_path / "here")
    model.predict(SCENES[1], imgsz=160, save=True, save_dir=tmp_path / "here")
    assert written(tmp_path) == [f"here/labels/{SCENES[0].stem}.txt", f"here/{SCENES[1].name}"]


def test_a_folder_that_can_not_be_made(model: YOLO, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(errors.InvalidOption, match=r"the output folder .* can not be made"):
        model.predict(SCENES[0], **OPTIONS, project="file")
