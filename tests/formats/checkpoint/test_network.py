"""Networks rebuilt from checkpoints, against Ultralytics' own numbers, which lie beside the small files here."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

from checkpoint_parity import RUNNERS, TOLERANCE, compare, run_openvino
from yoloom.errors import InvalidModel, InvalidOption, UnsupportedModel
from yoloom.formats.checkpoint.checkpoint_file import CONVERTER
from yoloom.formats.checkpoint.describe import Checkpoint
from yoloom.formats.checkpoint.onnx_model import build_onnx
from yoloom.formats.checkpoint.parse import read_checkpoint
from yoloom.formats.checkpoint.pickled.tree import Module
from yoloom.formats.protobuf import Deferred, ProtoMessage

FOLDER = Path(__file__).parents[2] / "data" / "checkpoints"
PATHS = sorted(FOLDER.glob("*.pt"))
NAMES = [path.stem for path in PATHS]


def load(name: str) -> Checkpoint:
    return read_checkpoint(FOLDER / f"{name}.pt")


def changed(module: Module, path: str, **changes: object) -> Module:
    """The same tree with other values in the module at this dotted path."""
    name, _, rest = path.partition(".")
    if not name:
        return replace(module, **changes)  # type: ignore[arg-type]
    children = {**module.children, name: changed(module.children[name], rest, **changes)}
    return replace(module, children=children)


@pytest.mark.slow
@pytest.mark.parametrize("runtime", ["openvino", "onnxruntime"])
@pytest.mark.parametrize("path", PATHS, ids=NAMES)
def test_outputs_are_those_of_ultralytics(path: Path, runtime: str) -> None:
    assert compare(path, RUNNERS[runtime]).worst <= TOLERANCE


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("options", [{}, {"nms": False, "half": True, "dynamic": False, "imgsz_hw": (24, 40)}])
def test_files_are_sound_and_deterministic(name: str, options: dict[str, object]) -> None:
    data = build_onnx(load(name), **options)  # type: ignore[arg-type]
    onnx.checker.check_model(data, full_check=True)
    assert data == build_onnx(load(name), **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(("name", "nms"), [*((name, None) for name in NAMES), ("v10-detect", False), ("26-obb", False)])
def test_fixed_sizes_give_the_shapes_they_declare(name: str, nms: bool | None) -> None:
    checkpoint = load(name)
    data = build_onnx(checkpoint, dynamic=False, imgsz_hw=(24, 40), batch=2, nms=nms)
    outputs = run_openvino(data, np.zeros((2, checkpoint.channels, 24, 40), np.float32))
    declared = [
        tuple(dim.dim_value for dim in output.type.tensor_type.shape.dim)
        for output in onnx.load_from_string(data).graph.output
    ]
    assert [output.shape for output in outputs] == declared


def test_half_weighs_half_and_stays_near() -> None:
    checkpoint, images = load("v8-detect"), np.full((1, 3, 24, 40), 0.5, np.float32)
    whole, half = build_onnx(checkpoint), build_onnx(checkpoint, half=True)
    np.testing.assert_allclose(run_openvino(half, images)[0], run_openvino(whole, images)[0], rtol=0.02, atol=0.02)
    assert len(half) < 0.7 * len(whole)


def test_metadata_are_those_of_an_export() -> None:
    model = onnx.load_from_string(build_onnx(load("26-pose"), dynamic=False, imgsz_hw=(24, 40), nms=False))
    notes = {entry.key: entry.value for entry in model.metadata_props}
    assert (notes["task"], notes["head"]) == ("pose", "Pose26")
    assert ast.literal_eval(notes["imgsz"]) == [24, 40]
    assert ast.literal_eval(notes["kpt_shape"]) == [4, 2]
    assert ast.literal_eval(notes["names"]) == {0: "0", 1: "1", 2: "2"}
    assert (notes["stride"], notes["batch"], notes["channels"], notes["end2end"]) == ("8", "1", "3", "True")
    assert ast.literal_eval(notes["args"])["dynamic"] is False


def test_a_head_without_nms_is_used_only_where_there_is_one() -> None:
    assert build_onnx(load("v8-detect"), nms=False).count(b"TopK") == 0


def test_a_size_that_the_stride_does_not_divide_is_refused() -> None:
    with pytest.raises(InvalidOption, match="multiples of the network's stride, 8"):
        build_onnx(load("v8-detect"), imgsz_hw=(24, 42))


def test_an_unknown_block_is_named_with_the_way_out() -> None:
    checkpoint = load("v8-detect")
    module = changed(checkpoint.module, "model.3", cls="ultralytics.nn.modules.block.HGBlock")
    with pytest.raises(UnsupportedModel, match=r"HGBlock.*format=onnx"):
        build_onnx(replace(checkpoint, module=module))


def test_parts_that_do_not_fit_are_a_typed_error() -> None:
    checkpoint = load("v8-detect")
    module = changed(checkpoint.module, "model.3", children={})
    with pytest.raises(InvalidModel, match="contradicts itself"):
        build_onnx(replace(checkpoint, module=module))


def test_a_module_that_contains_itself_many_times_over_is_refused() -> None:
    checkpoint = load("v8-detect")
    bomb = Module("torch.nn.modules.container.Sequential", {"f": -1, "i": 3}, {}, {})
    for _ in range(40):
        bomb = replace(bomb, children={"0": bomb, "1": bomb})
    children = {**checkpoint.module.children["model"].children, "3": bomb}
    with pytest.raises(InvalidModel, match="modules"):
        build_onnx(replace(checkpoint, module=changed(checkpoint.module, "model", children=children)))


@pytest.mark.parametrize("value", [0, 1, 127, 128, 2**32, -1, -(2**63), 2**63 - 1])
def test_integers_are_read_back_by_protobuf(value: int) -> None:
    attribute = onnx.AttributeProto.FromString(ProtoMessage().text(1, "a").integer(3, value).integer(20, 2).joined())
    assert attribute.i == value


def test_weights_that_do_not_fit_their_norm_are_a_typed_error() -> None:
    """They are computed when the file is written: long after the graph was made."""
    checkpoint = load("v8-detect")
    norm = checkpoint.module.children["model"].children["1"].children["bn"]
    with pytest.raises(InvalidModel, match="contradicts itself"):
        build_onnx(
            replace(checkpoint, module=changed(checkpoint.module, "model.2.m.0.cv1.bn", parameters=norm.parameters))
        )


def test_deferred_bytes_of_another_length_than_was_said_are_refused() -> None:
    message = ProtoMessage().data(1, Deferred(3, lambda: b"four"))
    with pytest.raises(ValueError, match="expected 3 bytes, got 4"):
        message.joined()


def test_deferred_bytes_are_made_when_they_are_written() -> None:
    """So that a network of any size costs the memory of its largest layer."""
    created: list[int] = []

    def make(number: int) -> Callable[[], bytes]:
        return lambda: bytes([created.append(number) or number])

    message = ProtoMessage().data(1, Deferred(1, make(1))).data(1, Deferred(1, make(2)))
    assert [(chunk, list(created)) for chunk in message.chunks() if chunk in (b"\1", b"\2")] == [
        (b"\1", [1]),
        (b"\2", [1, 2]),
    ]


@pytest.mark.slow
def test_the_number_of_the_converter_goes_up_with_its_networks() -> None:
    """The cache finds earlier conversions by this number: change both together, or old networks are taken for new."""
    networks = hashlib.sha256()
    for name in NAMES:
        networks.update(onnx.load_from_string(build_onnx(load(name))).graph.SerializeToString(deterministic=True))
    assert (CONVERTER, networks.hexdigest()[:16]) == (1, "e9097a0927902170")
