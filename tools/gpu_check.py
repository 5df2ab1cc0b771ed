"""All checks of the torch backend that need a GPU, in one bounded run, with their figures as JSON.

    python tools/gpu_check.py MODEL.pt [MODEL.pt ...] --out gpu.json       # about 6 minutes for two models
    python tools/gpu_check.py --dry                                        # the same on torch's CPU device, tiny

It needs torch and what `import yoloom` needs, and neither OpenVINO nor ONNX Runtime. Sections, each with a limit of
time, so that what was measured until then is written in any case:

- probe: which sizes of batch keep an image's bits, in each precision; how far sizes are apart; time to open.
- parity: raw outputs against float32 on torch's CPU device.
- speed: PyTorch without graphs in a model for each thread, one shared model behind a lock, bare graph replays of each
  batch, and lanes with copies and results.
- engine: images per second, latency and bits through one shared `YOLO`, by the number of callers.
- memory: what weights and lanes take on the device.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import json
import os
import statistics
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "src"))

from yoloom import YOLO
from yoloom.formats.model import Model
from yoloom.formats.read import describe
from yoloom.runtime.protocol import Precision, Profile
from yoloom.runtime.torch.bit_check import distance
from yoloom.runtime.torch.graphs import CudaGraphs, EagerGraphs
from yoloom.runtime.torch.torch_backend import TorchBackend, TorchCompiled
from yoloom.runtime.torch.torch_device import TorchDevice
from yoloom.runtime.torch.torch_import import torch
from yoloom.runtime.torch.torch_network import TorchNetwork
from yoloom.store.locate import file_at

DRY_MODEL = Path(__file__).resolve().parent.parent / "tests" / "data" / "checkpoints" / "v8-detect.pt"
SIZES = (1, 2, 4, 8, 16, 32)


class Clock:
    """The time that a section has. Thread safety: any number of threads."""

    def __init__(self, seconds: float) -> None:
        """Start now."""
        self.begin = time.monotonic()
        self.seconds = seconds

    @property
    def spent(self) -> bool:
        """Whether the time is over."""
        return time.monotonic() - self.begin > self.seconds


class Check:
    """One device, the models, and how much to do of everything. Thread safety: one thread at a time."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        """Open the device. Raises what `TorchDevice` raises."""
        self.dry = bool(arguments.dry)
        self.device = TorchDevice("cpu" if self.dry else arguments.device)
        self.sizes = (1, 2) if self.dry else SIZES
        self.hw = (64, 96) if self.dry else (arguments.imgsz, arguments.imgsz)
        self.runs = 2 if self.dry else 30
        self.threads = (1, 2) if self.dry else (1, 4, 16)
        self.callers = (1, 4) if self.dry else (1, 8, 32, 128)
        self.round_s = 0.2 if self.dry else 2.0
        self.models: list[Model] = [describe(file_at(path)) for path in arguments.models or [DRY_MODEL]]
        self.images = np.random.default_rng(0).integers(0, 256, (max(self.sizes), *self.hw, 3), np.uint8)

    def compiled(self, model: Model, precision: Precision, sizes: tuple[int, ...]) -> TorchCompiled:
        """A network in these sizes of batch."""
        profile = Profile("batches", lanes=2, batch_sizes=sizes)
        return TorchBackend(self.device.name).compile(model, profile, precision)

    def synchronize(self) -> None:
        """Wait for the device."""
        if self.device.is_cuda:
            torch.cuda.synchronize(self.device.index)


def probe(check: Check, model: Model, clock: Clock) -> dict[str, Any]:
    """Bits: by place and mates in each size of batch, and between the sizes."""
    found = {}
    for precision in check.device.precisions():
        if clock.spent:
            break
        begin = time.monotonic()
        compiled = check.compiled(model, precision, check.sizes)
        opened = time.monotonic() - begin
        context = compiled.context()
        spreads, references = {}, {}
        for size in check.sizes:
            spreads[size], references[size] = context.measure(check.hw, size)
        first = references[check.sizes[0]]
        found[precision.value] = {
            "seconds_to_open": round(opened, 2),
            "spread_in_batch": spreads,
            "distance_to_one": {size: distance(reference, first) for size, reference in references.items()},
            "used": compiled.sizes.usable(check.hw),
            "guarantee": vars(compiled.guarantee),
        }
    return found


def parity(check: Check, model: Model, clock: Clock) -> dict[str, Any]:
    """Raw outputs of two images against float32 on torch's CPU device, relative to the value or to 1."""
    images = torch.from_numpy(check.images[:2])
    cpu = TorchNetwork(model, TorchDevice("cpu"), Precision.FP32)
    with torch.inference_mode():
        expected = cpu.measured(cpu.run(images, cpu.canvas(check.hw)))
    found = {}
    for precision in check.device.precisions():
        if clock.spent:
            break
        network = TorchNetwork(model, check.device, precision)
        graphs = _graphs(check, precision)
        rows = graphs.device_rows(tuple(images.shape))
        graphs.upload(images, rows)
        canvas = network.canvas(check.hw)
        hosts = graphs.download(network.measured(graphs.run(lambda: network.run(rows, canvas))))  # noqa: B023
        graphs.wait()
        found[precision.value] = distance(hosts, expected)
    return found


def speed(check: Check, model: Model, clock: Clock) -> dict[str, Any]:
    """Images per second of the ceilings, and of lanes."""
    precision = check.device.precisions()[0]
    found: dict[str, Any] = {"precision": precision.value}
    found["eager_model_per_thread"] = {n: _eager(check, model, precision, n, shared=False) for n in check.threads}
    found["eager_shared_with_lock"] = {n: _eager(check, model, precision, n, shared=True) for n in check.threads}
    found["graph_ms"], found["lanes_images_per_s"] = {}, {}
    for size in check.sizes:
        if clock.spent:
            break
        milliseconds = _replay_ms(check, model, precision, size)
        found["graph_ms"][size] = {"ms": milliseconds, "images_per_s": round(size / milliseconds * 1e3)}
    for size in check.sizes[-3:]:
        compiled = check.compiled(model, precision, (size,))
        for lanes in (1, 2, 3):
            if not clock.spent:
                found["lanes_images_per_s"][f"{lanes}x{size}"] = _lanes(check, compiled, size, lanes)
    return found


def engine(check: Check, model: Model, clock: Clock) -> dict[str, Any]:
    """One shared model: rate, latency, and how many results differ from those of a lone caller."""
    found: dict[str, Any] = {}
    for batch in (None, "fixed"):
        arguments: dict[str, Any] = {"backend": "torch", "device": check.device.name, "batch": batch}
        arguments["precision"] = check.device.precisions()[0].value
        with YOLO(model.graph.path, **arguments) as shared:
            predict = functools.partial(shared.predict, imgsz=check.hw, verbose=False)
            expected = [_bits(predict(image)[0]) for image in check.images]
            for callers in check.callers:
                if not clock.spent:
                    found[f"batch={batch} callers={callers}"] = _crowd(check, predict, expected, callers)
            found[f"batch={batch} guarantee"] = vars(shared.guarantee())
    return found


def memory(check: Check, model: Model, clock: Clock) -> dict[str, Any]:
    """Bytes on the device: weights, then one lane after the other, each with its largest batch."""
    compiled = check.compiled(model, check.device.precisions()[0], check.sizes)
    found: dict[str, Any] = {"weights": compiled.network.weights_bytes, "reserved_after_lanes": []}
    contexts = []
    for _ in range(3):
        if clock.spent:
            break
        contexts.append(compiled.context())
        contexts[-1].run(check.images[: compiled.sizes.usable(check.images.shape[1:3])[-1]], lowest_score=1.0)
        reserved = torch.cuda.memory_reserved(check.device.index) if check.device.is_cuda else 0
        found["reserved_after_lanes"].append(reserved)
    return found


SECTIONS: dict[str, tuple[float, Callable[[Check, Model, Clock], dict[str, Any]]]] = {
    "probe": (60.0, probe),
    "parity": (40.0, parity),
    "speed": (90.0, speed),
    "engine": (60.0, engine),
    "memory": (20.0, memory),
}
"""The sections in their order, each with the most seconds that it may begin something new in, for each model."""


def _crowd(check: Check, predict: Callable[..., Any], expected: list[bytes], callers: int) -> dict[str, float]:
    """Callers of one model, each with its share of the images in turn."""
    times: list[float] = []
    differ: list[int] = []
    turns = itertools.count()

    def call(_index: int) -> None:
        which = next(turns) % len(expected)
        begin = time.perf_counter()
        (result,) = predict(check.images[which])
        times.append(time.perf_counter() - begin)
        if _bits(result) != expected[which]:
            differ.append(which)

    rate = _rate(check, callers, call, images=1)
    p50, p99 = (round(float(np.quantile(times, part)) * 1e3, 2) for part in (0.5, 0.99))
    return {"images_per_s": rate, "p50_ms": p50, "p99_ms": p99, "of": len(times), "differ": len(differ)}


def _bits(result: Any) -> bytes:
    """All numbers of a result."""
    columns = (getattr(result, name) for name in ("boxes", "obb", "keypoints", "masks", "probs"))
    return b"".join(np.asarray(column.data).tobytes() for column in columns if column is not None)


def _graphs(check: Check, precision: Precision) -> CudaGraphs | EagerGraphs:
    return CudaGraphs(check.device, precision) if check.device.is_cuda else EagerGraphs(check.device, precision)


def _eager(check: Check, model: Model, precision: Precision, threads: int, *, shared: bool) -> float:
    """Images per second of plain PyTorch with batches of one: what people do without yoloom."""
    lock = threading.Lock()
    networks = [TorchNetwork(model, check.device, precision)] * threads
    if not shared:
        networks = [networks[0], *(TorchNetwork(model, check.device, precision) for _ in range(threads - 1))]
    dtype_images = torch.from_numpy(check.images[:1])

    def one(index: int) -> None:
        network = networks[index]
        with torch.inference_mode():
            rows = dtype_images.to(check.device.torch_device)
            first = network.outputs(network.run(rows, network.canvas(check.hw)))[0]
            first.cpu()

    def guarded(index: int) -> None:
        with lock:
            one(index)

    return _rate(check, threads, guarded if shared else one, images=1)


def _replay_ms(check: Check, model: Model, precision: Precision, size: int) -> float:
    """Milliseconds of a replay, without copies: the median of single ones."""
    network, graphs = TorchNetwork(model, check.device, precision), _graphs(check, precision)
    rows, canvas = graphs.device_rows((size, *check.hw, 3)), network.canvas(check.hw)
    graphs.capture("bare", lambda: network.run(rows, canvas))
    times = []
    for _ in range(check.runs):
        begin = time.perf_counter()
        graphs.replay("bare")
        graphs.wait()
        times.append(time.perf_counter() - begin)
    return round(statistics.median(times) * 1e3, 3)


def _lanes(check: Check, compiled: TorchCompiled, size: int, lanes: int) -> float:
    """Images per second of lanes with pinned rows, copies and results."""
    contexts = [compiled.context() for _ in range(lanes)]
    for context in contexts:
        context.run(check.images[:size], lowest_score=0.99)

    def run(index: int) -> None:
        rows = contexts[index].staging((size, *check.hw, 3))
        contexts[index].run(rows, lowest_score=0.99)

    return _rate(check, lanes, run, images=size)


def _rate(check: Check, threads: int, work: Callable[[int], None], images: int) -> float:
    """Images per second of threads that work side by side for a while, after one run each."""
    for index in range(threads):
        work(index)
    check.synchronize()
    counts = [0] * threads
    errors: list[BaseException] = []
    deadline = time.monotonic() + check.round_s

    def loop(index: int) -> None:
        try:
            while time.monotonic() < deadline:
                work(index)
                counts[index] += images
        except BaseException as error:  # noqa: BLE001  raised below
            errors.append(error)

    begin = time.monotonic()
    workers = [threading.Thread(target=loop, args=(index,)) for index in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    if errors:
        raise errors[0]
    return round(sum(counts) / (time.monotonic() - begin), 1)


def main(arguments: Iterable[str] | None = None) -> int:
    """Run the sections, and write what they found; 1 when one of them failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", type=Path, help="checkpoints, trained ones: yolov8n.pt, yolov8s.pt")
    parser.add_argument("--device", default="cuda:0")
    parser.add_argument("--imgsz", type=int, default=640)
    parser.add_argument("--only", nargs="+", choices=SECTIONS, default=list(SECTIONS), help="sections to run")
    parser.add_argument("--out", type=Path, help="file for the JSON; it is printed in any case")
    parser.add_argument("--dry", action="store_true", help="torch's CPU device, tiny images: only to see that it runs")
    options = parser.parse_args(None if arguments is None else list(arguments))
    with tempfile.TemporaryDirectory() as folder:
        os.environ.setdefault("YOLOOM_CACHE", folder)  # descriptions of checkpoints come from their conversion
        return check_all(options)


def check_all(options: argparse.Namespace) -> int:
    """Run the sections that were asked for."""
    check = Check(options)
    report: dict[str, Any] = {"device": check.device.description, "version": check.device.version, "hw": check.hw}
    failed = False
    for name in options.only:
        seconds, section = SECTIONS[name]
        for model in check.models:
            key = f"{name} {model.graph.path.name}"
            begin = time.monotonic()
            try:
                report[key] = section(check, model, Clock(seconds))
            except Exception as error:  # noqa: BLE001  the other sections still count
                failed = True
                report[key] = {"error": f"{type(error).__name__}: {error}", "trace": traceback.format_exc()}
            print(f"{key}: {time.monotonic() - begin:.1f} s", file=sys.stderr, flush=True)
            if options.out:
                options.out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(report, indent=1))
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
