"""`onnx-predictor-yolo`: one predictor that threads share, as its documentation shows, with its default settings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx_predictor_yolo import YoloPredictor

from contender import Contender, Files, Image, Options


class ByOnnxPredictor(Contender):
    """Shared."""

    def __init__(self, files: Files, pattern: str, pictures: Sequence[Image], defaults: Options) -> None:
        super().__init__(files, pattern, pictures, defaults)
        self._model = YoloPredictor(files.static, output_format="raw")

    def predict(self, caller: int, picture: int, options: Options) -> Any:
        return self._model.predict(self.pictures[picture], **{**self.defaults, **options})

    def rows(self, result: Any) -> NDArray[np.float32]:
        return np.column_stack([result.boxes, result.scores, result.class_ids]).astype(np.float32)


CONTENDER = ByOnnxPredictor
