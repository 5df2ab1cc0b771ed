"""How many examples Hypothesis tries: few in each run of the tests, `make fuzz` many times as many."""

from __future__ import annotations

import os

TIMES = int(os.environ.get("YOLOOM_FUZZ", "1"))


def examples(few: int) -> int:
    return few * TIMES
