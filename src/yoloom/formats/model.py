"""What a model file says: the immutable description that everything else works from."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeVar

from yoloom.values import FrozenDict

T = TypeVar("T")


class Layout(enum.Enum):
    """The form of a head's first output, B images at once. Extras: mask coefficients, keypoints, or an angle."""

    RAW = "raw"  # (B, 4 + nc + extras, A): xywh in canvas pixels, a score for each class; (B, nc) for classify
    END2END = "end2end"  # (B, N, 6 + extras): box, score, class; suppressed in the graph, zero rows as padding
    CANDIDATES = "candidates"  # (B, K, 6 + extras): xywh, best score and class of an anchor, best first; before NMS


class Conversion(Protocol):
    """The network of a file that no runtime reads, in a format that they do read. Threads: anybody."""

    def source(self) -> Path | bytes:
        """A file, which may be gone a moment later, or the bytes of one. Raises ModelError."""


@dataclass(frozen=True)
class Graph:
    """Where the network lies. `files` are all that its bytes depend on, the one to open first.

    conversion: None where a runtime reads the first of them itself.
    """

    format: str  # "onnx" or "openvino": what a runtime reads
    files: tuple[Path, ...]
    conversion: Conversion | None = field(default=None, compare=False)

    @property
    def path(self) -> Path:
        """What the user opened."""
        return self.files[0]

    def source(self) -> Path | bytes:
        """What a runtime reads now. Raises ModelError where it has to be converted again and can not be."""
        return self.path if self.conversion is None else self.conversion.source()

    def load(self, read: Callable[[Path | bytes], T]) -> T:
        """What `read` makes of the source. Raises what it raises."""
        source = self.source()
        try:
            return read(source)
        except Exception:
            if self.conversion is None or not isinstance(source, Path) or source.exists():
                raise
        # Somebody cleared the cache between the two lines above.
        return read(self.source())


@dataclass(frozen=True)
class Shape:
    """The input that a graph takes; None where any number goes."""

    batch: int | None
    hw: tuple[int, int] | None


@dataclass(frozen=True)
class Model:
    """A YOLO network and what is known about it. Immutable: shared freely.

    names: class id -> name. stride: what height and width must be multiples of, in pixels.
    imgsz_hw: the size it was exported for; other sizes work only when `input.hw` is None. kpt_shape: (keypoints,
    values of each), of a pose network.
    """

    graph: Graph
    task: str
    names: Mapping[int, str]
    stride: int
    imgsz_hw: tuple[int, int]
    input: Shape
    layout: Layout
    metadata: Mapping[str, str]
    kpt_shape: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", FrozenDict(self.names))
        object.__setattr__(self, "metadata", FrozenDict(self.metadata))

    @property
    def dynamic(self) -> bool:
        """Whether the graph takes any height and width."""
        return self.input.hw is None
