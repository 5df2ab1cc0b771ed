"""The benchmark of the field: what fails, ends, hangs or is missing is told, and costs the others nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from budget import Budget, schedule
from child import Child, ContenderFailed
from entries import Entry, entries, missing
from plain_yolo import letterbox, rows
from scenes import scene
from yoloom.testing import ManualClock

ROOT = Path(__file__).parents[2]
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


# ---- The time it takes


def test_what_fits_is_done_as_asked() -> None:
    made = schedule({("a", 1): 0.1, ("a", 64): 4.0, ("b", 1): 0.1}, 100, 3, 1.5)
    assert (made.rounds, made.seconds, made.left_out) == (3, 1.5, ())


def test_turns_are_shortened_before_rounds_are_dropped_and_rounds_before_callers() -> None:
    turns = {("a", 1): 0.0, ("a", 64): 6.0, ("b", 1): 0.0, ("b", 64): 12.0}
    assert schedule(turns, 90, 3, 1.5).seconds == 1.5
    assert (schedule(turns, 75, 3, 1.5).rounds, schedule(turns, 75, 3, 1.5).seconds) == (3, 0.7)
    assert schedule(turns, 50, 3, 1.5).rounds == 2
    assert schedule(turns, 25, 3, 1.5).rounds == 1
    made = schedule(turns, 15, 3, 1.5)
    assert (made.rounds, made.left_out) == (1, (("b", 64),))
    assert schedule(turns, 0.1, 3, 1.5).left_out == (("b", 64), ("a", 64), ("b", 1), ("a", 1))


@pytest.mark.parametrize("left_s", [5.0, 20.0, 60.0, 200.0, 1000.0])
def test_a_schedule_takes_no_longer_than_is_left(left_s: float) -> None:
    turns = {(name, callers): callers * 0.05 for name in "abcdef" for callers in (1, 8, 64)}
    made = schedule(turns, left_s, 3, 1.5)
    staying = [overhead for turn, overhead in turns.items() if turn not in made.left_out]
    assert made.rounds * (sum(staying) + made.seconds * len(staying)) <= left_s


def test_a_budget_is_used_by_parts() -> None:
    clock = ManualClock()
    budget = Budget(100, clock)
    clock.advance(39)
    assert budget.left_s == 61
    assert not budget.is_used_by(0.4)
    clock.advance(1)
    assert budget.is_used_by(0.4)


@pytest.mark.slow
@pytest.mark.timeout(450)
def test_it_ends_in_time_and_says_what_it_left_out(tmp_path: Path) -> None:
    """Less than a start takes is enough for nothing but one start of each, and an answer of each caller."""
    told = ran(tmp_path, "--minutes", "0.001", "--only", "yoloom", "--callers", "1", "8")
    for found in told["contenders"].values():
        assert not found["levels"]
        assert set(found["failed"].values()) == {"no time for it: others took it"}
        assert found["wrong_answers"]["of"] >= 8
    assert told["asked"] == {"rounds": 3, "seconds": 1.5, "minutes": 0.001}


def ran(folder: Path, *arguments: str) -> dict[str, Any]:
    command = [sys.executable, str(ROOT / "benchmarks" / "field" / "run.py"), *arguments]
    done = subprocess.run(
        [*command, "--field", str(folder), "--oracle", str(folder)],
        capture_output=True,
        text=True,
        env=dict(os.environ),
        timeout=400,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.slow
@pytest.mark.timeout(450)
def test_it_runs_without_anybody_elses_environment(tmp_path: Path) -> None:
    """On the bundled model, where the oracle's files are not there."""
    told = ran(tmp_path, "--quick")
    judged = told["contenders"]["yoloom"]["wrong_answers"]
    assert (judged["wrong"], judged["of"]) == (0, 16)
    assert told["skipped"]["Ultralytics, shared"] == "no checkpoint: tools/make_oracle.sh files"
    assert "is not there" in told["skipped"]["batched"]
