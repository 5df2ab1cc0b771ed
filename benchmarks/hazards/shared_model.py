"""Pattern 1: one model, shared by threads that ask for different things. Which answers are wrong?

python benchmarks/hazards/shared_model.py --library ultralytics     # in its environment, .oracle/bin/python
python benchmarks/hazards/shared_model.py --library yoloom
"""

from __future__ import annotations

from typing import Any

import hazard


def measure(setting: hazard.Setting) -> dict[str, Any]:
    alone = hazard.answers_alone(setting)
    model = setting.open()
    judged = hazard.judge(setting, lambda _number: model, alone)
    hazard.close(model)
    return judged


if __name__ == "__main__":
    hazard.main(__doc__, measure)
