"""`yowo`: one engine on ONNX Runtime, its way of taking an `.onnx` file.

Confidence and IoU belong to the engine, so calls have no options of their own. Patterns: "shared", `detect` in several
threads, as its `adetect` does; "locked", with a lock around it.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from yowo import InferenceEngine, ModelFamily, ModelSize
from yowo.types import BackendType, Frame

from contender import Contender, Files, Image, Options


class ByYowo(Contender):
    """Shared."""

    takes_options = False

    def __init__(self, files: Files, pattern: str, pictures: Sequence[Image], defaults: Options) -> None:
        super().__init__(files, pattern, pictures, defaults)
        self._engine = InferenceEngine(
            model_family=ModelFamily.YOLO11,  # the same raw output as YOLOv8
            model_size=ModelSize.NANO,
            weights_path=Path(files.static),
            backend=BackendType.ONNX,
            device="cpu",
            confidence_threshold=defaults["conf"],
            iou_threshold=defaults["iou"],
        )
        self._engine.load()
        # Guards the engine, where the pattern says so.
        self._turn: AbstractContextManager[Any] = threading.Lock() if pattern == "locked" else nullcontext()

    def predict(self, caller: int, picture: int, options: Options) -> Any:
        frame = Frame(pixels=self.pictures[picture], source_id=str(caller), frame_index=0)
        with self._turn:
            [detection] = self._engine.detect([frame])
        return detection

    def rows(self, result: Any) -> NDArray[np.float32]:
        found = [[box.x1, box.y1, box.x2, box.y2, box.confidence, box.class_id] for box in result.boxes]
        return np.array(found, np.float32).reshape(-1, 6)

    def close(self) -> None:
        self._engine.close()


CONTENDER = ByYowo
