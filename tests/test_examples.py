"""The examples run: the guide's four patterns with the import swapped, services, and a batch."""

from __future__ import annotations

import csv
import importlib.util
import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import pytest

from scenes import scene
from yoloom import YOLO
from yoloom.testing import barrier_run

FOLDER = Path(__file__).parent.parent / "examples"
PATTERNS = ("instance_per_process", "instance_per_thread", "several_instances", "shared_instance")
"""The four patterns of the guide."""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("pictures")
    paths = [str(folder / f"{seed}.png") for seed in (1, 2)]
    for seed, path in enumerate(paths, 1):
        cv2.imwrite(path, scene(seed, (320, 240)).image)
    return paths


def output_of(example: str, *arguments: object) -> str:
    command = [sys.executable, "-W", "error", FOLDER / f"{example}.py", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def loaded(example: str) -> Any:
    """An example as a module: a service, which its server imports."""
    spec = importlib.util.spec_from_file_location(example, FOLDER / f"{example}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("example", [*PATTERNS, "asyncio_tasks"])
def test_an_example_runs_and_finds_something(example: str, pictures: list[str], demo_model: Path) -> None:
    lines = output_of(example, demo_model, *pictures).splitlines()
    for path in pictures:
        assert any(line.startswith(path) and "no detections" not in line for line in lines), lines


def test_a_folder_becomes_a_table(pictures: list[str], demo_model: Path) -> None:
    rows = list(csv.DictReader(io.StringIO(output_of("batch_to_csv", demo_model, Path(pictures[0]).parent))))
    assert {row["path"] for row in rows} == set(pictures)
    with YOLO(demo_model) as model:
        assert len(rows) == sum(len(result) for result in model(pictures, conf=0.3))
    assert all(float(row["confidence"]) >= 0.3 and int(row["x1"]) < int(row["x2"]) for row in rows)


def test_supervision_draws_the_boxes(pictures: list[str], demo_model: Path) -> None:
    pytest.importorskip("supervision")
    assert output_of("supervision_boxes", demo_model, *pictures).count(" boxes on 320 x 240 pixels") == 2


def test_the_fastapi_service_answers_many_and_refuses_what_is_no_picture(
    pictures: list[str], demo_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("fastapi")
    pytest.importorskip("python_multipart")
    client_of = pytest.importorskip("fastapi.testclient").TestClient
    monkeypatch.setenv("YOLO_MODEL", str(demo_model))
    picture = Path(pictures[0]).read_bytes()
    with client_of(loaded("fastapi_service").app) as client:
        answers = barrier_run(8, lambda _: client.post("/predict", files={"picture": picture}).json())
        assert answers[0]
        assert all(answer == answers[0] for answer in answers)
        assert client.post("/predict", files={"picture": b"text"}).status_code == 422
        assert client.get("/statistics").json()["succeeded"] == 8


def test_the_flask_service_answers(pictures: list[str], demo_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("flask")
    monkeypatch.setenv("YOLO_MODEL", str(demo_model))
    app = loaded("flask_service").create_app()
    with app.extensions["yoloom"]:
        client = app.test_client()
        answer = client.post("/predict", data=Path(pictures[0]).read_bytes())
        assert (answer.status_code, bool(answer.json)) == (200, True)
        assert client.post("/predict", data=b"text").status_code == 422


def test_each_example_is_tried_here() -> None:
    others = ["asyncio_tasks", "batch_to_csv", "fastapi_service", "flask_service", "supervision_boxes"]
    assert sorted(path.stem for path in FOLDER.glob("*.py")) == sorted([*PATTERNS, *others])
