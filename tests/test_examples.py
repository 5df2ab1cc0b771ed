"""The examples run: the guide's four patterns with the import swapped."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import cv2
import pytest

from scenes import scene

EXAMPLES = sorted((Path(__file__).parent.parent / "examples").glob("*.py"))

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("pictures")
    paths = [str(folder / f"{seed}.png") for seed in (1, 2)]
    for seed, path in enumerate(paths, 1):
        cv2.imwrite(path, scene(seed, (320, 240)).image)
    return paths


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_runs_and_finds_something(example: Path, pictures: list[str], demo_model: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", example, demo_model, *pictures],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    for path in pictures:
        assert any(line.startswith(path) and "no detections" not in line for line in lines), done.stdout


def test_all_four_patterns_of_the_guide_are_there() -> None:
    assert [path.stem for path in EXAMPLES] == [
        "instance_per_process",
        "instance_per_thread",
        "several_instances",
        "shared_instance",
    ]
