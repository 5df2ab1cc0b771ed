"""Checkpoints that attack: each ends in a typed error, soon, in little memory, and with nothing run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from checkpoint_corpus import corpus
from checkpoint_writer import checkpoint, network
from yoloom.errors import InvalidModel, ModelError
from yoloom.formats.checkpoint.parse import parse_checkpoint, read_checkpoint

GROUPS = corpus()
CORPUS = {f"{group}: {name}": case for group, cases in GROUPS.items() for name, case in cases.items()}
SECONDS = 1.0
FIXED_BYTES = 70_000_000
"""The limits of the pickle machine and of the tree together, for a file of any size; 57 MB were measured."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    for index, (data, _) in enumerate(CORPUS.values()):
        (folder / f"{index:05}.pt").write_bytes(data)
    return folder


@pytest.fixture(scope="module")
def audit(folder: Path) -> dict[str, Any]:
    """The report of a process of its own that read the corpus, by the case's name."""
    script = Path(__file__).parents[2] / "support" / "checkpoint_audit.py"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, str(script), str(folder)]
    done = subprocess.run(command, cwd=folder.parent, env=environment, capture_output=True, check=True, timeout=110)
    return dict(zip(CORPUS, json.loads(done.stdout).values(), strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("group", GROUPS)
def test_ends_in_the_error_for_its_kind(group: str, tmp_path: Path) -> None:
    ends = {name: end_of(data, tmp_path) for name, (data, _) in GROUPS[group].items()}
    assert ends == {name: expected for name, (_, expected) in GROUPS[group].items()}


def end_of(data: bytes, folder: Path) -> type[Exception]:
    """The class of the error for a file, whose message must say which file and be short."""
    path = folder / "hostile.pt"
    path.write_bytes(data)
    with pytest.raises(ModelError) as caught:
        read_checkpoint(path)
    path.unlink()
    assert str(caught.value).startswith(f"{path}: ")
    assert len(str(caught.value)) < 1000
    return type(caught.value)


@pytest.mark.parametrize("name", [name for name in GROUPS["bombs"] if " of " in name or "again" in name])
def test_values_that_repeat_without_end_are_stopped_by_the_size_of_their_tree(name: str) -> None:
    """Without the limits in `size_limits.py`, reading these would go on for ever, or end in some other error."""
    with pytest.raises(InvalidModel, match="nests or repeats values without end"):
        parse_checkpoint(memoryview(GROUPS["bombs"][name][0]))


def test_sound_neighbour_of_the_corpus_is_read(tmp_path: Path) -> None:
    """The corpus differs from it by one thing each, so it is that thing which is refused."""
    path = tmp_path / "sound.pt"
    path.write_bytes(checkpoint(network(extra=[1, "a", None])))
    assert read_checkpoint(path).module.get("extra") == [1, "a", None]


@pytest.mark.slow
def test_nothing_but_the_file_is_touched(audit: dict[str, Any]) -> None:
    """No import, no exec, no process, no socket, no second file, nothing opened for writing."""
    seen = {event for case in audit.values() for event, _ in case["events"]}
    assert seen <= {"open", "mmap.__new__"}
    opened = [arguments for case in audit.values() for event, arguments in case["events"] if event == "open"]
    assert opened
    assert all(".pt', 'r" in arguments for arguments in opened)


@pytest.mark.slow
def test_nothing_was_run(audit: dict[str, Any], folder: Path) -> None:
    assert audit
    assert not list(folder.parent.glob("**/ran-by-checkpoint"))


@pytest.mark.slow
def test_time_is_bounded(audit: dict[str, Any]) -> None:
    slow = {name: case["seconds"] for name, case in audit.items() if case["seconds"] > SECONDS}
    assert not slow


@pytest.mark.slow
def test_memory_is_bounded(audit: dict[str, Any]) -> None:
    large = {}
    for name, case in audit.items():
        if case["peak"] > FIXED_BYTES + 3 * len(CORPUS[name][0]):
            large[name] = case["peak"]
    assert not large


@pytest.mark.slow
def test_audit_sees_the_same_errors(audit: dict[str, Any]) -> None:
    assert {name: case["error"] for name, case in audit.items()} == {
        name: error.__name__ for name, (_, error) in CORPUS.items()
    }
