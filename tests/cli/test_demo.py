"""The demo does what it says, and would say so if it did not."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import yoloom
from yoloom.assets import PICTURES
from yoloom.cli.commands.demo import OPTIONS, Job, run_jobs, verdict
from yoloom.cli.exit_codes import ExitCode
from yoloom.options import parse_options
from yoloom.results.drawing.plot import GAP, contact_sheet
from yoloom.results.results import Results

IMAGE = np.zeros((4, 6, 3), np.uint8)


@pytest.mark.slow
def test_the_demo(tmp_path: Path) -> None:
    here = str(Path(yoloom.__file__).absolute().parents[1])
    run = subprocess.run(
        [sys.executable, "-W", "error", "-m", "yoloom", "demo", "--images", "16", "--output", "out"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([here, os.environ.get("PYTHONPATH", "")])},
        capture_output=True,
        encoding="utf-8",
        timeout=90,
        check=False,
    )
    assert (run.returncode, run.stderr) == (ExitCode.OK, "")
    table, paths = run.stdout.split("\n\n")
    facts = dict(line.split("  ", 1) for line in table.splitlines())
    assert facts["identical to a sequential run"].strip() == "16/16"
    assert {"images", "threads", "images/s", "latency p50, p99", "memory"} <= facts.keys()
    written = [tmp_path / path for path in paths.splitlines()]
    assert sorted(written) == sorted((tmp_path / "out").iterdir())
    assert all(cv2.imread(str(path)) is not None for path in written)
    assert written[-1].name == "demo.png"


class Fake:
    """Answers with the number of the call: what a model that mixes up its callers would do."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls = 0

    def predict(self, image: np.ndarray, steady: bool = False, **_options: Any) -> list[Results]:
        with self._lock:
            self._calls += 1
            number = 0 if steady else self._calls
        return [Results(image, "fake.jpg", {}, [[0, 0, 1, 1, 0.5, number]])]


@pytest.mark.parametrize(("steady", "identical", "code"), [(True, 9, ExitCode.OK), (False, 0, ExitCode.SOME_FAILED)])
def test_other_bits_are_noticed(
    steady: bool, identical: int, code: ExitCode, capsys: pytest.CaptureFixture[str]
) -> None:
    jobs = [Job(IMAGE, {"steady": steady})] * 9
    model: Any = Fake()
    shared, alone = run_jobs(model, jobs, 4, print), run_jobs(model, jobs, 1, print)
    assert len(shared.outcomes) == 9
    assert shared.identical_to(alone) == identical
    assert verdict(identical, 9) is code
    assert ("9 of 9 results differ" in capsys.readouterr().err) is not steady


def test_an_interrupt_ends_the_threads() -> None:
    before = threading.active_count()
    model: Any = Fake()

    def interrupt(_done: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_jobs(model, [Job(IMAGE, {})] * 100, 4, interrupt)
    assert threading.active_count() == before


def test_an_error_ends_the_run() -> None:
    model: Any = Fake()
    with pytest.raises(TypeError, match="multiple values"):
        run_jobs(model, [Job(IMAGE, {}), Job(IMAGE, {"image": "twice"})] * 50, 4, lambda _done: None)


def test_the_options_are_good_and_all_different() -> None:
    parsed = [parse_options(options) for options in OPTIONS]
    assert len({repr(options) for options in parsed}) == len(OPTIONS) == 8


def test_the_pictures_are_small_and_all_different() -> None:
    pictures = [cv2.imread(str(path)) for path in PICTURES]
    assert {picture.shape for picture in pictures} == {(480, 640, 3)}
    assert len({picture.tobytes() for picture in pictures}) == len(PICTURES) == 8
    assert all(path.stat().st_size <= 150_000 for path in PICTURES)


def test_a_contact_sheet_holds_every_picture() -> None:
    pictures = [np.full((30, 40, 3), level, np.uint8) for level in (10, 20, 30, 40)]
    sheet = contact_sheet(pictures, columns=3, tile_wh=(20, 10))
    assert sheet.shape == (2 * 10 + 3 * GAP, 3 * 20 + 4 * GAP, 3)
    assert [int(sheet[GAP + 5, GAP + 10 + index * (20 + GAP), 0]) for index in range(3)] == [10, 20, 30]
    assert (sheet[-GAP - 5, GAP + 10] == 40).all()
    assert (sheet[-GAP - 5, -GAP - 10] == 255).all()
