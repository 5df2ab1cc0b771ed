"""Whether clients get their turns: one beside a flood, and sixteen that want different amounts.

Regime: float32, one photograph, decoded before; every client is named by `client=`. With the bundled model, which is
small, so that ten seconds hold some thousand results.
Flood: one client keeps 1,000 requests queued by `submit`, a second one predicts one image after the other. Reported is
its latency over the service time, which is the number of lanes over the images/s of all: how long a lane takes for one.
Shares: client i of 16 keeps i + 2 requests under way, so that each always has one waiting, for ten seconds; reported
are the smallest and the largest number of results over the mean.

    python benchmarks/fairness.py src/yoloom/assets/demo.onnx .oracle/files/bus.jpg
"""

from __future__ import annotations

import argparse
import threading
import time
from collections import Counter
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import cv2
import numpy as np

import measure
from yoloom import YOLO, QueuePolicy

FLOOD = 1000
CLIENTS = 16
Image = np.ndarray[Any, np.dtype[np.uint8]]


class Keeper:
    """A client that keeps so many requests under way, and counts its results. Closed by `stop`."""

    def __init__(self, model: YOLO, image: Image, client: object, under_way: int) -> None:
        self._model = model
        self._image = image
        self._client: Any = client
        self._places = threading.Semaphore(under_way)
        self._stopped = threading.Event()
        self._lock = threading.Lock()  # guards the count: callbacks run on several threads
        self.done = 0
        self._thread = threading.Thread(target=self._send)
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        self._places.release()
        self._thread.join()

    def _send(self) -> None:
        under_way: list[Future[Any]] = []
        while not self._stopped.is_set():
            self._places.acquire()
            future = self._model.submit(self._image, client=self._client)
            future.add_done_callback(self._ended)
            under_way = [*(one for one in under_way if not one.done()), future]
        for future in under_way:
            future.cancel()

    def _ended(self, future: Future[Any]) -> None:
        with self._lock:
            self.done += not future.cancelled()
        self._places.release()


def beside_a_flood(model: YOLO, image: Image, seconds: float) -> dict[str, float]:
    flood = Keeper(model, image, "flood", FLOOD)
    while model.statistics().waiting < FLOOD - 50:
        time.sleep(0.01)
    latencies: list[float] = []
    before, started = flood.done, time.perf_counter()
    while time.perf_counter() - started < seconds:
        called = time.perf_counter()
        model.predict(image, client="second")
        latencies.append(time.perf_counter() - called)
    rate = (flood.done - before + len(latencies)) / (time.perf_counter() - started)
    lanes = model.statistics().lanes - 1  # those of the form for many
    flood.stop()
    service = lanes / rate
    ordered = sorted(latencies)
    return {
        "images_per_s": round(rate, 2),
        "service_ms": round(service * 1e3, 2),
        "requests": len(ordered),
        "p50_over_service": round(measure.percentile(ordered, 50) / service, 3),
        "p99_over_service": round(measure.percentile(ordered, 99) / service, 3),
    }


def shares(model: YOLO, image: Image, seconds: float) -> dict[str, Any]:
    clients = [Keeper(model, image, f"client {number}", number + 2) for number in range(CLIENTS)]
    time.sleep(2)
    before = Counter({number: client.done for number, client in enumerate(clients)})
    time.sleep(seconds)
    counts = [client.done - before[number] for number, client in enumerate(clients)]
    for client in clients:
        client.stop()
    mean = sum(counts) / CLIENTS
    return {
        "results": counts,
        "smallest_over_mean": round(min(counts) / mean, 3),
        "largest_over_mean": round(max(counts) / mean, 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("image", type=Path)
    parser.add_argument("--seconds", type=float, default=20.0, help="length of the flood")
    parser.add_argument("--share-seconds", type=float, default=10.0)
    parser.add_argument("--results", type=Path, help="folder that keeps the JSON")
    asked = parser.parse_args()
    image = np.asarray(cv2.imread(str(asked.image)), np.uint8)
    with YOLO(asked.model, queue=QueuePolicy(size=2 * FLOOD)) as model:
        model._opened.engine.expect_many()
        result = {
            "model": asked.model.name,
            "flood": beside_a_flood(model, image, asked.seconds),
            "shares": shares(model, image, asked.share_seconds),
            "versions": measure.versions("numpy", "openvino", "opencv-python-headless", "yoloom"),
        }
    measure.finish("fairness", result, asked.results)


if __name__ == "__main__":
    main()
