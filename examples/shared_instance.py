"""One model, shared by threads that each ask for something else."""

import sys
from threading import Thread

from yoloom import YOLO

model = YOLO(sys.argv[1])


def predict(path: str, conf: float) -> None:
    for result in model.predict(path, conf=conf):
        print(f"{path} conf={conf}: {result.verbose()}", flush=True)


threads = [Thread(target=predict, args=(path, conf)) for path in sys.argv[2:] for conf in (0.25, 0.6)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
