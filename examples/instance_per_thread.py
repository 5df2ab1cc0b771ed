"""A model made inside each thread: the weights are there once, however many threads there are."""

import sys
from threading import Thread

from yoloom import YOLO


def predict(path: str) -> None:
    with YOLO(sys.argv[1]) as model:
        for result in model.predict(path):
            print(f"{path}: {result.verbose()}", flush=True)


threads = [Thread(target=predict, args=(path,)) for path in sys.argv[2:]]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
