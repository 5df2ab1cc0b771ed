"""yoloom: one model that all callers share. Patterns: "threads", and "workers", with two worker processes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contender import Contender, Files, Image, Options
from yoloom import YOLO

WORKERS = 2


class ByYoloom(Contender):
    """Shared."""

    def __init__(self, files: Files, pattern: str, pictures: Sequence[Image], defaults: Options) -> None:
        super().__init__(files, pattern, pictures, defaults)
        self._model = YOLO(files.static, workers=WORKERS if pattern == "workers" else None)

    def predict(self, caller: int, picture: int, options: Options) -> Any:
        [results] = self._model.predict(self.pictures[picture], **{**self.defaults, **options})
        return results

    def rows(self, result: Any) -> NDArray[np.float32]:
        return np.asarray(result.boxes.data, np.float32)

    def close(self) -> None:
        self._model.close()


CONTENDER = ByYoloom
