"""A process that ends in any way, at any moment, with any backend: never an abort, never longer than ten seconds.

`make ends` does each a hundred times (YOLOOM_ENDS is how often). Before the engines were closed in one piece, "Ctrl-C
twice" aborted 2 of 5 times ("terminate called without an active exception"): the second one cut their end off, and
lanes came back from the runtime into an interpreter that was gone.
"""

from __future__ import annotations

import json
import os
import random
from pathlib import Path

import pytest

from endings import SETUPS, WAYS, end

TIMES = int(os.environ.get("YOLOOM_ENDS") or 0)
CASES = [(way, setup) for way in WAYS for setup in SETUPS]
# In the short form each way has one backend, in turn, and every third one is tried with workers or a plan as well.
SHORT = [case for number, case in enumerate(CASES) if number % 8 in (0, 5) or number % 24 in (3, 14)]

LONGEST_S = 10.0
"""Seconds that an end may take on a machine that does nothing else."""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120 + 20 * TIMES)]


@pytest.mark.parametrize(("way", "setup"), CASES if TIMES else SHORT)
def test_it_ends_as_it_should(way: str, setup: str, demo_model: Path) -> None:
    seed = random.randrange(2**32)
    chance = random.Random(seed)
    photo = demo_model.with_name("scene-1.jpg")
    arguments = json.dumps(SETUPS[setup])
    endings = [end(WAYS[way], arguments, demo_model, photo, chance) for _ in range(TIMES or 1)]
    faults = [fault for ending in endings if (fault := ending.fault(WAYS[way])) is not None]
    assert not faults, f"{len(faults)} of {len(endings)}, seed {seed}: {faults[0]}"
    if TIMES:
        assert max(ending.seconds for ending in endings) < LONGEST_S
