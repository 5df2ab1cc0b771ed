"""A model shared by all on the torch backend: batches are formed across callers, and nobody's results change."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from yoloom import YOLO
from yoloom.runtime.torch import torch_context
from yoloom.testing import barrier_run

DATA = Path(__file__).parents[2] / "data"
NAMES = ["v8-detect", "26-segment", "11-pose", "12-obb", "tiny-classify"]
COLUMNS = ("boxes", "obb", "keypoints", "masks", "probs")


def path_of(name: str) -> Path:
    return next(path for path in (DATA / f"{name}.pt", DATA / "checkpoints" / f"{name}.pt") if path.exists())


def image(seed: int) -> Any:
    return np.random.default_rng(seed).integers(0, 256, (96, 128, 3), np.uint8)


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A folder of this test's own for conversions."""
    monkeypatch.setenv("YOLOOM_CACHE", str(tmp_path / "cache"))


def columns(result: Any) -> dict[str, bytes]:
    """All bits of a result."""
    found = {name: getattr(result, name) for name in COLUMNS}
    return {name: np.asarray(value.data).tobytes() for name, value in found.items() if value is not None}


@pytest.mark.parametrize("name", NAMES)
def test_64_threads_with_options_of_their_own(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    execute = torch_context.TorchContext._execute

    def counted(self: Any, batch: Any, lowest_score: float) -> Any:
        sizes.append(len(batch))
        return execute(self, batch, lowest_score)

    monkeypatch.setattr(torch_context.TorchContext, "_execute", counted)

    def options(index: int) -> dict[str, Any]:
        return {"conf": (0.2, 0.35, 0.5)[index % 3], "max_det": 1 + index % 20, "imgsz": (96, 128)[index % 2]}

    with YOLO(path_of(name), backend="torch", device="cpu", batch="fixed") as model:
        assert model.guarantee().bit_identical
        expected = [columns(model.predict(image(index % 5), **options(index))[0]) for index in range(64)]
        sizes.clear()
        found = barrier_run(64, lambda index: columns(model.predict(image(index % 5), **options(index))[0]))
    assert found == expected
    assert max(sizes) > 1  # callers shared a run
    assert len(sizes) < 64


@pytest.mark.parametrize("name", NAMES)
def test_results_are_those_of_the_cpu_backend(name: str) -> None:
    options = {"imgsz": 128, "conf": 0.3, "max_det": 10}
    with YOLO(path_of(name), backend="torch", device="cpu") as mine, YOLO(path_of(name)) as theirs:
        one, other = (model.predict(image(1), **options)[0] for model in (mine, theirs))
    for column in COLUMNS:
        if getattr(other, column) is not None:
            np.testing.assert_allclose(
                np.asarray(getattr(one, column).data, np.float64),
                np.asarray(getattr(other, column).data, np.float64),
                rtol=1e-3,
                atol=0.1 if column != "probs" else 1e-3,
            )
