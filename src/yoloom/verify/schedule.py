"""What each caller does, one step after the other: a function of the seed and of nothing else."""

from __future__ import annotations

import enum
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

MAX_PAUSE_S = 0.004
MAX_PATIENCE_S = 0.02  # until a request is taken back, or its deadline passes


class Act(enum.Enum):
    """How a case is asked. MAP: as a stream of one picture. CANCEL: submitted, and taken back after a moment. DEADLINE:
    with a very short timeout.
    """

    PREDICT = "predict"
    SUBMIT = "submit"
    MAP = "map"
    CANCEL = "cancel"
    DEADLINE = "deadline"


USUAL = (Act.PREDICT,)
WEIGHTS = {Act.PREDICT: 10, Act.SUBMIT: 4, Act.MAP: 2, Act.CANCEL: 2, Act.DEADLINE: 1}


@dataclass(frozen=True)
class Step:
    """One request. pause_s: before it. patience_s: until it is taken back or its deadline passes, by its act."""

    case: int
    act: Act
    pause_s: float
    patience_s: float


def steps(seed: str, caller: int, cases: int, acts: Sequence[Act] = USUAL) -> Iterator[Step]:
    """The endless steps of one caller. seed: of the whole crowd: its callers begin with different cases.

    All cases come up before one comes again.
    """
    start = random.Random(seed).sample(range(cases), cases)[caller % cases]  # noqa: S311
    rng = random.Random(f"{seed}/{caller}")  # noqa: S311
    yield _step(rng, start, acts)
    while True:
        for case in rng.sample(range(cases), cases):
            yield _step(rng, case, acts)


def _step(rng: random.Random, case: int, acts: Sequence[Act]) -> Step:
    act = rng.choices(acts, [WEIGHTS[act] for act in acts])[0]
    pause_s = rng.uniform(0, MAX_PAUSE_S) if rng.random() < 0.25 else 0.0
    return Step(case, act, pause_s, rng.uniform(0, MAX_PATIENCE_S))
