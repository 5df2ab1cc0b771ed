"""OpenVINO IR folders: those that Ultralytics exports, those of others, and broken ones."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openvino as ov
import pytest
from openvino import opset8
from openvino.utils.node_factory import NodeFactory

from yoloom import YOLO
from yoloom.errors import InvalidModel, ModelNotFound, UnsupportedTask
from yoloom.formats.model import Layout
from yoloom.formats.read import read_model
from yoloom.runtime.openvino import core

Factory = Callable[..., Path]

YAML = {
    "version": "8.4.0",
    "stride": 32,
    "task": "detect",
    "batch": 1,
    "imgsz": [64, 64],
    "names": {0: "a", 1: "b", 2: "c"},
    "args": {"batch": 1, "dynamic": True, "nms": False},
    "channels": 3,
    "end2end": False,
}


def _entity_bomb() -> bytes:
    """A few hundred bytes that would grow to ten billion."""
    entities = [b'<!ENTITY a0 "aaaaaaaaaa">']
    entities += [b'<!ENTITY a%d "%s">' % (level, b"&a%d;" % (level - 1) * 10) for level in range(1, 10)]
    return b"<!DOCTYPE x [" + b"".join(entities) + b"]><net>&a9;</net>"


def test_folder_of_today(tiny_ir: Factory) -> None:
    folder = tiny_ir(YAML)
    model = read_model(folder)
    assert model.graph.format == "openvino"
    assert [path.name for path in model.graph.files] == ["tiny.xml", "tiny.bin", "metadata.yaml"]
    assert model.names == {0: "a", 1: "b", 2: "c"}
    assert model.imgsz_hw == (64, 64)
    assert model.dynamic
    assert model.input.batch is None
    assert model.layout is Layout.RAW
    assert model.metadata["names"] == "{0: 'a', 1: 'b', 2: 'c'}"


def test_xml_itself(tiny_ir: Factory) -> None:
    folder = tiny_ir(YAML)
    assert read_model(folder / "tiny.xml") == read_model(folder)


def test_without_metadata(tiny_ir: Factory) -> None:
    model = read_model(tiny_ir(None, batch=2, hw=(64, 96)))
    assert model.names == {0: "class0", 1: "class1", 2: "class2"}
    assert model.input.hw == (64, 96)
    assert model.input.batch == 2
    assert len(model.graph.files) == 2


def test_names_as_list(tiny_ir: Factory) -> None:
    assert read_model(tiny_ir(YAML | {"names": ["x", "y", "z"]})).names == {0: "x", 1: "y", 2: "z"}


@pytest.mark.parametrize("layout", ["end2end", "nms"])
def test_suppressed_layouts(tiny_ir: Factory, layout: str) -> None:
    folder = tiny_ir(YAML | {"args": {"nms": True}}, layout=layout, batch=1, hw=(64, 64))
    assert read_model(folder).layout is Layout.END2END


def test_overrides(tiny_ir: Factory) -> None:
    folder = tiny_ir(YAML | {"task": "depth"})
    assert read_model(folder, task="detect", names=["x", "y", "z"]).names[0] == "x"
    with pytest.raises(UnsupportedTask):
        read_model(folder)


def test_folder_without_a_network(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match="found 0"):
        read_model(tmp_path)


def test_folder_with_two_networks(tiny_ir: Factory) -> None:
    folder = tiny_ir(YAML)
    (folder / "other.xml").write_text("<net/>")
    with pytest.raises(ModelNotFound, match="found 2"):
        read_model(folder)


def test_missing_weights(tiny_ir: Factory) -> None:
    folder = tiny_ir(YAML)
    (folder / "tiny.bin").unlink()
    with pytest.raises(ModelNotFound, match=r"expected tiny\.bin"):
        read_model(folder)


@pytest.mark.parametrize(
    "text",
    [
        b"", b"garbage", b"\xff\xfe\0", b"<net>", b"<net/>", b"<net><layers/></net>", b"PK\3\4",
        b'<?xml version="1.0" encoding="no-such"?><net/>',
        b"<net><layers><layer type='Parameter'/></layers></net>",
        b"<net><layers><layer type='Parameter'><output><port><dim>many</dim></port></output></layer></layers></net>",
        _entity_bomb(),
    ],
)  # fmt: skip
def test_broken_xml(tiny_ir: Factory, text: bytes) -> None:
    folder = tiny_ir(YAML)
    (folder / "tiny.xml").write_bytes(text)
    with pytest.raises(InvalidModel, match=r"tiny\.xml"):
        read_model(folder)


def test_cut_short_anywhere(tiny_ir: Factory) -> None:
    folder = tiny_ir(None)
    whole = (folder / "tiny.xml").read_bytes()
    end = whole.rindex(b">")
    for length in range(0, end, 397):
        (folder / "tiny.xml").write_bytes(whole[:length])
        with pytest.raises(InvalidModel):
            read_model(folder)


def test_strange_sizes(tiny_ir: Factory) -> None:
    folder = tiny_ir(None, batch=1, hw=(64, 64))
    xml = (folder / "tiny.xml").read_text()
    (folder / "tiny.xml").write_text(re.sub(r"<dim>64</dim>", "<dim>-1</dim>", xml))
    assert read_model(folder).dynamic


# Each line refers nine times to the one before it: written out, the last is a billion words.
ALIAS_BOMB = b"a0: &a0 lol\n" + b"".join(
    b"a%d: &a%d [%s]\n" % (level, level, b", ".join([b"*a%d" % (level - 1)] * 9)) for level in range(1, 10)
)


@pytest.mark.parametrize(
    "text",
    [
        b"", b"just a text", b"- a\n- list", b"names: [", b"\xff\xfe\0\xff", b"date: 2026-13-45", b"[" * 1000,
        b"names: !!python/object/apply:os.getcwd []", b"stride: .inf", b"stride: .nan", b"imgsz: [64, .inf]",
        b"names: a", b"end2end: 'no'", b"args: 5", ALIAS_BOMB,
    ],
)  # fmt: skip
def test_broken_metadata(tiny_ir: Factory, text: bytes) -> None:
    folder = tiny_ir(YAML)
    (folder / "metadata.yaml").write_bytes(text)
    with pytest.raises(InvalidModel):
        read_model(folder)


def test_dates_and_other_values_are_kept_as_text(tiny_ir: Factory) -> None:
    folder = tiny_ir(YAML)
    with (folder / "metadata.yaml").open("a") as file:
        file.write("date: 2024-05-06T07:08:09\n")
    kept: dict[str, Any] = dict(read_model(folder).metadata)
    assert kept["date"] == "2024-05-06 07:08:09"


# ---- Channels that the network reverses


def reversed_by(images: ov.Node, kind: str) -> ov.Node:
    """Put an operator behind the input, as converters write it."""
    masks = {"begin_mask": [1, 1, 1, 1], "end_mask": [1, 1, 1, 1]}
    zeros = [0, 0, 0, 0]
    if kind == "strided slice":
        return opset8.strided_slice(images, zeros, zeros, [1, -1, 1, 1], **masks)
    if kind == "strided slice of two axes":
        return opset8.strided_slice(images, [0, 0], [0, 0], [1, -1], begin_mask=[1, 1], end_mask=[1, 1])
    if kind == "strided slice that turns the picture":
        return opset8.strided_slice(images, zeros, zeros, [1, 1, -1, -1], **masks)
    if kind == "slice":
        return opset8.slice(images, [-1], [-(2**31)], [-1], [1])
    if kind == "reverse":
        axes = opset8.constant([1], ov.Type.i64)
        return NodeFactory("opset1").create("Reverse", [images.output(0), axes.output(0)], {"mode": "index"})
    if kind == "gather":
        return opset8.gather(images, [2, 1, 0], opset8.constant(1, ov.Type.i64))
    parts = opset8.split(images, 1, 3).outputs()
    return opset8.concat(parts[::-1], 1)


@pytest.mark.parametrize(
    "kind",
    [
        *("strided slice", "strided slice of two axes", "strided slice that turns the picture"),
        *("slice", "reverse", "gather", "split"),
    ],
)
def test_channels_that_an_ir_reverses_are_not_reversed_twice(tiny_onnx: Factory, tmp_path: Path, kind: str) -> None:
    # Before, only a Gather was seen: all others were fed RGB, and saw red as blue.
    network = core().read_model(tiny_onnx(hw=(64, 64), batch=1))
    images = network.input(0)
    takers = images.get_target_inputs()
    changed = reversed_by(images.get_node(), kind).output(0)
    for taker in takers:
        taker.replace_source_output(changed)
    ov.save_model(network, tmp_path / "ir" / "tiny.xml", compress_to_fp16=False)
    assert read_model(tmp_path / "ir", layout="raw").input.bgr is ("turns" not in kind)


@pytest.mark.parametrize("names", [["a", "b"], ["a", "b", "c", "d"], ["a"]])
def test_names_of_the_caller_are_checked_by_a_run_where_the_file_leaves_them_open(
    tiny_ir: Factory, names: list[str]
) -> None:
    # Before, names= was refused where the file has another number of names, though that is what it is for.
    folder = tiny_ir({**YAML, "names": {0: "x", 1: "y"}})
    xml = next(folder.glob("*.xml"))
    text = xml.read_text()
    head, result = text[: text.rindex('type="Result"')], text[text.rindex('type="Result"') :]
    xml.write_text(head + re.sub(r"<dim>7</dim>", "<dim>-1</dim>", result))
    assert read_model(folder, names=["a", "b", "c"]).names == {0: "a", 1: "b", 2: "c"}
    with YOLO(folder, names=["a", "b", "c"]) as model:
        assert model.names[2] == "c"
    with pytest.raises(InvalidModel, match=rf"has 3 classes, but there are {len(names)} names"):
        YOLO(folder, names=names)
    with pytest.raises(InvalidModel, match="has 3 classes, but there are 2 names"):
        YOLO(folder)
