"""The benchmark of the field: what fails, ends, hangs or is missing is told, and costs the others nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from child import Child, ContenderFailed
from entries import Entry, entries, missing
from plain_yolo import letterbox, rows
from yoloom.scenes import scene

ROOT = Path(__file__).parent.parent
READY = """printf '{"ok": {"ready_at": 1.0}}\\n'"""
FILES = {"checkpoint": ""}


def contender(folder: Path, *lines: str) -> Entry:
    """One whose interpreter is a shell script."""
    script = folder / "python"
    script.write_text("\n".join(["#!/bin/sh", *lines, ""]))
    script.chmod(0o755)
    return Entry("scripted", "by_script", "shared", script)


def started(entry: Entry) -> Child:
    return Child(entry, FILES, 0.25, subprocess.DEVNULL)


def test_one_that_can_not_be_made_says_why(tmp_path: Path) -> None:
    with pytest.raises(ContenderFailed, match="ImportError: no such package"):
        started(contender(tmp_path, """printf '{"error": "ImportError: no such package"}\\n'"""))


def test_one_that_ends_says_with_which_code(tmp_path: Path) -> None:
    child = started(contender(tmp_path, READY, "read command", "exit 3"))
    with pytest.raises(ContenderFailed, match="ended with code 3"):
        child.ask("memory")
    with pytest.raises(ContenderFailed, match="has ended before"):
        child.ask("memory")
    child.close()


def test_one_that_hangs_is_ended(tmp_path: Path) -> None:
    child = started(contender(tmp_path, READY, "read command", "exec sleep 600"))
    with pytest.raises(ContenderFailed, match=r"hung: no answer within 0\.2 s"):
        child.ask("turn", patience_s=0.2)
    assert not child.alive
    child.close()


def test_an_error_of_one_command_is_not_the_end(tmp_path: Path) -> None:
    lines = (READY, "read command", """printf '{"error": "ValueError: busy"}\\n'""", "read command")
    child = started(contender(tmp_path, *lines, """printf '{"ok": 12.5}\\n'"""))
    with pytest.raises(ContenderFailed, match="ValueError: busy"):
        child.ask("turn")
    assert child.ask("memory") == 12.5
    child.close()


def test_an_environment_that_is_missing_has_its_reason(tmp_path: Path) -> None:
    batched = next(entry for entry in entries(tmp_path, tmp_path) if entry.name == "batched")
    assert "is not there" in str(missing(batched))
    (tmp_path / "batched.skipped").write_text("ERROR: No matching distribution found\n")
    assert missing(batched) == "ERROR: No matching distribution found"


def test_rows_written_by_hand_are_in_the_pictures_pixels() -> None:
    picture = scene(3, (320, 240)).image
    placed = letterbox(picture)
    output = np.zeros((6, 3), np.float32)
    output[:4, 0] = (320, 320, 640, 480)  # the whole picture, as xywh on the canvas
    output[5, 0] = 0.9
    output[:, 1] = output[:, 0] * 0.99  # nearly the same, and less sure
    found = rows(output, placed, {"conf": 0.25, "iou": 0.7})
    assert found.tolist() == [[0, 0, 320, 240, pytest.approx(0.9), 1]]
    assert not len(rows(output, placed, {"conf": 0.25, "classes": [0]}))


@pytest.mark.slow
def test_it_runs_without_anybody_elses_environment(tmp_path: Path) -> None:
    """On the bundled model, where the oracle's files are not there."""
    command = [sys.executable, str(ROOT / "benchmarks" / "field" / "run.py"), "--quick"]
    done = subprocess.run(
        [*command, "--field", str(tmp_path), "--oracle", str(tmp_path)],
        capture_output=True,
        text=True,
        env=dict(os.environ),
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    judged = told["contenders"]["yoloom"]["wrong_answers"]
    assert (judged["wrong"], judged["of"]) == (0, 16)
    assert told["skipped"]["Ultralytics, shared"] == "no checkpoint: tools/make_oracle.sh files"
    assert "is not there" in told["skipped"]["batched"]
