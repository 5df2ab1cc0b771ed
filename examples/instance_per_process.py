"""A model made inside each process. The processes are spawned: a forked copy of a loaded runtime has no threads."""

import sys
from multiprocessing import get_context

from yoloom import YOLO


def predict(model_path: str, path: str) -> None:
    with YOLO(model_path) as model:
        for result in model.predict(path):
            print(f"{path}: {result.verbose()}", flush=True)


if __name__ == "__main__":
    context = get_context("spawn")
    processes = [context.Process(target=predict, args=(sys.argv[1], path)) for path in sys.argv[2:]]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    sys.exit(max(process.exitcode or 0 for process in processes))
