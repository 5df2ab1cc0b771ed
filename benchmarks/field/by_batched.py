"""`batched`: its decorator around OpenVINO by hand; its thread gathers up to eight images that wait into one run.

The decorator runs one batch at a time, so the network has all cores (the LATENCY hint) and a free batch size.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import batched
import numpy as np
import openvino as ov
from numpy.typing import NDArray

from contender import Contender, Files, Image, Options
from plain_yolo import SIDE, Letterboxed, blob, letterbox, rows

BATCH = 8


class ByBatched(Contender):
    """Shared: that is what it is for."""

    def __init__(self, files: Files, pattern: str, pictures: Sequence[Image], defaults: Options) -> None:
        super().__init__(files, pattern, pictures, defaults)
        core = ov.Core()
        network = core.read_model(files.dynamic)
        network.reshape([-1, 3, SIDE, SIDE])
        hints = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
        self._request = core.compile_model(network, "CPU", hints).create_infer_request()
        self._run = batched.dynamically(self._run_batch, batch_size=BATCH)

    def predict(self, caller: int, picture: int, options: Options) -> Any:
        placed = letterbox(self.pictures[picture])
        return rows(self._run(placed), placed, {**self.defaults, **options})

    def rows(self, result: Any) -> NDArray[np.float32]:
        return np.asarray(result)

    def close(self) -> None:
        self._run.shutdown()

    def _run_batch(self, waiting: list[Letterboxed]) -> list[NDArray[np.float32]]:
        images = np.concatenate([blob(placed.canvas) for placed in waiting])
        self._request.infer({0: images})
        return list(self._request.get_output_tensor(0).data.copy())


CONTENDER = ByBatched
