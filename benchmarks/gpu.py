"""`YOLO(path, device="cuda")` on a GPU: bits, images/s beside what people do without it, memory, and stress.

Regime: pictures decoded before, letterboxed to 640 pixels; options at their defaults; each caller is a thread that
calls again as soon as its result is there, for some seconds. "From arrays" is everything: letterbox, copies, network,
post-processing, Results. Rivals do the same steps by the same functions, with PyTorch in eager mode:

- model per thread: each thread has weights and a stream of its own.
- shared with a lock: one model, one thread at a time.
- dispatch: yoloom's engine with the same batches around a network that does nothing and finds nothing: the ceiling that
  the engine's own Python allows.

    python benchmarks/gpu.py yolov8n.pt best.pt bus.jpg zidane.jpg --results out/     # about 4 minutes
    python benchmarks/gpu.py --dry                                                     # torch's CPU device, tiny

It needs torch and what `import yoloom` needs, and neither OpenVINO nor ONNX Runtime.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import cv2
import numpy as np

import measure
from measure import Work
from noop import NoopBackend
from yoloom import YOLO, Plan, errors
from yoloom.engine.pipeline import ImagePipeline
from yoloom.formats.model import Model
from yoloom.options import PredictOptions
from yoloom.runtime.protocol import Precision, Profile
from yoloom.runtime.torch.graphs import EagerGraphs
from yoloom.runtime.torch.torch_backend import TorchBackend
from yoloom.runtime.torch.torch_import import torch

Image = np.ndarray[Any, np.dtype[np.uint8]]
TINY = Path(__file__).resolve().parent.parent / "tests" / "data" / "checkpoints" / "v8-detect.pt"
OPTIONS: tuple[dict[str, Any], ...] = ({}, {"conf": 0.1}, {"iou": 0.3, "max_det": 5}, {"conf": 0.5, "classes": [0]})


class Regime:
    """The device, the pictures, and how long each turn takes."""

    def __init__(self, dry: bool, images: Sequence[Path]) -> None:
        """Read the pictures."""
        self.device = "cpu" if dry else "cuda:0"
        self.callers = (1, 4) if dry else (1, 8, 32, 128)
        self.seconds = 0.3 if dry else 2.5
        self.threads, self.predictions = (4, 3) if dry else (64, 32)
        self.stress_s = 1.0 if dry else 30.0
        self.options: dict[str, Any] = {"imgsz": 64} if dry else {}
        random = np.random.default_rng(0)
        noise = [random.integers(0, 256, (120, 160, 3), np.uint8) for _ in range(2)]
        self.images: list[Image] = noise if dry else [decoded(path) for path in images]

    def open(self, path: Path, **options: Any) -> YOLO:
        """A model on the device."""
        return YOLO(path, device=self.device, backend="torch", **options)


def decoded(path: Path) -> Image:
    image = cv2.imread(str(path))
    if image is None:
        raise SystemExit(f"{path} is no picture")
    return np.asarray(image, np.uint8)


def bits(model: YOLO, image: Image, **options: Any) -> bytes:
    return model(image, **options)[0].boxes.data.tobytes()  # type: ignore[no-any-return]


def identity(regime: Regime, path: Path, precision: str) -> dict[str, Any]:
    """Many threads with options of their own against a sequential run of the same handle, bit for bit."""
    with regime.open(path, precision=precision, batch="fixed") as model:
        cases = [(image, options) for image in regime.images for options in OPTIONS]
        expected = [bits(model, image, **options, **regime.options) for image, options in cases]
        wrong = [0] * regime.threads

        def work(number: int) -> None:
            for turn in range(regime.predictions):
                index = (number + turn) % len(cases)
                image, options = cases[index]
                wrong[number] += bits(model, image, **options, **regime.options) != expected[index]

        begin = time.monotonic()
        in_threads(regime.threads, work)
        guarantee = model.guarantee()
        return {
            "predictions": regime.threads * regime.predictions,
            "different": sum(wrong),
            "seconds": round(time.monotonic() - begin, 1),
            "bit_identical": guarantee.bit_identical,
            "because": guarantee.because,
            "batch_sizes": {str(size): runs for size, runs in model.statistics().batch_sizes.items()},
        }


def rates(regime: Regime, path: Path) -> dict[str, Any]:
    """Images/s and latencies from arrays, for each number of callers, and memory of the device with it."""
    found: dict[str, Any] = {}
    with regime.open(path) as model:
        memory = {}
        for callers in regime.callers:
            works = [lambda_for(model, regime, number) for number in range(callers)]
            measure.run_callers(works, regime.seconds / 4)
            sample = measure.run_callers(works, regime.seconds)
            found[f"yoloom {callers}"] = report(sample)
            memory[callers] = device_mib(regime)
        found["device_mib"] = memory
        found["batch_sizes"] = {str(size): runs for size, runs in model.statistics().batch_sizes.items()}
        found["guarantee"] = vars(model.guarantee())
    return found


def lambda_for(model: YOLO, regime: Regime, number: int) -> Work:
    image = regime.images[number % len(regime.images)]
    return lambda: model(image, **regime.options)


def report(sample: measure.Sample) -> dict[str, float]:
    latencies = sorted(sample.latencies_ms)
    return {
        "images_per_s": round(sample.images_per_s, 1),
        "p50_ms": round(latencies[len(latencies) // 2], 2),
        "p99_ms": round(latencies[min(len(latencies) - 1, int(len(latencies) * 0.99))], 2),
        "cpu_ms": round(sample.cpu_ms, 3),
    }


def device_mib(regime: Regime) -> float:
    return 0.0 if regime.device == "cpu" else round(torch.cuda.memory_reserved(0) / 2**20, 1)


class Rival:
    """A network in eager mode, run image by image, with yoloom's own steps around it."""

    def __init__(self, regime: Regime, model: Model, precision: Precision) -> None:
        """Bring the weights to the device."""
        backend = TorchBackend(regime.device, make_graphs=EagerGraphs)
        profile = Profile("batches", lanes=1, batch_sizes=(1,))
        self.compiled = backend.compile(model, profile, precision)
        self.context = self.compiled.context()
        self.model = model
        self.options = PredictOptions(imgsz=(64, 64)) if regime.device == "cpu" else PredictOptions()

    def predict(self, image: Image) -> object:
        """Letterbox, run, post-process."""
        pipeline = ImagePipeline(self.model, self.options, layout=self.compiled.layout)
        pipeline.prepare(image)
        batch = np.empty((1, *pipeline.canvas_hw, 3), np.uint8)
        pipeline.draw(batch[0])
        outputs = self.context.run(batch, pipeline.lowest_score)
        return pipeline.postprocess(tuple(output[0] for output in outputs), 0.0)


def rivals(regime: Regime, path: Path) -> dict[str, Any]:
    """What people do without yoloom, and the engine around nothing."""
    with regime.open(path) as model:
        described, precision = model.model, model._opened.engine.precision
    found: dict[str, Any] = {}
    crowd = max(count for count in regime.callers if count <= 32)
    own: list[Rival] = []
    for callers in (1, 8, crowd):
        own += [Rival(regime, described, precision) for _ in range(callers - len(own))]
        works = [work_of(one.predict, regime, number) for number, one in enumerate(own[:callers])]
        found[f"model per thread {callers}"] = report(measure.run_callers(works, regime.seconds))
    found["model per thread, device_mib"] = device_mib(regime)
    lock = threading.Lock()

    def locked(image: Image) -> object:
        with lock:
            return own[0].predict(image)

    works = [work_of(locked, regime, number) for number in range(crowd)]
    found[f"shared with a lock {crowd}"] = report(measure.run_callers(works, regime.seconds))
    own[1:] = []
    for callers in regime.callers:
        with dispatch_model(path) as model:
            works = [lambda_for(model, regime, number) for number in range(callers)]
            found[f"dispatch {callers}"] = report(measure.run_callers(works, regime.seconds))
    return found


def work_of(predict: Callable[[Image], object], regime: Regime, number: int) -> Work:
    image = regime.images[number % len(regime.images)]
    return lambda: predict(image)


class Batches(NoopBackend):
    """A network that costs nothing, with a GPU's profile."""

    device = "cuda:0"

    def profiles(self, model: Model, threads: int, plan: Plan) -> tuple[Profile, ...]:
        """Describe the profile of the torch backend."""
        sizes = (1, 2, 4, 8, 16, 32)
        return (Profile("batches", lanes=2, batch_sizes=sizes, draws_early=True),)


@contextlib.contextmanager
def dispatch_model(path: Path) -> Iterator[YOLO]:
    """The file's engine, around a network that does nothing."""
    with (
        mock.patch("yoloom.facade.open_model.find_backend", return_value=Batches()),
        YOLO(path, backend="torch", device="cuda:0") as model,
    ):
        yield model


def stress(regime: Regime, path: Path) -> dict[str, Any]:
    """Threads with deadlines, cancellations and sizes of their own for a while: every call ends once, counts add up."""
    outcomes: dict[str, int] = {}
    lock = threading.Lock()
    with regime.open(path) as model:
        until = time.monotonic() + regime.stress_s

        def work(number: int) -> None:
            random = np.random.default_rng(number)
            while time.monotonic() < until:
                image = regime.images[random.integers(len(regime.images))]
                crop = image[: int(random.integers(40, image.shape[0])), : int(random.integers(40, image.shape[1]))]
                try:
                    future = model.submit(crop, timeout=float(random.choice([0.001, 0.05, 30.0])), **regime.options)
                    if random.random() < 0.1:
                        future.cancel()
                    outcome = type(future.result(60)).__name__
                except Exception as error:  # the kinds are counted, and only the expected ones may be there
                    outcome = type(error).__name__
                with lock:
                    outcomes[outcome] = outcomes.get(outcome, 0) + 1

        in_threads(regime.threads, work)
        statistics = model.statistics()
    ends = ("succeeded", "failed", "expired", "cancelled", "dropped")
    unexpected = set(outcomes) - {"Results", "CancelledError", errors.DeadlineExceeded.__name__}
    return {
        "outcomes": outcomes,
        "unexpected": sorted(unexpected),
        "counts_add_up": statistics.admitted == sum(getattr(statistics, end) for end in ends),
        "failed": statistics.failed,
        "device_mib": device_mib(regime),
    }


def in_threads(count: int, work: Callable[[int], None]) -> None:
    failures: list[BaseException] = []

    def guarded(number: int) -> None:
        try:
            work(number)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=guarded, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=Path, help="checkpoints, then pictures")
    parser.add_argument("--only", nargs="+", default=["identity", "rates", "rivals", "stress"])
    parser.add_argument("--results", type=Path, help="folder for gpu.json")
    parser.add_argument("--dry", action="store_true", help="torch's CPU device, tiny: only to see that it runs")
    arguments = parser.parse_args()
    models = [TINY] if arguments.dry else [path for path in arguments.files if path.suffix == ".pt"]
    regime = Regime(arguments.dry, [path for path in arguments.files if path.suffix != ".pt"])
    name = "cpu" if arguments.dry else torch.cuda.get_device_name(0)
    found: dict[str, Any] = {"device": name, "torch": torch.__version__, "machine": measure.machine()}
    precisions = ["fp32", "bf16"] if arguments.dry else ["fp16", "bf16", "fp32", "tf32"]
    jobs: list[tuple[str, Callable[[], dict[str, Any]]]] = []
    for path in models:
        jobs += [(f"rates {path.name}", lambda path=path: rates(regime, path))]  # type: ignore[misc]
        jobs += [(f"rivals {path.name}", lambda path=path: rivals(regime, path))]  # type: ignore[misc]
    jobs += [(f"identity {kind}", lambda kind=kind: identity(regime, models[-1], kind)) for kind in precisions]  # type: ignore[misc]
    jobs += [("stress", lambda: stress(regime, models[-1]))]
    for job, run in jobs:
        if job.split()[0] not in arguments.only:
            continue
        begin = time.monotonic()
        try:
            found[job] = run()
        except Exception as error:  # the others still count
            found[job] = {"error": f"{type(error).__name__}: {error}"}
        measure.log(f"{job}: {time.monotonic() - begin:.1f} s: {json.dumps(found[job])[:600]}")
        if arguments.results is not None:
            arguments.results.mkdir(parents=True, exist_ok=True)
            (arguments.results / "gpu.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(found))
    sys.exit(any("error" in one for one in found.values() if isinstance(one, dict)))


if __name__ == "__main__":
    main()
