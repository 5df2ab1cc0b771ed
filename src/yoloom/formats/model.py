"""A model file and its description: the immutable values that everything else works from."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from yoloom.values import FrozenDict

T = TypeVar("T")


class Layout(enum.Enum):
    """The form of a head's first output, B images at once. Extras: mask coefficients, keypoints, or an angle.

    Boxes are xywh (centre and size) in canvas pixels where nothing else is said.
    """

    RAW = "raw"  # (B, 4 + nc + extras, A): box, a score for each class; (B, nc) probabilities for classify
    TRANSPOSED = "transposed"  # (B, A, 4 + nc + extras): the same with its axes swapped
    OBJECTNESS = "objectness"  # (B, A, 5 + nc + extras): box, objectness, classes; their product is the score
    YOLOX = "yolox"  # (B, A, 5 + nc): as OBJECTNESS, box relative to its cell of strides 8, 16 and 32
    YOLOX_DECODED = "yolox-decoded"  # (B, A, 5 + nc): as OBJECTNESS, from a network that takes BGR of 0..255
    END2END = "end2end"  # (B, N, 6 + extras): xyxy, score, class; suppressed in the graph, zero rows as padding
    ROWS = "rows"  # (B, A, 6): xyxy, best score and class of each anchor, in any order; before NMS
    CANDIDATES = "candidates"  # (B, K, 6 + extras): box, best score and class of an anchor, best first; before NMS
    LOGITS = "logits"  # (B, nc) for classify: before the softmax


class Quantization(enum.Enum):
    """The use of 8-bit whole numbers in a network. Weights alone that are stored so count for none: floats compute."""

    NONE = "none"
    STATIC = "static"  # scales are part of the file
    CONTRIBUTED = "contributed"  # the same, with operators that ONNX Runtime alone defines
    DYNAMIC = "dynamic"  # scales are taken from the values of each run, of all images in a batch together


LAYOUTS = tuple(layout.value for layout in Layout if layout is not Layout.CANDIDATES)
"""The values that `YOLO(path, layout=...)` takes: those which a file can have."""


def lfs_pointer(path: Path) -> str | None:
    """Return the message for a file that only points to one in Git LFS; None for any other. Raises OSError."""
    mark = b"version https://git-lfs"
    with path.open("rb") as opened:
        if opened.read(len(mark)) != mark:
            return None
    return (
        f"{path} is a pointer of Git LFS and not the model itself: fetch it with `git lfs pull`, or download it from "
        "where it is published."
    )


@dataclass(frozen=True)
class ModelFile:
    """The files that hold a network which runtimes read as it is. Immutable. Thread safety: any number of threads.

    Attributes:
        format: "onnx" or "openvino", the format that a runtime reads.
        files: All files that the network depends on, the one that the user opened first.
    """

    format: str
    files: tuple[Path, ...]

    @property
    def path(self) -> Path:
        """The file that the user opened."""
        return self.files[0]

    @property
    def is_checkpoint(self) -> bool:
        """Whether a runtime reads a conversion of the file instead of the file itself."""
        return False

    def network(self) -> Path | bytes:
        """Return what a runtime reads now: a file in `format`, or the bytes of one. Raises ModelError."""
        return self.path

    def load(self, read: Callable[[Path | bytes], T]) -> T:
        """Return `read(network)`. Raises what `network` and `read` raise."""
        network = self.network()
        try:
            return read(network)
        except Exception:
            if not self.is_checkpoint or not isinstance(network, Path) or network.exists():
                raise
        # Somebody cleared the cache between `network` and `read`. The second try converts the checkpoint again.
        return read(self.network())


@dataclass(frozen=True)
class Shape:
    """The input of a graph.

    Attributes:
        batch: Images at once, None for any number.
        hw: Height and width in pixels, None for any.
        pixels: Whether it takes 0..255, and not 0..1.
        bgr: Whether it takes blue first, and not red.
    """

    batch: int | None
    hw: tuple[int, int] | None
    pixels: bool = False
    bgr: bool = False


@dataclass(frozen=True)
class Model:
    """A YOLO network as its file describes it. Immutable. Thread safety: any number of threads.

    Attributes:
        graph: The files that hold the network.
        task: "detect", "segment", "pose", "obb" or "classify".
        names: Class id -> name, read-only.
        stride: Height and width of the input must be multiples of it, in pixels.
        imgsz_hw: The size that it was exported for; other sizes work only when `input.hw` is None.
        input: The input of the graph.
        layout: The form of its first output.
        metadata: The notes that the file carries, as texts, read-only.
        kpt_shape: Keypoints and values of each, for pose; else None.
        quantization: Whether it computes with 8-bit numbers.
    """

    graph: ModelFile
    task: str
    names: Mapping[int, str]
    stride: int
    imgsz_hw: tuple[int, int]
    input: Shape
    layout: Layout
    metadata: Mapping[str, str]
    kpt_shape: tuple[int, int] | None = None
    quantization: Quantization = Quantization.NONE

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", FrozenDict(self.names))
        object.__setattr__(self, "metadata", FrozenDict(self.metadata))

    @property
    def dynamic(self) -> bool:
        """Whether the graph takes any height and width."""
        return self.input.hw is None
