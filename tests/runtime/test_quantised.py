"""Networks of 8-bit numbers: named as such, with the same bits for everybody, and refused where a runtime is wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from quantised_networks import CONTRIBUTED, quantised, with_unknown_operator
from yoloom import YOLO, Plan
from yoloom.errors import InvalidModel, InvalidOption, UnsupportedModel
from yoloom.formats.model import Quantization
from yoloom.formats.read import read_model
from yoloom.runtime.openvino import core, ov
from yoloom.runtime.precision import find_precision
from yoloom.runtime.protocol import Precision, promised
from yoloom.runtime.registry import find_backend
from yoloom.testing import barrier_run

IMAGES = np.random.default_rng(0).integers(0, 256, (4, 64, 64, 3), np.uint8)
KINDS = {
    "pairs": Quantization.STATIC,
    "operators": Quantization.STATIC,
    "weights": Quantization.NONE,
    "dynamic": Quantization.DYNAMIC,
    "integers": Quantization.DYNAMIC,
    "product": Quantization.CONTRIBUTED,
    "leaky": Quantization.CONTRIBUTED,
}


NOTES = {"task": "detect", "names": "{0: 'a', 1: 'b', 2: 'c'}", "stride": "32"}


@pytest.fixture
def write(tiny_onnx: Callable[..., Path]) -> Callable[..., Path]:
    """Write a tiny network of one kind; the parameters are those of `tiny_network`."""

    def write(kind: str, **network: Any) -> Path:
        path = tiny_onnx(f"{kind}.onnx", metadata=NOTES, **network)
        onnx.save(quantised(onnx.load(path), kind), path)
        return path

    return write


@pytest.mark.parametrize(("kind", "expected"), KINDS.items())
def test_it_is_read_from_the_operators(write: Callable[..., Path], kind: str, expected: Quantization) -> None:
    assert read_model(write(kind)).quantization is expected


def test_it_is_read_from_an_ir(write: Callable[..., Path], tmp_path: Path) -> None:
    # Before, guarantee() called it fp32.
    for kind in ("pairs", "weights"):
        ov.save_model(core().read_model(write(kind)), tmp_path / kind / "tiny.xml")
        text = (tmp_path / kind / "tiny.xml").read_text()
        model = read_model(tmp_path / kind)
        assert (model.quantization is Quantization.STATIC) == ("FakeQuantize" in text) == (kind == "pairs")
    with YOLO(tmp_path / "pairs") as opened:
        assert opened.guarantee().precision == "int8"
    with YOLO(tmp_path / "weights") as opened:
        assert opened.guarantee().precision == "fp32"


@pytest.mark.parametrize("backend", ["openvino", "onnxruntime"])
@pytest.mark.parametrize("kind", ["pairs", "operators", "weights", "dynamic", "integers"])
def test_many_callers_get_the_bits_of_one(write: Callable[..., Path], backend: str, kind: str) -> None:
    with YOLO(write(kind), backend=backend) as model:
        guarantee = model.guarantee()
        assert guarantee.precision == ("fp32" if kind == "weights" else "int8")
        assert guarantee.bit_identical
        assert ("8 bits" in guarantee.because) == (kind != "weights")
        alone = [model(image, conf=0.01)[0].boxes.data.tobytes() for image in IMAGES]
        together = barrier_run(4, lambda number: model(IMAGES[number], conf=0.01)[0].boxes.data.tobytes())
        assert together == alone


@pytest.mark.slow
def test_workers_tell_it_too(write: Callable[..., Path]) -> None:
    with YOLO(write("pairs"), workers=1) as model:
        assert model.guarantee().precision == "int8"
        assert model._opened.engine.precision is Precision.FP32


def test_the_format_of_the_rest_is_named(write: Callable[..., Path]) -> None:
    backend, model = find_backend("openvino", "cpu"), read_model(write("pairs"))
    assert promised(backend, model, Precision.BF16).precision == "int8 and bf16"
    assert promised(backend, model, find_precision(None, backend)).precision == "int8"


@pytest.mark.parametrize("kind", ["dynamic", "integers"])
@pytest.mark.parametrize("backend", ["openvino", "onnxruntime"])
def test_scales_of_a_run_forbid_batches(write: Callable[..., Path], backend: str, kind: str) -> None:
    # The scale is that of all images of a run together: a bright one would change the bits of a dark one beside it.
    with pytest.raises(InvalidOption, match=r"batch must be 1.*other bits for several images"):
        YOLO(write(kind), backend=backend, plan=Plan(batch=4))
    with YOLO(write(kind, batch=4), backend=backend) as model:  # computes four in any case, and one of them counts
        bright, dark = np.full((64, 64, 3), 255, np.uint8), IMAGES[0] // 8
        alone = model(dark, conf=0.01)[0].boxes.data.tobytes()
        assert barrier_run(4, lambda n: model((bright, dark)[n % 2], conf=0.01)[0].boxes.data.tobytes())[1] == alone


@pytest.mark.parametrize("kind", ["product", "leaky"])
def test_operators_that_openvino_gets_wrong_are_left_to_the_other_runtime(
    write: Callable[..., Path], kind: str
) -> None:
    # OpenVINO 2026.4 gives other numbers for QLinearMul, QLinearAdd and others, and no error.
    path = write(kind)
    with pytest.raises(UnsupportedModel, match=r"wrong numbers for: open it with YOLO\(path, backend='onnxruntime'\)"):
        YOLO(path)
    with YOLO(path, backend="onnxruntime") as model:
        assert model.guarantee().precision == "int8"


@pytest.mark.parametrize(
    ("op", "domain"),
    [("QLinearGlobalAveragePool", CONTRIBUTED), ("QAttention", CONTRIBUTED), ("NoSuchOperator", "nobody.knows")],
)
def test_a_file_that_openvino_does_not_compile_names_the_other_runtime(
    tiny_onnx: Callable[..., Path], op: str, domain: str
) -> None:
    # Before, a dump of C++ and no word of it.
    path = tiny_onnx(metadata=NOTES)
    onnx.save(with_unknown_operator(onnx.load(path), op, domain), path)
    with pytest.raises((InvalidModel, UnsupportedModel), match="backend='onnxruntime'") as caught:
        YOLO(path)
    message = str(caught.value)
    assert len(message) < 700
    assert "src/" not in message
    assert "Check '" not in message
