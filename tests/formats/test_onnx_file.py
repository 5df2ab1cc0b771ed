"""`.onnx` files: everything Ultralytics has exported from 8.0 to 8.4, and everything that is not one of those."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from yoloom.errors import InvalidModel, ModelError, ModelNotFound, UnsupportedModel, UnsupportedTask
from yoloom.formats.model import Layout
from yoloom.formats.read import read_model
from yoloom.values import FrozenDict

Factory = Callable[..., Path]
Notes = Callable[..., dict[str, str]]

NOTES_8_0 = {
    "description": "Ultralytics YOLOv8n model trained on coco.yaml",
    "author": "Ultralytics",
    "license": "AGPL-3.0 https://ultralytics.com/license",
    "version": "8.0.110",
    "stride": "32",
    "task": "detect",
    "batch": "1",
    "imgsz": "[640, 640]",
    "names": "{0: 'person', 1: 'bicycle', 2: 'car'}",
}


def empty_network(
    inputs: dict[str, tuple[Any, ...]], outputs: dict[str, tuple[Any, ...]], metadata: dict[str, str] | None = None
) -> bytes:
    """An ONNX file that declares these shapes and computes nothing."""

    def values(shapes: dict[str, tuple[Any, ...]]) -> list[onnx.ValueInfoProto]:
        return [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()]

    nodes = [helper.make_node("Identity", [next(iter(inputs), "x")], [name]) for name in outputs]
    model = helper.make_model(helper.make_graph(nodes, "declared", values(inputs), values(outputs)))
    helper.set_model_props(model, metadata or {})
    return model.SerializeToString()


@pytest.fixture
def declared(tmp_path: Path) -> Factory:
    def write(
        output: tuple[Any, ...] = (1, 84, 8400),
        images: tuple[Any, ...] = (1, 3, 640, 640),
        metadata: dict[str, str] | None = None,
        **more: tuple[Any, ...],
    ) -> Path:
        path = tmp_path / "declared.onnx"
        path.write_bytes(empty_network({"images": images}, {"output0": output, **more}, metadata))
        return path

    return write


# ---- What is read


def test_dynamic_file_of_today(tiny_onnx: Factory, ultralytics_notes: Notes) -> None:
    model = read_model(tiny_onnx(metadata=ultralytics_notes()))
    assert model.graph.format == "onnx"
    assert model.task == "detect"
    assert model.names == {0: "thing0", 1: "thing1", 2: "thing2"}
    assert model.stride == 32
    assert model.imgsz_hw == (64, 64)
    assert model.dynamic
    assert model.input.batch is None
    assert model.layout is Layout.RAW
    assert model.metadata["version"] == "8.4.0"


def test_static_file_has_the_size_of_its_graph(tiny_onnx: Factory, ultralytics_notes: Notes) -> None:
    model = read_model(tiny_onnx(batch=1, hw=(96, 64), metadata=ultralytics_notes(imgsz=[96, 64])))
    assert not model.dynamic
    assert model.input.hw == model.imgsz_hw == (96, 64)
    assert model.input.batch == 1


def test_graph_wins_over_metadata_about_its_size(tiny_onnx: Factory, ultralytics_notes: Notes) -> None:
    assert read_model(tiny_onnx(hw=(96, 64), metadata=ultralytics_notes(imgsz=[640, 640]))).imgsz_hw == (96, 64)


def test_static_batch(tiny_onnx: Factory, ultralytics_notes: Notes) -> None:
    assert read_model(tiny_onnx(batch=4, hw=(64, 64), metadata=ultralytics_notes(batch=4))).input.batch == 4


def test_half_precision(tiny_onnx: Factory, ultralytics_notes: Notes) -> None:
    assert read_model(tiny_onnx(half=True, metadata=ultralytics_notes())).layout is Layout.RAW


@pytest.mark.parametrize("opset", [12, 17, 20])
def test_any_opset(tiny_onnx: Factory, opset: int) -> None:
    assert len(read_model(tiny_onnx(opset=opset)).names) == 3


def test_metadata_of_8_0(declared: Factory) -> None:
    model = read_model(declared((1, 7, 8400), metadata=NOTES_8_0))
    assert model.names == {0: "person", 1: "bicycle", 2: "car"}
    assert model.layout is Layout.RAW
    assert model.input.hw == (640, 640)


def test_no_metadata_at_all(tiny_onnx: Factory) -> None:
    """The operators say that scores follow on a box, and nothing on the scores."""
    model = read_model(tiny_onnx(nc=2, hw=(640, 640)))
    assert model.names == {0: "class0", 1: "class1"}
    assert (model.task, model.stride, model.imgsz_hw) == ("detect", 32, (640, 640))
    assert model.metadata == {}


def test_neither_metadata_nor_operators(declared: Factory) -> None:
    """Two classes, keypoints, or a class and an angle: the shape does not say."""
    path = declared((1, 6, 8400))
    with pytest.raises(UnsupportedModel, match="layout='raw'"):
        read_model(path)
    assert read_model(path, layout="raw").names == {0: "class0", 1: "class1"}
    assert read_model(path, task="detect").layout is Layout.RAW
    assert read_model(path, names=["a", "b"]).layout is Layout.RAW


@pytest.mark.parametrize("key", ["stride", "task", "batch", "imgsz", "names", "args", "channels", "end2end"])
def test_any_key_may_be_missing(tiny_onnx: Factory, ultralytics_notes: Notes, key: str) -> None:
    model = read_model(tiny_onnx(metadata=ultralytics_notes(**{key: None})))
    assert model.layout is Layout.RAW
    assert len(model.names) == 3


def test_sizes_behind_names_of_axes(tmp_path: Path) -> None:
    free = ("batch", "Concatoutput0_dim_1", "anchors")
    path = tmp_path / "free.onnx"
    path.write_bytes(empty_network({"images": ("batch", 3, "height", "width")}, {"output0": free}, NOTES_8_0))
    assert read_model(path).names[2] == "car"
    assert read_model(path, names=["a", "b", "c"]).names == {0: "a", 1: "b", 2: "c"}
    assert len(read_model(path, names=["a", "b"]).names) == 2  # whether they fit shows when it is opened
    path.write_bytes(empty_network({"images": ("batch", 3, "height", "width")}, {"output0": free}))
    with pytest.raises(UnsupportedModel, match=r"names=\[\.\.\.\]"):
        read_model(path)
    with pytest.raises(InvalidModel, match=r"names=\[\.\.\.\]"):
        read_model(path, task="detect")
    assert read_model(path, names=["a", "b"]).names == {0: "a", 1: "b"}


def test_demo_model(demo_model: Path) -> None:
    model = read_model(demo_model)
    assert model.dynamic
    assert len(model.names) == 12


def test_weights_listed_among_the_inputs(tiny_onnx: Factory) -> None:
    """Files of IR version 3 do that."""
    path = tiny_onnx()
    proto = onnx.load_model(str(path))
    weights = proto.graph.initializer[0]
    proto.graph.input.insert(0, helper.make_tensor_value_info(weights.name, weights.data_type, weights.dims))
    path.write_bytes(proto.SerializeToString())
    assert read_model(path).dynamic


def test_model_is_immutable(tiny_onnx: Factory) -> None:
    model = read_model(tiny_onnx())
    assert isinstance(model.names, FrozenDict)
    with pytest.raises(TypeError):
        model.names[0] = "mine"  # type: ignore[index]
    with pytest.raises(AttributeError):
        model.stride = 64  # type: ignore[misc]


def test_names_of_the_caller_are_copied(tiny_onnx: Factory) -> None:
    mine = ["a", "b", "c"]
    model = read_model(tiny_onnx(), names=mine)
    mine[0] = "changed"
    assert model.names[0] == "a"


# ---- Layouts


@pytest.mark.parametrize("layout", ["end2end", "nms"])
def test_suppressed_layouts_are_recognised_without_metadata(tiny_onnx: Factory, layout: str) -> None:
    assert read_model(tiny_onnx(layout=layout, batch=1, hw=(64, 64))).layout is Layout.END2END


@pytest.mark.parametrize(
    "said", [{"end2end": True}, {"args": {"nms": True}}, {"end2end": False, "args": {"nms": True}}]
)
def test_suppressed_layouts_say_so(declared: Factory, ultralytics_notes: Notes, said: dict[str, Any]) -> None:
    model = read_model(declared((1, 300, 6), metadata=ultralytics_notes(**said)))
    assert model.layout is Layout.END2END
    assert model.names[2] == "thing2"


@pytest.mark.parametrize(
    ("output", "layout"),
    [
        ((1, 84, 8400), Layout.RAW),
        ((None, 84, None), Layout.RAW),
        ((1, 6, 8400), Layout.RAW),  # two classes: rows of six, the other way round
        ((1, 300, 6), Layout.END2END),
        ((None, None, 6), Layout.END2END),
    ],
)
def test_layout_of_the_caller_for_what_the_file_leaves_open(
    declared: Factory, output: tuple[int | None, ...], layout: Layout
) -> None:
    path = declared(output)
    with pytest.raises(UnsupportedModel, match="layout="):
        read_model(path)
    names = None if output[1] else ["a", "b"]
    assert read_model(path, layout=layout.value, names=names).layout is layout


def test_end2end_without_names_has_none(declared: Factory) -> None:
    assert read_model(declared((1, 300, 6)), layout="end2end").names == {}
    assert read_model(declared((1, 300, 6)), names=["a"], layout="end2end").names == {0: "a"}


def test_small_static_raw_file_that_says_it_is_raw(declared: Factory, ultralytics_notes: Notes) -> None:
    """Rows of six because there are six anchors: only the metadata can tell."""
    metadata = ultralytics_notes(nc=10)
    assert read_model(declared((1, 14, 6), metadata=metadata)).layout is Layout.RAW


# ---- Tasks

PROTOTYPES = (1, 32, 160, 160)


@pytest.mark.parametrize(
    ("task", "output", "more", "notes"),
    [
        ("segment", (1, 39, 8400), {"output1": PROTOTYPES}, {}),
        ("segment", ("batch", 39, "anchors"), {"output1": ("batch", 32, "h", "w")}, {}),
        ("pose", (1, 58, 8400), {}, {"kpt_shape": [17, 3]}),
        ("pose", (1, 17, 8400), {}, {"kpt_shape": [5, 2]}),
        ("obb", (1, 8, 21504), {}, {}),
        ("classify", (1, 3), {}, {}),
    ],
)
def test_raw_outputs_of_all_tasks(
    declared: Factory, ultralytics_notes: Notes, task: str, output: Any, more: Any, notes: Any
) -> None:
    model = read_model(declared(output, metadata=ultralytics_notes(task=task, **notes), **more))
    assert (model.task, model.layout, len(model.names)) == (task, Layout.RAW, 3)
    assert model.kpt_shape == (tuple(notes["kpt_shape"]) if notes else None)


@pytest.mark.parametrize(
    ("task", "columns", "more", "notes"),
    [
        ("segment", 38, {"output1": PROTOTYPES}, {}),
        ("pose", 57, {}, {"kpt_shape": [17, 3]}),
        ("obb", 7, {}, {}),
    ],
)
def test_suppressed_outputs_of_all_tasks(
    declared: Factory, ultralytics_notes: Notes, task: str, columns: int, more: Any, notes: Any
) -> None:
    said = ultralytics_notes(task=task, end2end=True, **notes)
    assert read_model(declared((1, 300, columns), metadata=said, **more)).layout is Layout.END2END
    unsaid = {key: value for key, value in said.items() if key not in ("end2end", "args")}
    assert read_model(declared((1, 300, columns), metadata=unsaid, **more)).layout is Layout.END2END
    with pytest.raises(InvalidModel, match=f"rows of {columns} values"):
        read_model(declared((1, 300, columns + 1), metadata=said, **more))


def test_segmentation_without_metadata(declared: Factory) -> None:
    model = read_model(declared((1, 116, 8400), output1=PROTOTYPES))
    assert (model.task, len(model.names)) == ("segment", 80)


def test_names_behind_extras_that_do_not_fit(declared: Factory, ultralytics_notes: Notes) -> None:
    path = declared((1, 40, 8400), metadata=ultralytics_notes(task="segment"), output1=PROTOTYPES)
    with pytest.raises(InvalidModel, match="4 classes after 4 box values, 32 others, but there are 3 names"):
        read_model(path)
    with pytest.raises(InvalidModel, match="5 classes, but there are 3 names"):
        read_model(declared((1, 5), metadata=ultralytics_notes(task="classify")))


def test_keypoints_that_the_file_does_not_describe(declared: Factory, ultralytics_notes: Notes) -> None:
    """Those of COCO are recognised by their number."""
    said = ultralytics_notes(nc=1, task="pose")
    assert read_model(declared((1, 56, 8400), metadata=said)).kpt_shape == (17, 3)
    with pytest.raises(InvalidModel, match="kpt_shape"):
        read_model(declared((1, 20, 8400), metadata=said))


@pytest.mark.parametrize("kpt_shape", ["[17, 4]", "[17, 1]", "[0, 3]", "[17]", "seventeen"])
def test_keypoint_shapes_that_are_none(declared: Factory, ultralytics_notes: Notes, kpt_shape: str) -> None:
    said = ultralytics_notes(nc=1, task="pose") | {"kpt_shape": kpt_shape}
    with pytest.raises(InvalidModel, match="kpt_shape"):
        read_model(declared((1, 56, 8400), metadata=said))


# ---- Overrides


def test_task_overrides_the_file(declared: Factory, ultralytics_notes: Notes) -> None:
    path = declared((1, 7, 8400), metadata=ultralytics_notes(task="depth"))
    assert read_model(path, task="detect").task == "detect"


@pytest.mark.parametrize(
    "names", [["a", "b", "c"], ("a", "b", "c"), {0: "a", 1: "b", 2: "c"}, {"2": "c", "0": "a", 1: "b"}]
)
def test_names_override_the_file(tiny_onnx: Factory, ultralytics_notes: Notes, names: Any) -> None:
    model = read_model(tiny_onnx(metadata=ultralytics_notes()), names=names)
    assert list(model.names.items()) == [(0, "a"), (1, "b"), (2, "c")]


@pytest.mark.parametrize("names", ["abc", b"abc", 3, [], {}, {0: "a", 2: "c", 3: "d"}, {"a": 0}, {float("inf"): "a"}])
def test_names_that_are_none(tiny_onnx: Factory, names: Any) -> None:
    with pytest.raises(InvalidModel, match="names"):
        read_model(tiny_onnx(), names=names)


def test_names_that_do_not_fit_the_output(tiny_onnx: Factory, ultralytics_notes: Notes) -> None:
    with pytest.raises(InvalidModel, match="3 classes after 4 box values, but there are 2 names"):
        read_model(tiny_onnx(metadata=ultralytics_notes(names=["a", "b"])))
    with pytest.raises(InvalidModel, match="4 names"):
        read_model(tiny_onnx(), names=list("abcd"))


# ---- Metadata


@pytest.mark.parametrize(
    "names",
    ["['a', 'b', 'c']", "{0: 'a', 1: 'b', 2: 'c'}", "{'0': 'a', '1': 'b', '2': 'c'}", "{2: 'c', 1: 'b', 0: 'a'}"],
)
def test_names_as_list_or_dict(tiny_onnx: Factory, names: str) -> None:
    model = read_model(tiny_onnx(metadata={"names": names}))
    assert list(model.names.items()) == [(0, "a"), (1, "b"), (2, "c")]


@pytest.mark.parametrize(("imgsz", "hw"), [("[320, 640]", (320, 640)), ("(320, 640)", (320, 640)), ("416", (416, 416))])
def test_imgsz_of_a_dynamic_file(tiny_onnx: Factory, imgsz: str, hw: tuple[int, int]) -> None:
    assert read_model(tiny_onnx(metadata={"imgsz": imgsz})).imgsz_hw == hw


def test_stride_is_never_below_32(tiny_onnx: Factory) -> None:
    """The network's input is rounded up to multiples of it, as Ultralytics does."""
    assert read_model(tiny_onnx(metadata={"stride": "16"})).stride == 32
    assert read_model(tiny_onnx(metadata={"stride": "64"})).stride == 64


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("stride", "many"), ("stride", "0"), ("stride", "-32"), ("stride", "1e999"), ("stride", "99999999999"),
        ("imgsz", "[640]"), ("imgsz", "[640, 640, 3]"), ("imgsz", "[640, 'wide']"), ("imgsz", "{}"),
        ("imgsz", "[0, 640]"),
        ("channels", "three"), ("channels", "None and more"),
        ("names", "person"), ("names", "{0: 'a', 2: 'b'}"), ("names", "[]"), ("names", "7"), ("names", "{'a': 'b'}"),
        ("names", "{1e999: 'a'}"), ("names", "(" * 500), ("names", "__import__('os').getcwd()"),
        ("args", "7"), ("args", "nms"),
        ("end2end", "false"), ("end2end", "1"),
    ],
)  # fmt: skip
def test_metadata_that_can_not_be_read(tiny_onnx: Factory, key: str, value: str) -> None:
    with pytest.raises(InvalidModel, match=f"the model's metadata says {key}="):
        read_model(tiny_onnx(metadata={key: value}))


_keys = st.sampled_from(["task", "kpt_shape", "head", "stride", "imgsz", "names", "args", "channels", "end2end"])
_pieces = st.sampled_from(
    [*"[](){},:'\"-.#\\ \n0123é", "1e999", "nan", "None", "True", "0: 'a'", "1: 'b'", "detect", "\0"]
)


@given(st.dictionaries(_keys, st.lists(_pieces, max_size=8).map("".join)))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_in_the_metadata(declared: Factory, metadata: dict[str, str]) -> None:
    path = declared((1, 7, 21), images=(1, 3, 32, 32), metadata=metadata)
    with contextlib.suppress(ModelError):
        assert len(read_model(path).names) == 3


# ---- What is refused


@pytest.mark.parametrize("task", ["semantic", "depth", "no such task"])
def test_tasks_that_are_not_here(declared: Factory, ultralytics_notes: Notes, task: str) -> None:
    with pytest.raises(UnsupportedTask, match=task):
        read_model(declared((1, 56, 8400), metadata=ultralytics_notes(task=task)))


def test_task_of_the_caller(tiny_onnx: Factory) -> None:
    with pytest.raises(UnsupportedTask, match="semantic"):
        read_model(tiny_onnx(), task="semantic")


def test_heads_that_stretch_the_image(declared: Factory, ultralytics_notes: Notes) -> None:
    """RT-DETR's rows look like those of an end-to-end head, and mean something else."""
    path = declared((1, 300, 6), metadata=ultralytics_notes(head="RTDETRDecoder", end2end=True))
    with pytest.raises(UnsupportedModel, match="RTDETRDecoder"):
        read_model(path)


@pytest.mark.parametrize(
    ("task", "output"),
    [
        ("segment", (1, 39, 8400)),  # without prototypes
        ("classify", (1, 3, 8400)),
        ("pose", (1, 3)),
        ("obb", (1, 4)),
    ],
)
def test_outputs_that_the_task_does_not_have(
    declared: Factory, ultralytics_notes: Notes, task: str, output: tuple[int, ...]
) -> None:
    with pytest.raises(InvalidModel, match=f"axes for {task}, got"):
        read_model(declared(output, metadata=ultralytics_notes(task=task)))


@pytest.mark.parametrize(
    ("images", "output"),
    [
        ((1, 3, 224, 224), (1, 1000)),  # a classifier
        ((1, 3, 224, 224), (1, 2, 3, 4)),
        ((1, 3, 224, 224), ()),
        ((1, 784), (1, 84, 8400)),
        ((1, 3, 640), (1, 84, 8400)),
        ((1, 3, 640, 640), (1, 4, 8400)),  # boxes without a class
        ((1, 3, 640, 640), (1, 3, 8400)),
    ],
)
def test_networks_that_are_no_yolo(declared: Factory, images: tuple[int, ...], output: tuple[int, ...]) -> None:
    with pytest.raises(InvalidModel, match="does not look like a YOLO network"):
        read_model(declared(output, images))


def test_rows_of_six_promised_and_not_kept(declared: Factory, ultralytics_notes: Notes) -> None:
    with pytest.raises(InvalidModel, match="rows of 6"):
        read_model(declared((1, 300, 38), metadata=ultralytics_notes(end2end=True)))


@pytest.mark.parametrize("inputs", [{}, {"images": (1, 3, 64, 64), "scale": (1, 3, 64, 64)}])
def test_not_one_input(tmp_path: Path, inputs: dict[str, tuple[int, ...]]) -> None:
    path = tmp_path / "inputs.onnx"
    path.write_bytes(empty_network(inputs, {"output0": (1, 84, 8400)}))
    with pytest.raises(InvalidModel, match="one input"):
        read_model(path)


@pytest.mark.parametrize(("images", "channels"), [((1, 1, 64, 64), None), ((1, None, 64, 64), 4)])
def test_other_channels(
    declared: Factory, ultralytics_notes: Notes, images: tuple[int | None, ...], channels: int | None
) -> None:
    with pytest.raises(UnsupportedModel, match="channels"):
        read_model(declared((1, 7, 84), images, metadata=ultralytics_notes(channels=channels)))


def test_one_free_side(declared: Factory) -> None:
    with pytest.raises(UnsupportedModel, match="one fixed and one free side"):
        read_model(declared(images=(1, 3, 640, "width")))


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match=r"no\.onnx"):
        read_model(tmp_path / "no.onnx")
    with pytest.raises(ModelNotFound):
        read_model(tmp_path / f"{'x' * 5000}.onnx")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.onnx")
    with pytest.raises(ModelNotFound):
        read_model(tmp_path / "pipe.onnx")


def test_folder_with_the_name_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "folder.onnx").mkdir()
    with pytest.raises(ModelNotFound, match="folder with one OpenVINO"):
        read_model(tmp_path / "folder.onnx")


@pytest.mark.parametrize("name", ["model.engine", "model.tflite", "model"])
def test_other_suffixes(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"?")
    with pytest.raises(UnsupportedModel, match=r"expected a \.pt or \.onnx file"):
        read_model(tmp_path / name)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="this user may read everything")
def test_file_that_may_not_be_read(tiny_onnx: Factory) -> None:
    path = tiny_onnx()
    path.chmod(0)
    with pytest.raises(InvalidModel, match="can not be read"):
        read_model(path)


@pytest.mark.parametrize(
    "content", [b"", b"\0", b"garbage", b"<xml/>", b"PK\3\4", b"\x08" * 100, np.zeros(1000).tobytes()]
)
def test_files_that_are_no_onnx(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bad.onnx"
    path.write_bytes(content)
    with pytest.raises(InvalidModel, match=r"bad\.onnx"):
        read_model(path)


def test_cut_short_anywhere(tiny_onnx: Factory, ultralytics_notes: Notes) -> None:
    """Cut between two entries of the metadata, what is left is a sound file that says less."""
    path = tiny_onnx(metadata=ultralytics_notes())
    whole = path.read_bytes()
    notes = read_model(path).metadata.items()
    sound = 0
    for length in {*range(0, len(whole), 97), *range(len(whole) - 250, len(whole), 3)}:
        path.write_bytes(whole[:length])
        try:
            assert read_model(path).metadata.items() < notes
            sound += 1
        except InvalidModel:
            pass
    assert sound < 12


@pytest.mark.parametrize("name", ["m.onnx", "m.xml"])
def test_pointer_of_git_lfs(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    (tmp_path / "m.bin").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    with pytest.raises(InvalidModel, match="git lfs pull"):
        read_model(tmp_path / name)
