"""Pattern 2: several models, made in the main thread and passed into others.

Each thread has one to itself ("own"), or, with more threads than models, they share two ("two").

python benchmarks/hazards/models_passed_in.py --library ultralytics     # in its environment, .oracle/bin/python
python benchmarks/hazards/models_passed_in.py --library yoloom
"""

from __future__ import annotations

from typing import Any

import hazard


def measure(setting: hazard.Setting) -> dict[str, Any]:
    alone = hazard.answers_alone(setting)
    own = [setting.open() for _ in hazard.OPTIONS]
    judged_own = hazard.judge(setting, own.__getitem__, alone)
    two = [setting.open(), setting.open()]
    judged_two = hazard.judge(setting, lambda number: two[number % 2], alone)
    hazard.close(*own, *two)
    return {"own": judged_own, "two": judged_two}


if __name__ == "__main__":
    hazard.main(__doc__, measure)
