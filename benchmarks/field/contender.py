"""What a contender is, to the process that measures it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Options = Mapping[str, Any]
DEFAULTS: Options = {"conf": 0.25, "iou": 0.7}


@dataclass(frozen=True)
class Files:
    """The same network in the forms that contenders read, and the photographs. static: 1 x 3 x 640 x 640."""

    checkpoint: str
    dynamic: str
    static: str
    photographs: tuple[str, ...]


class Contender(ABC):
    """A library or a way of using one. Made once in a process, then called by any number of threads at once.

    takes_options: whether each call may have options of its own; else it has those that it was made with.
    """

    takes_options = True

    def __init__(self, files: Files, pattern: str, pictures: Sequence[Image], defaults: Options) -> None:
        """Load the network. pattern: the way of using it. defaults: options of calls without their own."""
        self.files, self.pattern, self.pictures, self.defaults = files, pattern, pictures, defaults

    def prepare(self, callers: int) -> None:  # noqa: B027  most have nothing to do
        """Make what so many callers need, before they are measured."""

    @abstractmethod
    def predict(self, caller: int, picture: int, options: Options) -> Any:
        """Predict the picture of that number for a caller of that number, in the calling thread."""

    @abstractmethod
    def rows(self, result: Any) -> NDArray[np.float32]:
        """(N, 6): xyxy, confidence and class of what `predict` returned."""

    def close(self) -> None:  # noqa: B027  most have nothing to do
        """End what it has started."""


def read_pictures(paths: Sequence[str]) -> list[Image]:
    """The photographs as they are, mirrored, and in parts: each caller has one of its own."""
    whole = [np.asarray(cv2.imread(str(Path(path))), np.uint8) for path in paths]
    mirrored = [picture[:, ::-1] for picture in whole]
    upper = [picture[: 2 * len(picture) // 3] for picture in whole]
    right = [picture[:, picture.shape[1] // 3 :] for picture in whole]
    return [np.ascontiguousarray(picture) for picture in (*whole, *mirrored, *upper, *right)]
