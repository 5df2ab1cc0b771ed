"""Tiny networks made on the spot, the bundled model, and a check that no test leaves anything behind."""

from __future__ import annotations

import gc
import importlib.resources
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import psutil
import pytest
import yaml
from hypothesis import HealthCheck, settings
from onnx import TensorProto, helper, numpy_helper

from examples import examples
from yoloom import YOLO
from yoloom.engine.engine import Engine
from yoloom.engine.engine_registry import registry

# A machine under load is no reason to fail; the timeout of the whole test is the limit.
settings.register_profile(
    "yoloom", deadline=None, max_examples=examples(30), suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("yoloom")

# A shell that starts the tests in the background has them, and all their children, ignore Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Scripts that tests run in processes of their own draw scenes too.
TOOLS = str(Path(__file__).parents[1] / "tools")
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (TOOLS, os.environ.get("PYTHONPATH"))))


def pytest_collection_finish() -> None:
    """Leave what was imported until now out of all collections of garbage: tests ask for hundreds of them."""
    gc.collect()
    gc.freeze()


STRIDE = 8  # of the tiny networks: one anchor for 8 x 8 pixels


# ---- Models


@pytest.fixture(scope="session")
def demo_model() -> Path:
    """The model that comes with the package."""
    return Path(str(importlib.resources.files("yoloom") / "assets" / "demo.onnx"))


@pytest.fixture(scope="module")
def demo_stays_open(demo_model: Path) -> Iterator[None]:
    """Holds the engine of the bundled model: handles that tests open on it have not to wait for a compilation."""
    with YOLO(demo_model):
        yield


@pytest.fixture
def ultralytics_notes() -> Callable[..., dict[str, str]]:
    return notes_of


@pytest.fixture
def tiny_onnx(tmp_path: Path) -> Callable[..., Path]:
    """Writes an ONNX network for detection and returns its path; the parameters are those of `tiny_network`."""

    def write(name: str = "tiny.onnx", **kind: Any) -> Path:
        path = tmp_path / name
        path.write_bytes(tiny_network(**kind).SerializeToString())
        return path

    return write


@pytest.fixture
def tiny_ir(tiny_onnx: Callable[..., Path], tmp_path: Path) -> Callable[..., Path]:
    """Writes an OpenVINO IR folder with its metadata.yaml (without, for `metadata=None`) and returns the folder."""

    def write(metadata: Mapping[str, Any] | None = None, **kind: Any) -> Path:
        from yoloom.runtime.openvino import core, ov

        folder = tmp_path / "tiny_openvino_model"
        folder.mkdir()
        ov.save_model(core().read_model(tiny_onnx(**kind)), folder / "tiny.xml", compress_to_fp16=False)
        if metadata is not None:
            (folder / "metadata.yaml").write_text(yaml.safe_dump(dict(metadata)), encoding="utf-8")
        return folder

    return write


def notes_of(nc: int = 3, **changes: Any) -> dict[str, str]:
    """The metadata of an Ultralytics 8.4 export; a change to None leaves the key out."""
    notes: dict[str, Any] = {
        "description": "a tiny network",
        "version": "8.4.0",
        "stride": 32,
        "task": "detect",
        "batch": 1,
        "imgsz": [64, 64],
        "names": {index: f"thing{index}" for index in range(nc)},
        "args": {"batch": 1, "dynamic": True, "nms": False},
        "channels": 3,
        "end2end": False,
    }
    return {key: str(value) for key, value in (notes | changes).items() if value is not None}


def tiny_network(
    *,
    layout: str = "raw",
    nc: int = 3,
    batch: int | None = None,
    hw: tuple[int, int] | None = None,
    metadata: Mapping[str, str] | None = None,
    half: bool = False,
    opset: int = 17,
    rows: int = 10,
) -> onnx.ModelProto:
    """A network of one convolution whose boxes and scores depend on every pixel.

    layout: "raw" (B, 4 + nc, A), "end2end" (B, rows, 6), or "nms", which ends in a NonMaxSuppression node and pads its
    `rows` with zeros (for batch 1). batch, hw: None for a free axis.
    """
    float_type, dtype = (TensorProto.FLOAT16, np.float16) if half else (TensorProto.FLOAT, np.float32)
    height, width = hw or ("height", "width")
    free_batch = "batch" if batch is None else batch
    anchors = hw[0] // STRIDE * (hw[1] // STRIDE) if hw else "anchors"
    shape = (free_batch, 4 + nc, anchors) if layout == "raw" else (free_batch, rows, 6)
    nodes = [*_raw_nodes("output0" if layout == "raw" else "raw"), *_SELECTIONS[layout]]
    used = {name for node in nodes for name in node.input}
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("images", float_type, [free_batch, 3, height, width])],
        [helper.make_tensor_value_info("output0", float_type, list(shape))],
        [numpy_helper.from_array(array, name) for name, array in _constants(nc, rows, dtype).items() if name in used],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    helper.set_model_props(model, dict(metadata or {}))
    return model


def _constants(nc: int, rows: int, dtype: Any) -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    return {
        "weights": random.normal(0, 0.15, (4 + nc, 3, STRIDE, STRIDE)).astype(dtype),
        "flat": np.array([0, 4 + nc, -1], np.int64),
        "pixels": np.array(48, dtype),
        "start": np.array([0], np.int64),
        "four": np.array([4], np.int64),
        "end": np.array([2**31], np.int64),
        "one": np.array([1], np.int64),
        "rows": np.array([rows], np.int64),
        "six": np.array([1, 1, 6], np.int64),
        "limit": np.array(0.5, np.float32),
        "low": np.array(0.25, np.float32),
        "zeros": np.zeros((rows, 6), dtype),
        "class_column": np.array([1], np.int64),
        "box_column": np.array([2], np.int64),
        "axis0": np.array([0], np.int64),
    }


def _raw_nodes(output: str) -> list[onnx.NodeProto]:
    node = helper.make_node
    return [
        node("Conv", ["images", "weights"], ["map"], strides=[STRIDE, STRIDE]),
        node("Reshape", ["map", "flat"], ["logits"]),
        node("Sigmoid", ["logits"], ["ones"]),
        node("Slice", ["ones", "start", "four", "one"], ["unit_boxes"]),
        node("Mul", ["unit_boxes", "pixels"], ["boxes"]),
        node("Slice", ["ones", "four", "end", "one"], ["scores"]),
        node("Concat", ["boxes", "scores"], [output], axis=1),
    ]


def _end2end_nodes() -> list[onnx.NodeProto]:
    node = helper.make_node
    return [
        node("TopK", ["scores", "one"], ["best", "cls"], axis=1),
        node("CastLike", ["cls", "best"], ["float_cls"]),
        node("Concat", ["boxes", "best", "float_cls"], ["columns"], axis=1),
        node("Transpose", ["columns"], ["all_rows"], perm=[0, 2, 1]),
        node("Transpose", ["best"], ["best_rows"], perm=[0, 2, 1]),
        node("TopK", ["best_rows", "rows"], ["_", "order"], axis=1),
        node("Tile", ["order", "six"], ["order6"]),
        node("GatherElements", ["all_rows", "order6"], ["output0"], axis=1),
    ]


def _nms_nodes() -> list[onnx.NodeProto]:
    node = helper.make_node
    return [
        node("Transpose", ["boxes"], ["box_rows"], perm=[0, 2, 1]),
        node("NonMaxSuppression", ["box_rows", "scores", "rows", "limit", "low"], ["picked"], center_point_box=1),
        node("Gather", ["picked", "class_column"], ["cls"], axis=1),
        node("Slice", ["picked", "one", "end", "one"], ["cls_box"]),
        node("Gather", ["picked", "box_column"], ["box"], axis=1),
        node("Squeeze", ["box", "one"], ["box_ids"]),
        node("Squeeze", ["box_rows", "axis0"], ["boxes0"]),
        node("Gather", ["boxes0", "box_ids"], ["picked_boxes"]),
        node("Squeeze", ["scores", "axis0"], ["scores0"]),
        node("GatherND", ["scores0", "cls_box"], ["picked_scores"]),
        node("Unsqueeze", ["picked_scores", "one"], ["score_column"]),
        node("CastLike", ["cls", "boxes0"], ["float_cls"]),
        node("Concat", ["picked_boxes", "score_column", "float_cls"], ["found"], axis=1),
        node("Concat", ["found", "zeros"], ["padded"], axis=0),
        node("Slice", ["padded", "start", "rows", "axis0"], ["cut"]),
        node("Unsqueeze", ["cut", "axis0"], ["output0"]),
    ]


_SELECTIONS = {"raw": [], "end2end": _end2end_nodes(), "nms": _nms_nodes()}


# ---- A cache of their own


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What the tests convert is not the user's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("YOLOOM_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


# ---- Nothing is left behind


@pytest.fixture(autouse=True)
def _no_leftovers() -> Iterator[None]:
    """Fails a test that leaves a thread, a child process, a socket or a shared-memory segment.

    Threads of models that wider fixtures opened before the test are theirs.
    """
    engines = _open_engines()
    threads, children, sockets, segments = set(threading.enumerate()), _children(), _sockets(), _segments()
    yield
    left = _threads_left(threads, engines)
    if left or _sockets() - sockets:
        gc.collect()  # handles and sockets that wait for the collector
        left = _threads_left(threads, engines)
    assert not left, f"threads left behind: {', '.join(left)}"
    assert not _children() - children, "child processes left behind"
    for _ in range(200):  # the thread that closes one may not have come to it, as with threads above
        if not _sockets() - sockets:
            break
        threading.Event().wait(0.01)
    assert not _sockets() - sockets, "sockets left open"
    assert not _segments() - segments, "shared memory left behind"


def _threads_left(before: set[threading.Thread], engines: list[Engine]) -> list[str]:
    """Names of new threads that are not daemons or are yoloom's, and that do not end within a moment."""
    theirs = before.union(*(_threads_of(engine) for engine in engines))
    new = [thread for thread in threading.enumerate() if thread not in theirs]
    suspects = [thread for thread in new if not thread.daemon or thread.name.startswith("yoloom")]
    for thread in suspects:
        thread._started.wait(2.0)  # type: ignore[attr-defined]  # it may be in the middle of its start
        thread.join(2.0)
    return [thread.name for thread in suspects if thread.is_alive()]


def _threads_of(engine: Engine) -> set[threading.Thread]:
    return set(engine.threads_alive())


def _open_engines() -> list[Engine]:
    return [pending.result() for pending in list(registry()._engines.values()) if pending.done()]


def _children() -> set[int]:
    """Processes that this one started, without Python's own helpers, which live as long as it."""
    multiprocessing.active_children()  # reaps those that have ended
    if not _has_children():
        return set()
    return {child.pid for child in psutil.Process().children() if not _is_pythons_helper(child)}


def _has_children() -> bool:
    """Whether there are any: far cheaper than to list them."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    except AttributeError:  # this system can not say
        pass
    return True


def _is_pythons_helper(process: psutil.Process) -> bool:
    try:
        command = " ".join(process.cmdline())
    except psutil.Error:
        return False
    return "multiprocessing.resource_tracker" in command or "multiprocessing.forkserver" in command


def _sockets() -> set[str]:
    """Names of the open sockets, where the system tells."""
    found = set()
    folder = Path("/proc/self/fd")
    for descriptor in os.listdir(folder) if folder.exists() else ():
        try:
            name = os.readlink(folder / descriptor)
        except OSError:  # the descriptor of the listing itself
            continue
        if name.startswith("socket:"):
            found.add(name)
    return found


def _segments() -> set[str]:
    """Shared-memory segments of Python and yoloom, where the system shows them."""
    folder = Path("/dev/shm")
    names = os.listdir(folder) if folder.exists() else ()
    return {name for name in names if name.startswith(("psm_", "yoloom"))}
