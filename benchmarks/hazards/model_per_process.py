"""Pattern 4: a model made inside each process. What does one more process cost, and when is it ready?

python benchmarks/hazards/model_per_process.py --library ultralytics     # in its environment, .oracle/bin/python
python benchmarks/hazards/model_per_process.py --library yoloom
"""

from __future__ import annotations

import multiprocessing
import time
from multiprocessing.connection import Connection
from typing import Any

import hazard

PROCESSES = 2


def serve(connection: Connection, setting: hazard.Setting, number: int) -> None:
    """Runs in a process of its own: a model, its answers, and it waits until it may end."""
    model = setting.open()
    pictures = setting.read_pictures()
    hazard.rows_of(model, pictures[0], {})
    connection.send("ready")
    options = hazard.OPTIONS[number]
    connection.send([hazard.rows_of(model, pictures[turn % 2], options) for turn in range(setting.each)])
    connection.recv()
    hazard.close(model)


def measure(setting: hazard.Setting) -> dict[str, Any]:
    alone = hazard.answers_alone(setting)
    before_mib = hazard.held_mib()
    spawn = multiprocessing.get_context("spawn")
    pipes = [spawn.Pipe() for _ in range(PROCESSES)]
    processes = [
        spawn.Process(target=serve, args=(theirs, setting, number)) for number, (_, theirs) in enumerate(pipes)
    ]
    began = time.perf_counter()
    for process in processes:
        process.start()
    ready = [ours.recv() for ours, _ in pipes]
    ready_s = time.perf_counter() - began
    answers = [ours.recv() for ours, _ in pipes]
    more_mib = hazard.held_mib() - before_mib
    for ours, _ in pipes:
        ours.send("end")
    for process in processes:
        process.join()
    verdicts = [
        hazard.same(rows, alone[number][turn % 2])
        for number, some in enumerate(answers)
        for turn, rows in enumerate(some)
    ]
    return {
        "wrong": verdicts.count(False),
        "raised": 0,
        "of": len(verdicts),
        "mib_per_process": round(more_mib / len(ready), 1),
        "ready_s": round(ready_s, 2),
    }


if __name__ == "__main__":
    hazard.main(__doc__, measure)
