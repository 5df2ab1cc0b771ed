"""Several models, made in one place and handed to threads. On one file they share one set of weights."""

import sys
from threading import Thread

from yoloom import YOLO

paths = sys.argv[2:]
models = [YOLO(sys.argv[1]) for _ in paths]


def predict(model: YOLO, path: str) -> None:
    for result in model.predict(path):
        print(f"{path}: {result.verbose()}", flush=True)


threads = [Thread(target=predict, args=pair) for pair in zip(models, paths, strict=True)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
