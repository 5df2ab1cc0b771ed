"""`openvino-model-api`: one model wrapper. Thresholds belong to the wrapper, so calls have no options of their own.

Patterns: "shared", called by several threads, with a stream for each CPU and as many requests as it thinks best;
"locked", its defaults with a lock around the call.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
from model_api.adapters import OpenvinoAdapter, create_core, get_user_config
from model_api.models import Model
from numpy.typing import NDArray

from contender import Contender, Files, Image, Options


class ByModelAPI(Contender):
    """Shared."""

    takes_options = False

    def __init__(self, files: Files, pattern: str, pictures: Sequence[Image], defaults: Options) -> None:
        super().__init__(files, pattern, pictures, defaults)
        configuration = {"confidence_threshold": defaults["conf"], "iou_threshold": defaults["iou"]}
        settings = get_user_config("CPU", str(os.cpu_count()) if pattern == "shared" else "1", None)
        settings["INFERENCE_PRECISION_HINT"] = "f32"  # as everybody; else it is bfloat16 where a CPU has that
        adapter = OpenvinoAdapter(create_core(), files.static, device="CPU", plugin_config=settings)
        self._model = Model.create_model(adapter, model_type="YOLOv8", configuration=configuration, preload=True)
        # Guards the wrapper, where the pattern says so.
        self._turn: AbstractContextManager[Any] = threading.Lock() if pattern == "locked" else nullcontext()

    def predict(self, caller: int, picture: int, options: Options) -> Any:
        with self._turn:
            return self._model(self.pictures[picture])

    def rows(self, result: Any) -> NDArray[np.float32]:
        return np.column_stack([result.bboxes, result.scores, result.labels]).astype(np.float32).reshape(-1, 6)


CONTENDER = ByModelAPI
