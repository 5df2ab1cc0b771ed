"""Make the checkpoints of every family and task, and write down what Ultralytics computes and finds with each.

    python tools/oracle_parity.py FOLDER [NAME...]      in the oracle's environment

See oracle_checkpoints.py and oracle_tasks.py. Takes minutes and 2 GB; what is there is not made again.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import torch

import oracle_checkpoints
import oracle_tasks


def main(folder: Path, names: list[str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    oracle_tasks.put_images(folder)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(os.cpu_count(), context, torch.set_num_threads, (1,)) as pool:
        for done in pool.map(partial(make, folder), names or oracle_checkpoints.PLANS):
            print(done, flush=True)


def make(folder: Path, name: str) -> str:
    if not (folder / f"{name}.npz").exists():
        oracle_checkpoints.make(folder, name)
    if name in oracle_tasks.JUDGED and not (folder / f"{name}.answers.npz").exists():
        oracle_tasks.make(folder, name)
    return name


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), sys.argv[2:])
