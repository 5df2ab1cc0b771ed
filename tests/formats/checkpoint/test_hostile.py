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
SECONDS = 2.0
"""CPU time, which is up to twice as long where the other half of a core is busy; 0.8 were measured with the hook."""

FIXED_BYTES = 70_000_000
"""The limits of the pickle machine and of the tree together, for a file of any size; 57 MB were measured."""


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
@pytest.mark.timeout(600)
def test_a_process_that_reads_it_all_is_touched_by_nothing(tmp_path: Path) -> None:
    """One test, because its process takes a while, and each process of the tests would start one."""
    corpus_folder = tmp_path / "corpus"
    corpus_folder.mkdir()
    for index, (data, _) in enumerate(CORPUS.values()):
        (corpus_folder / f"{index:05}.pt").write_bytes(data)
    script = Path(__file__).parents[2] / "support" / "checkpoint_audit.py"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, str(script), str(corpus_folder)]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, check=True, timeout=500)
    audit: dict[str, Any] = dict(zip(CORPUS, json.loads(done.stdout).values(), strict=True))

    # No import, no exec, no process, no socket, no second file, nothing opened for writing, nothing run.
    assert {event for case in audit.values() for event, _ in case["events"]} <= {"open", "mmap.__new__"}
    opened = [arguments for case in audit.values() for event, arguments in case["events"] if event == "open"]
    assert opened
    assert all(".pt', 'r" in arguments for arguments in opened)
    assert not list(tmp_path.glob("**/ran-by-checkpoint"))
    # CPU seconds, and bytes.
    assert {name: case["seconds"] for name, case in audit.items() if case["seconds"] > SECONDS} == {}
    most = {name: FIXED_BYTES + 3 * len(data) for name, (data, _) in CORPUS.items()}
    assert {name: case["peak"] for name, case in audit.items() if case["peak"] > most[name]} == {}
    assert {name: case["error"] for name, case in audit.items()} == {
        name: error.__name__ for name, (_, error) in CORPUS.items()
    }
