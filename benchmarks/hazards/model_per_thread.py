"""Pattern 3: a model made inside each thread, as the guide advises. What does one more thread cost?

python benchmarks/hazards/model_per_thread.py --library ultralytics     # in its environment, .oracle/bin/python
python benchmarks/hazards/model_per_thread.py --library yoloom
"""

from __future__ import annotations

import time
from typing import Any

import hazard


def measure(setting: hazard.Setting) -> dict[str, Any]:
    alone = hazard.answers_alone(setting)
    first = setting.open()
    hazard.judge(setting, lambda _number: first, alone)  # whatever a first use under load adds is there before
    before_mib = hazard.held_mib()
    models: list[Any] = []
    seconds: list[float] = []

    def made_here(_number: int) -> Any:
        began = time.perf_counter()
        models.append(setting.open())
        seconds.append(time.perf_counter() - began)
        return models[-1]

    judged = hazard.judge(setting, made_here, alone)
    more_mib = hazard.held_mib() - before_mib
    hazard.close(first, *models)
    return {
        **judged,
        "mib_per_thread": round(more_mib / len(models), 1),
        "open_s": round(max(seconds), 3),
    }


if __name__ == "__main__":
    hazard.main(__doc__, measure)
