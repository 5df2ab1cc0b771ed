"""Mutations of checkpoints end in a checkpoint or in a ModelError. `tools/fuzz_checkpoint.py` does this for longer."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from checkpoint_writer import archive, checkpoint, dump, network
from examples import examples
from yoloom.errors import ModelError
from yoloom.formats.checkpoint.parse import parse_checkpoint
from yoloom.formats.checkpoint.pickled.archive import read_archive
from yoloom.formats.checkpoint.pickled.pickle_machine import PickleMachine

REAL = (Path(__file__).parents[2] / "data/tiny-classify.pt").read_bytes()
REAL_MEMBERS = {name: bytes(member.content) for name, member in read_archive(memoryview(REAL)).items()}
REAL_STORAGES = {name[5:]: content for name, content in REAL_MEMBERS.items() if name.startswith("data/")}
SMALL = checkpoint(network())
OPCODES = bytes(PickleMachine._STEPS)
INPUTS = 3_000

edits = st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=8)


def survives(file: bytes) -> bool:
    """Whether the file is a checkpoint; all of its numbers are read. Any error but a ModelError is a failure."""
    try:
        parsed = parse_checkpoint(memoryview(file))
        for _, module in parsed.module.walk():
            for tensor in module.parameters.values():
                tensor.numpy()
    except ModelError:
        return False
    return True


def edited(data: bytes, edits: list[tuple[float, int]]) -> bytes:
    changed = bytearray(data)
    for place, byte in edits:
        changed[int(place * len(changed))] = byte
    return bytes(changed)


def test_sound_files_survive() -> None:
    assert survives(REAL)
    assert survives(SMALL)
    assert survives(archive(REAL_MEMBERS["data.pkl"], REAL_STORAGES))


@given(edits=edits, kept=st.floats(0.5, 1))
@settings(max_examples=examples(50), deadline=None)
def test_real_file(edits: list[tuple[float, int]], kept: float) -> None:
    survives(edited(REAL, edits)[: int(kept * len(REAL)) + 1])


@given(edits=edits)
@settings(max_examples=examples(50), deadline=None)
def test_directory_of_a_real_file(edits: list[tuple[float, int]]) -> None:
    directory = len(REAL) - 5_000
    survives(REAL[:directory] + edited(REAL[directory:], edits))


@given(edits=edits)
@settings(max_examples=examples(50), deadline=None)
def test_pickle_of_a_real_file(edits: list[tuple[float, int]]) -> None:
    """With a checksum that fits, so that the edits reach the pickle machine."""
    survives(archive(edited(REAL_MEMBERS["data.pkl"], edits), REAL_STORAGES))


@given(code=st.lists(st.sampled_from([*OPCODES, *range(16)]), max_size=60))
@settings(max_examples=examples(100), deadline=None)
def test_any_opcodes(code: list[int]) -> None:
    survives(archive(b"\x80\x02" + bytes(code) + b"."))


@pytest.mark.slow
def test_many_random_mutations() -> None:
    """Copied, removed, repeated and changed pieces of a small pickle; a few of them still are a checkpoint."""
    dice = random.Random(0)
    pickle = dump(network())
    survived = sum(survives(archive(_mutated(pickle, dice))) for _ in range(INPUTS))
    assert 0 < survived < INPUTS


def _mutated(data: bytes, dice: random.Random) -> bytes:
    for _ in range(dice.randint(1, 4)):
        at, other = dice.randrange(len(data)), dice.randrange(len(data))
        piece = data[other : other + dice.randint(0, 24)]
        new = dice.choice((piece, bytes([dice.choice(OPCODES)]), dice.randbytes(2), piece * 3, b""))
        data = data[:at] + new + data[at + dice.randint(0, len(new) + 1) :]
    return data or b"."
