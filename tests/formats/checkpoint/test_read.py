"""Reading checkpoints as data: what is in sound ones, and what is wrong with the others."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from checkpoint_writer import (
    CONV2D,
    SEQUENTIAL,
    STORAGES,
    CallOf,
    Layer,
    Name,
    archive,
    checkpoint,
    dump,
    network,
    tensor,
)
from yoloom.errors import InvalidModel, ModelError, ModelNotFound, UnsupportedModel, UnsupportedTask
from yoloom.formats.checkpoint.describe import Checkpoint
from yoloom.formats.checkpoint.parse import parse_checkpoint, read_checkpoint
from yoloom.formats.checkpoint.pickled.tree import Module, Opaque, Tensor

DATA = Path(__file__).parents[2] / "data"
WEIGHTS = {  # sha256 of every name and its float32 numbers, as PyTorch 2.13 reads them
    "tiny-detect": "019de3afb6cb14968a3107b63e9634a24c2110ef6dd44b73d4862930391144d3",
    "tiny-classify": "f13f4f6c7d875749456742545d167904a4f1f1c8e8562623308b3a588b231d3b",
}


def parse(content: Any, storages: dict[str, bytes] | None = None) -> Checkpoint:
    return parse_checkpoint(memoryview(checkpoint(content, {**STORAGES, **(storages or {})})))


def extra(value: Any, storages: dict[str, bytes] | None = None) -> Any:
    """`value` after it was written into a checkpoint and read again."""
    return parse(network(extra=value), storages).module.get("extra")


def weights(module: Module) -> dict[str, Tensor]:
    return {
        f"{path}.{name}" if path else name: parameter
        for path, part in module.walk()
        for name, parameter in part.parameters.items()
    }


# Sound files


@pytest.mark.parametrize("name", WEIGHTS)
def test_real_checkpoint_has_the_weights_that_torch_finds(name: str) -> None:
    digest = hashlib.sha256()
    for path, parameter in weights(read_checkpoint(DATA / f"{name}.pt").module).items():
        digest.update(path.encode() + parameter.numpy().astype(np.float32).tobytes())
    assert digest.hexdigest() == WEIGHTS[name]


def test_real_detection_checkpoint() -> None:
    loaded = read_checkpoint(DATA / "tiny-detect.pt")
    assert (loaded.task, loaded.nc, loaded.stride, loaded.channels) == ("detect", 3, (4, 8), 3)
    assert loaded.names == {0: "cat", 1: "dog", 2: "Škoda"}
    assert (loaded.imgsz_hw, loaded.kpt_shape, loaded.version) == ((64, 64), None, "8.4.190")
    assert loaded.yaml["head"][-1] == [[6, 4], 1, "Detect", ["nc"]]
    assert loaded.head.cls == "ultralytics.nn.modules.head.Detect"
    assert (loaded.head.get("f"), loaded.head.get("reg_max")) == ([6, 4], 1)
    first = loaded.module.children["model"].children["0"]
    assert (first.kind, list(first.children)) == ("Conv", ["conv", "bn", "act"])
    assert first.children["conv"].get("kernel_size") == (3, 3)
    assert first.children["conv"].parameters["weight"].shape == (8, 3, 3, 3)
    assert first.children["bn"].parameters["num_batches_tracked"].dtype == "int64"


def test_real_classification_checkpoint_in_bfloat16() -> None:
    loaded = read_checkpoint(DATA / "tiny-classify.pt")
    assert (loaded.task, loaded.nc, loaded.names[3]) == ("classify", 4, "鳥")
    assert loaded.module.get("transforms") == Opaque("torchvision.transforms.transforms.Compose")
    weight = loaded.head.children["linear"].parameters["weight"]
    assert weight.dtype == "bfloat16"
    assert weight.numpy().dtype == np.float32


def test_ema_is_taken_before_model() -> None:
    content = network()
    averaged = network(names={0: "a", 1: "b"})["model"]
    assert parse(content | {"ema": averaged}).names == {0: "a", 1: "b"}
    assert parse(content | {"ema": averaged, "model": None}).names == {0: "a", 1: "b"}


def test_training_arguments_come_before_those_of_the_module() -> None:
    parsed = parse(network() | {"train_args": {"imgsz": [96, 128], "lr0": 0.5}})
    assert parsed.imgsz_hw == (96, 128)
    assert parsed.args == {"imgsz": [96, 128], "lr0": 0.5}


def test_task_comes_from_the_head_when_the_file_does_not_say() -> None:
    assert parse(network(task=None)).task == "detect"


def test_names_may_be_a_list() -> None:
    assert parse(network(names=["a", "b"])).names == {0: "a", 1: "b"}


# Values


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (None, None),
        (True, True),
        (-3, -3),
        (2**40, 2**40),
        (-(2**100), -(2**100)),
        (0.1, 0.1),
        ("Škoda 鳥", "Škoda 鳥"),
        ((1, [2, {"a": ()}]), (1, [2, {"a": ()}])),
        (CallOf("torch.Size", ((2, 3),)), (2, 3)),
        (CallOf("collections.OrderedDict"), {}),
        (CallOf("ultralytics.utils.IterableSimpleNamespace", (), {"a": 1}, b"\x81"), {"a": 1}),
        (CallOf("ultralytics.yolo.utils.IterableSimpleNamespace", (), {"a": 1}, b"\x81"), {"a": 1}),
        (
            CallOf("ultralytics.utils.loss.v8DetectionLoss", (), {"hyp": 1}),
            Opaque("ultralytics.utils.loss.v8DetectionLoss"),
        ),
        (CallOf("ultralytics.utils.loss.v10DetectLoss"), Opaque("ultralytics.utils.loss.E2EDetectLoss")),
        (CallOf("pathlib.WindowsPath", ("C:\\", "x")), Opaque("pathlib.WindowsPath")),
        (CallOf("pathlib._local.PosixPath", ("/", "x")), Opaque("pathlib._local.PosixPath")),
        (CallOf("__builtin__.set", ([1, 2],)), Opaque("builtins.set")),
        (
            CallOf("builtins.getattr", (Name("ultralytics.nn.modules.head.Detect"), "forward")),
            Opaque("builtins.getattr"),
        ),
        (CallOf("dill._dill._load_type", ("set",)), Opaque("builtins.set")),
        (Name("torch.float16"), Opaque("torch.float16")),
        (CallOf("torch.device", ("cuda", 0)), Opaque("torch.device")),
    ],
)
def test_values(written: Any, read: Any) -> None:
    value = extra(written)
    assert value == read
    assert type(value) is type(read)


@pytest.mark.parametrize(("code", "number"), [("f8", 0.25), ("f4", -2.0), ("i8", -5), ("u1", 200), ("b1", True)])
@pytest.mark.parametrize("package", ["numpy.core", "numpy._core"])
def test_numpy_numbers_are_plain_ones(package: str, code: str, number: float) -> None:
    text = np.array(number, f"<{code}").tobytes().decode("latin1")
    dtype = CallOf("numpy.dtype", (code, False, True), (3, "<", None, None, None, -1, -1, 0))
    value = extra(CallOf(f"{package}.multiarray.scalar", (dtype, CallOf("_codecs.encode", (text, "latin1")))))
    assert value == number
    assert type(value) in (int, float, bool)


@pytest.mark.parametrize("arguments", [(), (1, 2), (CallOf("numpy.dtype", ("O",)), CallOf("_codecs.encode", ("x",)))])
def test_strange_numpy_numbers_are_opaque(arguments: tuple[Any, ...]) -> None:
    assert extra(CallOf("numpy.core.multiarray.scalar", arguments)) == Opaque("numpy.core.multiarray.scalar")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("ultralytics.nn.modules.Conv", "ultralytics.nn.modules.Conv"),
        ("ultralytics.nn.modules.block.Silence", "torch.nn.modules.linear.Identity"),
        ("ultralytics.nn.tasks.YOLOv10DetectionModel", "ultralytics.nn.tasks.DetectionModel"),
        ("ultralytics.yolo.v8.detect.train.Loss", "ultralytics.models.yolo.detect.train.Loss"),
    ],
)
def test_modules_have_the_names_of_today(old: str, new: str) -> None:
    assert extra(Layer(old)).cls == new


def test_modules() -> None:
    module = extra(
        Layer(
            SEQUENTIAL,
            {"inplace": True},
            {"weight": tensor("0", (2,)), "bias": None},
            {"0": Layer(CONV2D), "gone": None, "1": Layer("torch.nn.modules.activation.SiLU")},
        )
    )
    assert (module.cls, module.kind) == (SEQUENTIAL, "Sequential")
    assert module.attributes == {"training": False, "inplace": True}
    assert list(module.parameters) == ["weight"]
    assert [child.kind for child in module.children.values()] == ["Conv2d", "SiLU"]
    assert [path for path, _ in module.walk()] == ["", "0", "1"]
    assert module.get("0") is module.children["0"]
    assert module.get("weight") is module.parameters["weight"]
    assert module.get("none", 7) == 7


def test_shared_values_stay_shared() -> None:
    layer = Layer(CONV2D)
    assert extra([layer, layer])[0] is not None
    with pytest.raises(TypeError, match="frozen"):
        extra(layer).attributes["training"] = True


# Tensors


@pytest.mark.parametrize(
    ("kind", "dtype", "packed", "numbers"),
    [
        ("DoubleStorage", "float64", "<2d", [0.5, -1]),
        ("FloatStorage", "float32", "<2f", [0.5, -1]),
        ("HalfStorage", "float16", "<2e", [0.5, -1]),
        ("LongStorage", "int64", "<2q", [5, -1]),
        ("IntStorage", "int32", "<2i", [5, -1]),
        ("ShortStorage", "int16", "<2h", [5, -1]),
        ("CharStorage", "int8", "<2b", [5, -1]),
        ("ByteStorage", "uint8", "<2B", [5, 255]),
    ],
)
def test_tensor_types(kind: str, dtype: str, packed: str, numbers: list[float]) -> None:
    value = extra(tensor("9", (2,), kind=kind), {"9": struct.pack(packed, *numbers)})
    assert (value.dtype, value.shape, value.stride) == (dtype, (2,), (1,))
    array = value.numpy()
    assert (array.dtype.name, array.tolist()) == (dtype, numbers)


def test_bfloat16_is_widened() -> None:
    array = extra(tensor("9", (3,), kind="BFloat16Storage"), {"9": bytes.fromhex("803f 00c0 c07f")}).numpy()
    assert array.dtype == np.float32
    np.testing.assert_array_equal(array, [1, -2, np.nan])


def test_any_byte_is_a_truth_value() -> None:
    array = extra(tensor("9", (3,), kind="BoolStorage"), {"9": b"\x00\x01\x02"}).numpy()
    assert (array.dtype, array.tolist()) == (np.dtype(bool), [False, True, True])


@pytest.mark.parametrize(
    ("shape", "stride", "offset"),
    [
        ((2, 4), (4, 1), 0),
        ((4, 2), (1, 4), 0),
        ((2, 2), (4, 2), 1),
        ((), (), 7),
        ((0, 3), (3, 1), 8),
        ((1, 8), (99, 1), 0),
    ],
)
def test_views(shape: tuple[int, ...], stride: tuple[int, ...], offset: int) -> None:
    value = extra(tensor("1", shape, stride, offset, size=8))
    flat = np.arange(8, dtype=np.float32)
    expected = np.lib.stride_tricks.as_strided(flat[offset:], shape, [4 * step for step in stride])
    np.testing.assert_array_equal(value.numpy(), expected)
    assert value.size == expected.size


def test_tensors_are_read_only_views_of_the_file() -> None:
    data = memoryview(checkpoint(network()))
    weight = parse_checkpoint(data).head.children["cv3"].children["0"].children["0"].parameters["weight"]
    assert np.shares_memory(weight.numpy(), np.frombuffer(data, np.uint8))
    assert not weight.numpy().flags.writeable
    assert not read_checkpoint(DATA / "tiny-detect.pt").head.get("stride").numpy().flags.writeable


def test_storages_are_not_read_before_they_are_needed() -> None:
    """A damaged one is noticed when its numbers are asked for, and not earlier."""
    data = bytearray(checkpoint(network()))
    at = data.index(STORAGES["1"])
    data[at + 5] ^= 1
    layer = parse_checkpoint(memoryview(bytes(data))).head.children["cv3"].children["0"].children["0"]
    with pytest.raises(InvalidModel, match="data/1 in it is damaged"):
        layer.parameters["weight"].numpy()


def test_checksums_that_torch_did_not_compute_are_not_checked() -> None:
    data = checkpoint(network())
    crc = data[14:18]
    assert parse_checkpoint(memoryview(data.replace(crc, bytes(4)))).nc == 2


def test_a_checkpoint_outlives_its_file(tmp_path: Path) -> None:
    path = tmp_path / "gone.pt"
    path.write_bytes(checkpoint(network()))
    loaded = read_checkpoint(path)
    path.unlink()
    assert [value.numpy().sum() for value in weights(loaded.module).values()] == [28]


def test_threads_read_the_same(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        checkpoints = list(pool.map(read_checkpoint, [DATA / "tiny-detect.pt"] * 16))
    first = weights(checkpoints[0].module)
    for other in checkpoints[1:]:
        for name, value in weights(other.module).items():
            np.testing.assert_array_equal(value.numpy(), first[name].numpy())


# What is wrong


def without(*keys: str) -> dict[str, Any]:
    return {key: value for key, value in network().items() if key not in keys}


STATE_DICT = {"model.0.conv.weight": tensor("1", (2, 4, 1, 1))}


@pytest.mark.parametrize(
    ("content", "error", "words"),
    [
        (STATE_DICT, InvalidModel, "a state dict: weights without the network"),
        ({"model": STATE_DICT}, InvalidModel, "Missing are the modules"),
        ({"state_dict": STATE_DICT}, InvalidModel, "class names, the stride and the task"),
        ({}, InvalidModel, "its keys are: none"),
        (without("model"), InvalidModel, "no network under 'ema' or 'model'"),
        ({"model": None, "epoch": 3}, InvalidModel, "its keys are: model, epoch"),
        ([1, 2], InvalidModel, "expected a dict with the network"),
        (None, InvalidModel, "got None"),
        (network(names={"x" * 5000: "a"}), InvalidModel, "its names can not be read: .{1,200}$"),
        ({"model": Layer(CONV2D, {"model": Layer(SEQUENTIAL)})}, UnsupportedModel, "expected one of ultralytics"),
        ({"model": Layer(CONV2D)}, UnsupportedModel, "torch.nn.modules.conv.Conv2d, expected one of ultralytics"),
        (network(names=None), InvalidModel, "its network has no names"),
        (network(stride=None), InvalidModel, "its network has no stride"),
        (network(names=3), InvalidModel, "its names can not be read"),
        (network(names="cat"), InvalidModel, "its names can not be read"),
        (network(names={0: "a", 2: "b"}), InvalidModel, "without gaps"),
        (network(names=[["a"], "b"]), InvalidModel, "expected texts"),
        (network(names={}), InvalidModel, "its names can not be read"),
        (network(stride=()), InvalidModel, "its stride can not be read"),
        (network(stride=(0, 8)), InvalidModel, "positive whole number"),
        (network(stride=(8.5,)), InvalidModel, "positive whole number"),
        (network(stride=(float("nan"),)), InvalidModel, "positive whole number"),
        (network(stride=(float("inf"),)), InvalidModel, "positive whole number"),
        (network(stride="8"), InvalidModel, "positive whole number"),
        (network(task="dance"), UnsupportedTask, "its task is 'dance'"),
        (network(task=["detect"]), UnsupportedTask, "its task is a list"),
        (network(task="pose"), InvalidModel, "its head, Detect, is for 'detect'"),
        (network(nc=3), InvalidModel, "2 class names, but the network has 3"),
        (network(yaml={"nc": 80}), InvalidModel, "2 class names, but the plan \\(yaml\\) has 80"),
        (network(names=["a"]), InvalidModel, "1 class names, but .*the head has 2 and the weights of the head has 2"),
        (network(args={"imgsz": "big"}), InvalidModel, "its imgsz can not be read"),
        (network(yaml={"channels": -1}), InvalidModel, "its channels can not be read"),
    ],
)
def test_contents_that_are_no_network(content: Any, error: type[ModelError], words: str) -> None:
    with pytest.raises(error, match=words):
        parse(content)


def with_head(head: Layer) -> dict[str, Any]:
    content = network()
    content["model"].children["model"].children["0"] = head
    return content


def test_an_unknown_head_is_named() -> None:
    with pytest.raises(UnsupportedModel, match=r"its head is a ultralytics\.nn\.modules\.head\.RTDETRDecoder"):
        parse(with_head(Layer("ultralytics.nn.modules.head.RTDETRDecoder")))


def test_keypoints() -> None:
    pose = Layer("ultralytics.nn.modules.head.Pose", {"kpt_shape": [17, 3]})
    content = with_head(pose)
    content["model"].attributes["task"] = "pose"
    assert parse(content).kpt_shape == (17, 3)
    pose.attributes["kpt_shape"] = [17]  # type: ignore[index]
    with pytest.raises(InvalidModel, match="its kpt_shape can not be read"):
        parse(content)


@pytest.mark.parametrize(
    ("data", "error", "words"),
    [
        (b"", InvalidModel, "the file is empty"),
        (b"x" * 100, InvalidModel, "not a PyTorch checkpoint"),
        (b"\xff\xd8\xff\xe0" * 9, InvalidModel, "not a PyTorch checkpoint"),
        (b"<!DOCTYPE html><html></html>", InvalidModel, "a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", InvalidModel, "git lfs pull"),
        (b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.", UnsupportedModel, "PyTorch before 1.6"),
        (dump({"a": 1}), UnsupportedModel, "a plain pickle"),
        (b"PK\x05\x06" + bytes(18), InvalidModel, "an empty or damaged zip"),
        (archive(dump(network()), extra={"best/constants.pkl": b""}), UnsupportedModel, "TorchScript"),
        # As torch.jit.save writes them: it compresses the code, which was called damage.
        (
            archive(dump(network()), extra={"best/constants.pkl": b"x" * 99}, compression=8),
            UnsupportedModel,
            "TorchScript",
        ),
        (archive(b"", extra={"best/code/__torch__.py": b"x" * 99}, compression=8), UnsupportedModel, "TorchScript"),
        (archive(b"", extra={"best/code/a/b.py.debug_pkl": b"x" * 99}, compression=8), UnsupportedModel, "TorchScript"),
        (archive(dump(network()), compression=8), InvalidModel, "is compressed or encrypted.*save it again"),
        (archive(dump(network()), compression=12), InvalidModel, "is compressed or encrypted.*save it again"),
        (checkpoint(CallOf("models.yolo.Model")), UnsupportedModel, "original YOLOv5 repository.*export it to ONNX"),
        (checkpoint(CallOf("os.system", ("x",))), UnsupportedModel, "names 'os.system'.*nothing of it was run.*ONNX"),
    ],
)
def test_other_files(data: bytes, error: type[ModelError], words: str, tmp_path: Path) -> None:
    path = tmp_path / "best.pt"
    path.write_bytes(data)
    with pytest.raises(error, match=words) as caught:
        read_checkpoint(path)
    assert str(caught.value).startswith(f"{path}: ")


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda folder: folder, InvalidModel, "a folder"),
        (lambda folder: folder / "none.pt", ModelNotFound, "no such model"),
        (lambda folder: folder / "\0.pt", ModelError, "no such model|can not be read"),
        (lambda folder: folder / ("a" * 5000), ModelError, "no such model|can not be read"),
    ],
)
def test_no_file(make: Callable[[Path], Path], error: type[ModelError], words: str, tmp_path: Path) -> None:
    with pytest.raises(error, match=words):
        read_checkpoint(make(tmp_path))


# Real archives have zip64 records, padding and descriptors, which the writer of these tests does not make.


@pytest.mark.parametrize("back", [*range(1, 98, 3), 200, 5_000, 50_000, 117_000])
def test_a_real_checkpoint_that_was_cut(back: int) -> None:
    data = (DATA / "tiny-detect.pt").read_bytes()
    with pytest.raises(InvalidModel):
        parse_checkpoint(memoryview(data[: len(data) - back]))


@pytest.mark.parametrize("field", [98 - 24, 98 - 32, 98 - 40, 98 - 48, 98 - 64])
def test_zip64_records_that_say_something_else(field: int) -> None:
    data = bytearray((DATA / "tiny-detect.pt").read_bytes())
    assert data[-98:-94] == b"PK\6\6"
    data[-field] ^= 1
    with pytest.raises(InvalidModel, match="contradict"):
        parse_checkpoint(memoryview(bytes(data)))
