"""ONNX Runtime by hand: one session with its default settings.

Patterns: "shared", called by all threads at once, which its documentation allows; "locked", the common practice of a
lock around the whole call.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from contender import Contender, Files, Image, Options
from plain_yolo import blob, letterbox, rows


class ByOnnxRuntime(Contender):
    """Shared."""

    def __init__(self, files: Files, pattern: str, pictures: Sequence[Image], defaults: Options) -> None:
        super().__init__(files, pattern, pictures, defaults)
        self._session = onnxruntime.InferenceSession(files.static, providers=["CPUExecutionProvider"])
        self._input = self._session.get_inputs()[0].name
        # Guards the run and what is done around it, where the pattern says so.
        self._turn: AbstractContextManager[Any] = threading.Lock() if pattern == "locked" else nullcontext()

    def predict(self, caller: int, picture: int, options: Options) -> Any:
        with self._turn:
            placed = letterbox(self.pictures[picture])
            [output] = self._session.run(None, {self._input: blob(placed.canvas)})
            return rows(output[0], placed, {**self.defaults, **options})

    def rows(self, result: Any) -> NDArray[np.float32]:
        return np.asarray(result)


CONTENDER = ByOnnxRuntime
