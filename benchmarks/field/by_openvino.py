"""OpenVINO by hand: a compiled model that all share, and an infer request for each thread.

As its documentation advises: preprocessing is part of the graph, so that uint8 goes in. Patterns: "latency" and
"throughput", the performance hints.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import openvino as ov
from numpy.typing import NDArray

from contender import Contender, Files, Image, Options
from plain_yolo import letterbox, rows


class ByOpenVINO(Contender):
    """Shared: each caller has a request of its own."""

    def __init__(self, files: Files, pattern: str, pictures: Sequence[Image], defaults: Options) -> None:
        super().__init__(files, pattern, pictures, defaults)
        core = ov.Core()
        hints = {"PERFORMANCE_HINT": pattern.upper(), "INFERENCE_PRECISION_HINT": "f32"}
        self._compiled = core.compile_model(_with_preprocessing(core.read_model(files.static)), "CPU", hints)
        self._requests: list[Any] = []

    def prepare(self, callers: int) -> None:
        while len(self._requests) < callers:
            self._requests.append(self._compiled.create_infer_request())

    def predict(self, caller: int, picture: int, options: Options) -> Any:
        placed = letterbox(self.pictures[picture])
        rgb = cv2.cvtColor(placed.canvas, cv2.COLOR_BGR2RGB)
        request = self._requests[caller]
        request.infer({0: ov.Tensor(rgb[None], shared_memory=True)})
        return rows(request.get_output_tensor(0).data[0], placed, {**self.defaults, **options})

    def rows(self, result: Any) -> NDArray[np.float32]:
        return np.asarray(result)


def _with_preprocessing(network: Any) -> Any:
    steps = ov.preprocess.PrePostProcessor(network)
    steps.input().tensor().set_element_type(ov.Type.u8).set_layout(ov.Layout("NHWC"))
    steps.input().model().set_layout(ov.Layout("NCHW"))
    steps.input().preprocess().convert_element_type(ov.Type.f32).scale(255.0)
    return steps.build()


CONTENDER = ByOpenVINO
