"""Many tasks of one event loop on one model: the loop is never blocked, and each answer has a time limit.

python examples/asyncio_tasks.py best.pt a.jpg b.jpg
"""

from __future__ import annotations

import asyncio
import sys

from yoloom import YOLO
from yoloom.errors import DeadlineExceeded


async def describe(model: YOLO, path: str) -> str:
    try:
        result = await model.predict_async(path, conf=0.3, timeout=30)
    except DeadlineExceeded:
        return f"{path}: too late"
    return f"{path}: {result.verbose()}"


async def main(model_path: str, *paths: str) -> None:
    with YOLO(model_path) as model:
        for line in await asyncio.gather(*(describe(model, path) for path in paths)):
            print(line)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
