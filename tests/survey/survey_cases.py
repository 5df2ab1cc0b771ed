"""The survey: which network is read, as what, and which one is refused until the caller says more."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import onnx
from onnx import TensorProto

from survey_networks import (
    SIDE,
    classifier,
    deepstream,
    planted,
    rtdetr,
    with_input,
    yolo26_pose,
    yolov5,
    yolov6,
    yolov8,
    yolov8_segment,
    yolov10,
    yolox,
)
from yoloom.errors import YoloomError
from yoloom.formats.model import Model
from yoloom.formats.read import read_model

NAMES = "{0: 'a', 1: 'b', 2: 'c'}"
FULL = {
    "task": "detect",
    "names": NAMES,
    "stride": "32",
    "imgsz": "[64, 64]",
    "channels": "3",
    "batch": "1",
    "version": "8.4.190",
    "head": "Detect",
    "args": "{'batch': 1, 'nms': False}",
    "end2end": "False",
}
OLD = {"task": "detect", "names": NAMES, "stride": "32", "imgsz": "[64, 64]", "batch": "1", "version": "8.0.110"}
V5 = {"stride": "32", "names": NAMES}
TWO = "{0: 'a', 1: 'b'}"
POSE = {**FULL, "task": "pose", "kpt_shape": "[2, 3]"}


@dataclass(frozen=True)
class Case:
    """One network of the survey.

    Attributes:
        network: The family, and what is special.
        notes: The metadata, in words.
        build: Makes it.
        reading: How it is read, as `reading_of` says it.
        arguments: What the caller says.
    """

    network: str
    notes: str
    build: Callable[[], onnx.ModelProto]
    reading: str
    arguments: Mapping[str, Any] = field(default_factory=dict)

    def write(self, folder: Path) -> Path:
        """Write the file."""
        path = folder / "survey.onnx"
        path.write_bytes(self.build().SerializeToString())
        return path


def reading_of(path: Path, arguments: Mapping[str, Any]) -> str:
    """Read a file, and say in a few words as what, or which error refuses it."""
    try:
        return described(read_model(path, **arguments))
    except YoloomError as error:
        return f"refused: {type(error).__name__}"


def described(model: Model) -> str:
    """Say in a few words what a model is read as."""
    fed = (
        f", fed{' pixels' * model.input.pixels}{' as BGR' * model.input.bgr}"
        if model.input.pixels or model.input.bgr
        else ""
    )
    classes = f"{len(model.names)} classes" if model.names else "classes without names"
    return f"{model.task}, {model.layout.value}, {classes}{fed}"


REFUSED, BROKEN, TASK = "refused: UnsupportedModel", "refused: InvalidModel", "refused: UnsupportedTask"
RAW = "detect, raw, 3 classes"
U8, I8 = TensorProto.UINT8, TensorProto.INT8

CASES = [
    # YOLOv8 and its successors
    Case("YOLOv8 detect", "of 8.4", lambda: yolov8(FULL), RAW),
    Case("YOLOv8 detect", "of 8.0", lambda: yolov8(OLD), RAW),
    Case("YOLOv8 detect", "none", lambda: yolov8({}), RAW),
    Case("YOLOv8 detect", "names only", lambda: yolov8({"names": NAMES}), RAW),
    Case("YOLOv8 detect", "without names", lambda: yolov8({"task": "detect"}), RAW),
    Case("YOLOv8 detect", "names of two classes", lambda: yolov8({**FULL, "names": TWO}), BROKEN),
    Case(
        "YOLOv8 detect", "names of two classes", lambda: yolov8({**FULL, "names": TWO}), RAW, {"names": ["a", "b", "c"]}
    ),
    Case(
        "YOLOv8 detect", "names counted from 1", lambda: yolov8({**FULL, "names": "{1: 'a', 2: 'b', 3: 'c'}"}), BROKEN
    ),
    Case(
        "YOLOv8 detect",
        "names counted from 1",
        lambda: yolov8({**FULL, "names": "{1: 'a', 2: 'b', 3: 'c'}"}),
        RAW,
        {"names": ["a", "b", "c"]},
    ),
    Case(
        "YOLOv8 detect",
        "names that can not be read",
        lambda: yolov8({**FULL, "names": "a, b"}),
        RAW,
        {"names": ["a", "b", "c"]},
    ),
    Case("YOLOv8 detect", "says end2end", lambda: yolov8({**FULL, "end2end": "True"}), BROKEN),
    Case("YOLOv8 detect", "of a depth model", lambda: yolov8({**FULL, "task": "depth"}), TASK),
    Case("YOLOv8 detect before its sigmoid", "of 8.4", lambda: yolov8(FULL, sigmoid=False), REFUSED),
    Case("YOLOv8 detect, axes swapped", "of 8.4", lambda: yolov8(FULL, swap=True), "detect, transposed, 3 classes"),
    Case("YOLOv8 detect, axes swapped", "none", lambda: yolov8({}, swap=True), "detect, transposed, 3 classes"),
    Case("YOLOv8 segment", "of 8.4", lambda: yolov8_segment({**FULL, "task": "segment"}), "segment, raw, 3 classes"),
    Case("YOLOv8 segment", "none", lambda: yolov8_segment({}), "segment, raw, 3 classes"),
    Case("YOLOv8 pose", "of 8.4", lambda: yolov8(POSE, extras=6), "pose, raw, 3 classes"),
    Case("YOLOv8 pose", "none", lambda: yolov8({}, extras=6), REFUSED),
    Case("YOLOv8 obb", "of 8.4", lambda: yolov8({**FULL, "task": "obb"}, extras=1), "obb, raw, 3 classes"),
    Case("YOLOv8 obb", "none", lambda: yolov8({}, extras=1), REFUSED),
    Case("YOLOv8 obb", "none", lambda: yolov8({}, extras=1), "obb, raw, 3 classes", {"task": "obb"}),
    # Heads that select
    Case("YOLOv10", "of 8.4", lambda: yolov10({**FULL, "end2end": "True"}), "detect, end2end, 3 classes"),
    Case("YOLOv10", "of 8.3", lambda: yolov10(OLD), "detect, end2end, 3 classes"),
    Case(
        "YOLOv10",
        "of 8.3, two classes",
        lambda: yolov10({**OLD, "names": TWO}, classes=2),
        "detect, end2end, 2 classes",
    ),
    Case("YOLOv10", "none", lambda: yolov10({}), "detect, end2end, classes without names"),
    Case("YOLOv10, free axes", "none", lambda: yolov10({}, "rows"), "detect, end2end, classes without names"),
    Case("YOLO26 pose", "of 8.4", lambda: yolo26_pose({**POSE, "end2end": "True"}), "pose, end2end, 3 classes"),
    Case("DeepStream-Yolo, before NMS", "none", lambda: deepstream({}), "detect, rows, classes without names"),
    Case("DeepStream-Yolo, before NMS", "names", lambda: deepstream({"names": NAMES}), "detect, rows, 3 classes"),
    Case("rows of six, opaque", "none", lambda: planted((1, 40, 6)), REFUSED),
    Case(
        "rows of six, opaque",
        "of 8.3, three classes",
        lambda: planted((1, 40, 6), notes=OLD),
        "detect, end2end, 3 classes",
    ),
    Case(
        "rows of six, opaque", "of 8.3, two classes", lambda: planted((1, 40, 6), notes={**OLD, "names": TWO}), REFUSED
    ),
    Case(
        "rows of six, opaque",
        "none",
        lambda: planted((1, 40, 6)),
        "detect, end2end, classes without names",
        {"layout": "end2end"},
    ),
    Case("one row of six for each anchor, opaque", "none", lambda: planted((1, 84, 6)), REFUSED),
    # Objectness
    Case("YOLOv5", "of YOLOv5", lambda: yolov5(V5), "detect, objectness, 3 classes"),
    Case("YOLOv5", "none", lambda: yolov5({}), "detect, objectness, 3 classes"),
    Case(
        "YOLOv5, one class", "of YOLOv5", lambda: yolov5({**V5, "names": "['a']"}, 1), "detect, objectness, 1 classes"
    ),
    Case("YOLOv5, free axes", "of YOLOv5", lambda: yolov5(V5, free=True), "detect, objectness, 3 classes"),
    Case("YOLOv5, free axes", "none", lambda: yolov5({}, free=True), REFUSED),
    Case("YOLOv5", "names of two classes", lambda: yolov5({**V5, "names": TWO}), REFUSED),
    Case("YOLOv5 segment", "of YOLOv5", lambda: yolov5(V5, masks=4), "segment, objectness, 3 classes"),
    Case("YOLOv5-face", "of YOLOv5", lambda: yolov5({**V5, "names": "['face']"}, 1, landmarks=10), REFUSED),
    Case("YOLOv5-face", "none", lambda: yolov5({}, 1, landmarks=10), REFUSED),
    Case("YOLOv5, opaque", "of YOLOv5", lambda: planted((1, 252, 8), notes=V5), "detect, objectness, 3 classes"),
    Case("YOLOv5, opaque", "none", lambda: planted((1, 252, 8)), REFUSED),
    Case(
        "YOLOv5, opaque",
        "none",
        lambda: planted((1, 252, 8)),
        "detect, objectness, 3 classes",
        {"layout": "objectness"},
    ),
    Case("YOLOX", "none", yolox, "detect, yolox, 3 classes, fed pixels as BGR"),
    Case("YOLOX, decoded", "none", lambda: yolox(decoded=True), REFUSED),
    Case(
        "YOLOX, decoded",
        "none",
        lambda: yolox(decoded=True),
        "detect, yolox-decoded, 3 classes, fed pixels as BGR",
        {"layout": "yolox-decoded"},
    ),
    Case("YOLOv6", "none", yolov6, "detect, objectness, 3 classes"),
    Case(
        "YOLOv6, ones made by an operator", "none", lambda: yolov6(objectness="made"), "detect, objectness, 3 classes"
    ),
    Case("YOLOv6, one class", "none", lambda: yolov6(1), "detect, objectness, 1 classes"),
    Case("YOLOv6, an objectness that is computed", "none", lambda: yolov6(objectness="computed"), REFUSED),
    Case("YOLOX, opaque", "none", lambda: planted((1, 84, 8)), REFUSED),
    # Others
    Case("RT-DETR", "of 8.3", lambda: rtdetr(OLD), REFUSED),
    Case("RT-DETR", "of 8.3, two classes", lambda: rtdetr({**OLD, "names": TWO}, 2), REFUSED),
    Case("RT-DETR", "of 8.4", lambda: rtdetr({**FULL, "head": "RTDETRDecoder"}), REFUSED),
    Case("RT-DETR", "none", lambda: rtdetr({}), REFUSED),
    Case("a depth map", "none", lambda: planted((1, 64, 64)), REFUSED),
    Case("channels first, opaque", "none", lambda: planted((1, 7, 84)), REFUSED),
    Case("channels first, opaque", "none", lambda: planted((1, 7, 84)), RAW, {"layout": "raw"}),
    Case("a list of seven values", "none", lambda: planted((40, 7)), BROKEN),
    # Classifiers
    Case(
        "classifier with its softmax",
        "of 8.4",
        lambda: classifier({**FULL, "task": "classify"}),
        "classify, raw, 3 classes",
    ),
    Case(
        "classifier without it",
        "of 8.4",
        lambda: classifier({**FULL, "task": "classify"}, "Gemm"),
        "classify, logits, 3 classes",
    ),
    Case(
        "classifier without it",
        "none",
        lambda: classifier({}, "Gemm"),
        "classify, logits, 3 classes",
        {"task": "classify"},
    ),
    Case("classifier", "none", lambda: classifier({}), BROKEN),
    Case("classifier that ends otherwise", "none", lambda: classifier({}, "Relu"), REFUSED, {"task": "classify"}),
    Case(
        "classifier that ends otherwise",
        "none",
        lambda: classifier({}, "Relu"),
        "classify, raw, 3 classes",
        {"task": "classify", "layout": "raw"},
    ),
    # Inputs, each before YOLOv8 without metadata
    Case("uint8, divides by 255", "none", lambda: with_input("divides by 255", U8), f"{RAW}, fed pixels"),
    Case("uint8, multiplies by 1/255", "none", lambda: with_input("multiplies by 1/255", U8), f"{RAW}, fed pixels"),
    Case("uint8, as they are", "none", lambda: with_input("", U8), f"{RAW}, fed pixels"),
    Case("uint8, channels last", "none", lambda: with_input("", U8, (1, SIDE, SIDE, 3)), REFUSED),
    Case("int8", "none", lambda: with_input("", I8), REFUSED),
    Case("float32, divides by 255", "none", lambda: with_input("divides by 255"), f"{RAW}, fed pixels"),
    Case(
        "float32, subtracts 123, divides by 58",
        "none",
        lambda: with_input("subtracts 123, divides by 58"),
        f"{RAW}, fed pixels",
    ),
    Case(
        "float32, subtracts 0.45, divides by 0.22", "none", lambda: with_input("subtracts 0.45, divides by 0.22"), RAW
    ),
    Case("float32, divides by 12", "none", lambda: with_input("divides by 12"), REFUSED),
    Case("float32, flips the channels", "none", lambda: with_input("flips the channels"), f"{RAW}, fed as BGR"),
    Case("float32, reverses the channels", "none", lambda: with_input("reverses the channels"), f"{RAW}, fed as BGR"),
    *(
        Case(f"float32, {kind}", "none", lambda kind=kind: with_input(kind), reading)  # type: ignore[misc]
        for kind, reading in (
            ("splits the channels and reverses them", f"{RAW}, fed as BGR"),
            ("splits the channels and joins them", RAW),
            ("splits the channels and scales each", REFUSED),
            ("stacks the channels the other way round", f"{RAW}, fed as BGR"),
            ("stacks the channels the other way round, by slices", f"{RAW}, fed as BGR"),
            ("swaps two channels", REFUSED),
            ("keeps the channels", RAW),
        )
    ),
]
