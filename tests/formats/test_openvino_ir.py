"""OpenVINO IR folders: those that Ultralytics exports, those of others, and broken ones."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from yoloom.errors import InvalidModel, ModelNotFound, UnsupportedTask
from yoloom.formats.model import Layout
from yoloom.formats.read import read_model

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
