"""The protobuf reader agrees with the `onnx` package on what is sound, and raises ValueError on all else."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from examples import examples
from yoloom.errors import InvalidModel
from yoloom.formats.model import ModelFile
from yoloom.formats.onnx_file import read_onnx
from yoloom.formats.protobuf import BYTES, FIXED32, FIXED64, VARINT, fields, mapped, messages, text

_LETTERS = "abc/_. é字\n"
_names = st.text(_LETTERS, min_size=1, max_size=8)
_dims = st.lists(st.one_of(st.integers(1, 2**31), st.none(), _names), max_size=5)
_arrays = st.lists(st.integers(0, 5), max_size=20)


def whole(message: bytes) -> list[tuple[int, int, Any]]:
    return [
        (number, kind, bytes(v) if isinstance(v, memoryview) else v) for number, kind, v in fields(memoryview(message))
    ]


@st.composite
def onnx_models(draw: st.DrawFn) -> onnx.ModelProto:
    def values(count: int, prefix: str) -> list[onnx.ValueInfoProto]:
        return [helper.make_tensor_value_info(f"{prefix}{i}", TensorProto.FLOAT, draw(_dims)) for i in range(count)]

    weights = [
        numpy_helper.from_array(np.array(draw(_arrays), "float32"), f"weight{index}")
        for index in range(draw(st.integers(0, 3)))
    ]
    listed = [helper.make_tensor_value_info(tensor.name, TensorProto.FLOAT, tensor.dims) for tensor in weights]
    graph = helper.make_graph(
        [helper.make_node("Identity", ["in0"], ["out0"], name=draw(_names)) for _ in range(draw(st.integers(1, 3)))],
        draw(_names),
        [*(listed if draw(st.booleans()) else ()), *values(draw(st.integers(0, 3)), "in")],
        values(draw(st.integers(0, 3)), "out"),
        weights,
        doc_string=draw(st.text(_LETTERS, max_size=5)),
    )
    model = helper.make_model(graph, producer_name=draw(st.text(_LETTERS, max_size=5)))
    helper.set_model_props(
        model, draw(st.dictionaries(st.text(_LETTERS, max_size=5), st.text(_LETTERS, max_size=20), max_size=4))
    )
    return model


def _shape(value: onnx.ValueInfoProto) -> tuple[int | None, ...]:
    return tuple(dim.dim_value if dim.dim_value > 0 else None for dim in value.type.tensor_type.shape.dim)


@given(onnx_models())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_agrees_with_the_onnx_package(tmp_path: Path, model: onnx.ModelProto) -> None:
    path = tmp_path / "any.onnx"
    path.write_bytes(model.SerializeToString())
    signature, notes = read_onnx(ModelFile("onnx", (path,)))
    weights = {tensor.name for tensor in model.graph.initializer}
    assert list(signature.inputs) == [_shape(value) for value in model.graph.input if value.name not in weights]
    assert list(signature.outputs) == [_shape(value) for value in model.graph.output]
    assert dict(notes) == {entry.key: entry.value for entry in model.metadata_props}


@given(onnx_models(), st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_damaged_files_raise_invalid_model_or_nothing(
    tmp_path: Path, model: onnx.ModelProto, data: st.DataObject
) -> None:
    damaged = bytearray(model.SerializeToString())
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / "damaged.onnx"
    path.write_bytes(damaged[data.draw(st.integers(0, 3)) :])
    with contextlib.suppress(InvalidModel):
        read_onnx(ModelFile("onnx", (path,)))


@given(st.binary())
@settings(max_examples=examples(100))
def test_any_bytes_raise_value_error_or_nothing(message: bytes) -> None:
    try:
        found = whole(message)
    except ValueError:
        return
    assert all(kind in (VARINT, FIXED64, BYTES, FIXED32) for _, kind, _ in found)


@given(st.binary(max_size=100), st.integers(1, 500))
def test_messages_within_messages(inner: bytes, number: int) -> None:
    wrapped = _key(number, BYTES) + _varint(len(inner)) + inner
    assert [bytes(value) for value in messages(memoryview(wrapped), number)] == [inner]
    for length in range(1, len(wrapped)):
        with pytest.raises(ValueError, match=r"end inside|needs"):
            whole(wrapped[:length])


@given(st.integers(0, 2**64 - 1), st.integers(1, 2**29 - 1))
def test_numbers(value: int, number: int) -> None:
    assert whole(_key(number, VARINT) + _varint(value)) == [(number, VARINT, value)]


def test_fixed_sizes() -> None:
    assert whole(_key(1, FIXED32) + b"abcd" + _key(2, FIXED64) + b"abcdefgh") == [(1, 5, b"abcd"), (2, 1, b"abcdefgh")]


@pytest.mark.parametrize("wire_type", [3, 4, 6, 7])
def test_wire_types_that_do_not_exist(wire_type: int) -> None:
    with pytest.raises(ValueError, match=f"wire type {wire_type}"):
        whole(_key(1, wire_type) + b"\0\0\0\0")


def test_number_without_an_end() -> None:
    with pytest.raises(ValueError, match="more than ten bytes"):
        whole(b"\xff" * 20)


def test_last_text_wins() -> None:
    twice = _key(1, BYTES) + b"\1a" + _key(1, BYTES) + b"\2bc"
    assert text(memoryview(twice), 1) == "bc"
    assert text(memoryview(twice), 2) == ""


def test_empty_file_can_not_be_mapped(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    with pytest.raises(ValueError, match="empty"):
        mapped(tmp_path / "empty")


def _key(number: int, wire_type: int) -> bytes:
    return _varint(number << 3 | wire_type)


def _varint(value: int) -> bytes:
    encoded = b""
    while value >= 0x80:
        encoded += bytes([value & 0x7F | 0x80])
        value >>= 7
    return encoded + bytes([value])
