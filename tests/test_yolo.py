"""The facade on the bundled model: what a user calls, with real files and a real runtime."""

from __future__ import annotations

import asyncio
import copy
import gc
import logging
import pickle
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from scenes import scene
from yoloom import YOLO, Results, ResultStream, errors
from yoloom.runtime.openvino import OpenVINOBackend
from yoloom.runtime.protocol import Precision, Profile
from yoloom.runtime.registry import has_device
from yoloom.testing import barrier_run, shaken

SIZES_WH = [(320, 240), (240, 320), (256, 256), (333, 217)]
IMAGES = [np.array(scene(seed, SIZES_WH[seed % 4]).image) for seed in range(8)]


def bits(results: Results) -> bytes:
    return results.boxes.data.tobytes()


@pytest.fixture(scope="module")
def model(demo_model: Path) -> Iterator[YOLO]:
    with YOLO(demo_model) as model:
        yield model


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for index, image in enumerate(IMAGES[:3]):
        assert cv2.imwrite(str(tmp_path / f"{index}.png"), image)
    return tmp_path


# ---- Asking


def test_one_image_gives_a_list_of_one(model: YOLO) -> None:
    (result,) = model(IMAGES[0])
    assert len(result)
    assert result.path == "image0.jpg"
    assert result.orig_shape == IMAGES[0].shape[:2]
    assert set(result.speed) == {"preprocess", "inference", "postprocess"}


@pytest.mark.parametrize("kind", [str, Path, Path.read_bytes, lambda path: cv2.imread(str(path))])
def test_a_file_its_bytes_and_its_pixels_give_the_same_bits(
    model: YOLO, folder: Path, kind: Callable[[Path], Any]
) -> None:
    (result,) = model(kind(folder / "0.png"), imgsz=320)
    assert bits(result) == bits(model(IMAGES[0], imgsz=320)[0])


def test_a_folder_a_pattern_and_a_list_give_one_result_each_in_order(model: YOLO, folder: Path) -> None:
    paths = [str(folder / f"{index}.png") for index in range(3)]
    for source in (folder, str(folder / "*.png"), paths, [folder / "0.png", *paths[1:]]):
        assert [str(result.path) for result in model(source, imgsz=160)] == paths


def test_a_list_gives_the_bits_of_single_calls_whatever_the_shapes(model: YOLO) -> None:
    together = model(IMAGES, imgsz=320)
    assert [bits(result) for result in together] == [bits(model(image, imgsz=320)[0]) for image in IMAGES]
    assert [result.path for result in together] == [f"image{index}.jpg" for index in range(len(IMAGES))]


def test_options_have_their_effect(model: YOLO) -> None:
    everything = model(IMAGES[0], conf=0.01)[0]
    assert len(model(IMAGES[0], conf=0.01, max_det=1)[0]) == 1
    some_class = int(everything.boxes.cls[0])
    assert set(model(IMAGES[0], conf=0.01, classes=[some_class])[0].boxes.cls.tolist()) == {some_class}
    by_name = model(IMAGES[0], conf=0.01, classes=model.names[some_class])[0]
    assert bits(by_name) == bits(model(IMAGES[0], conf=0.01, classes=some_class)[0])
    assert (everything.boxes.conf > 0.01).all()


def test_rect_off_pads_to_the_full_square(model: YOLO) -> None:
    assert bits(model(IMAGES[0], rect=False)[0]) != bits(model(IMAGES[0], rect=True)[0])


# ---- Many callers


def mixed_options(index: int) -> dict[str, Any]:
    return {
        "conf": (0.05, 0.25, 0.6)[index % 3],
        "iou": (0.3, 0.7)[index % 2],
        "imgsz": (160, 224, (96, 320))[index % 3],
        "max_det": (1, 5, 300)[index % 3],
        "classes": (None, [0, 1, 2, 3, 4, 5])[index % 2],
    }


@pytest.mark.slow
def test_threads_with_different_options_get_what_they_get_alone(model: YOLO) -> None:
    asked = [(IMAGES[index % len(IMAGES)], mixed_options(index)) for index in range(24)]
    alone = [bits(model(image, **options)[0]) for image, options in asked]
    with shaken():
        answers = barrier_run(24, lambda index: [bits(model(asked[index][0], **asked[index][1])[0]) for _ in range(3)])
    assert answers == [[expected] * 3 for expected in alone]


@pytest.mark.slow
def test_threads_on_the_very_first_call_load_and_compile_once(
    demo_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen to fail when the registry looks up and inserts without its lock."""
    compiled: list[str] = []
    real_compile = OpenVINOBackend.compile

    def counted(self: OpenVINOBackend, model: Any, profile: Profile, precision: Precision) -> Any:
        compiled.append(profile.name)
        return real_compile(self, model, profile, precision)

    monkeypatch.setattr(OpenVINOBackend, "compile", counted)
    models: list[YOLO] = []  # alive until all have answered, or the engine would close between two of them

    def first_call(_: int) -> bytes:
        models.append(YOLO(demo_model, threads=1))
        return bits(models[-1](IMAGES[0], imgsz=160)[0])

    assert len(set(barrier_run(64, first_call))) == 1
    assert len({id(model._opened.engine) for model in models}) == 1
    for model in models:
        model.close()
    assert sorted(compiled) in (["latency"], ["latency", "throughput"])


def test_submit_map_and_async_give_the_bits_of_predict(model: YOLO) -> None:
    alone = [bits(model(image, imgsz=160)[0]) for image in IMAGES]

    async def together() -> list[Results]:
        return list(await asyncio.gather(*(model.predict_async(image, imgsz=160) for image in IMAGES)))

    futures = [model.submit(image, imgsz=160) for image in IMAGES]
    assert [bits(future.result(60)) for future in futures] == alone
    assert [bits(result) for result in model.map(iter(IMAGES), imgsz=160)] == alone
    assert [bits(result) for result in asyncio.run(together())] == alone


def test_submitted_files_are_decoded_by_helpers(model: YOLO, folder: Path) -> None:
    future = model.submit(folder / "0.png", imgsz=160)
    assert bits(future.result(60)) == bits(model(IMAGES[0], imgsz=160)[0])
    with pytest.raises(errors.SourceNotFound):
        model.submit(folder / "none.png").result(60)


# ---- Streams


def test_a_prediction_inside_a_stream_works(model: YOLO) -> None:
    for result in model.predict(IMAGES, stream=True, imgsz=160):
        (nested,) = model(result.orig_img, imgsz=160)
        assert bits(nested) == bits(result)


@pytest.mark.slow
def test_a_stream_and_a_future_keep_their_model_open(demo_model: Path) -> None:
    """Seen to end in EngineClosed when only the handle holds the engine's lease."""
    with pytest.warns(ResourceWarning, match="was not closed"):
        stream = YOLO(demo_model, threads=1).predict(IMAGES, stream=True, imgsz=160)
    assert len(list(stream)) == len(IMAGES)
    with pytest.warns(ResourceWarning, match="was not closed"):
        assert isinstance(YOLO(demo_model, threads=1).submit(IMAGES[0], imgsz=160).result(60), Results)
    del stream
    gc.collect()


def test_an_awaitable_has_its_own_copy_and_its_own_options(model: YOLO) -> None:
    """Seen to give the bits of the last image eight times when the array is read only once it is awaited."""
    alone = [bits(model(image, imgsz=160)[0]) for image in IMAGES]
    frame, classes = np.empty_like(IMAGES[2]), None

    async def together() -> list[bytes]:
        tasks = []
        for image in IMAGES[2::4]:
            frame[:] = image
            tasks.append(asyncio.create_task(model.predict_async(frame, imgsz=160, classes=classes)))
        frame[:] = 0
        return [bits(result) for result in await asyncio.gather(*tasks)]

    assert asyncio.run(together()) == alone[2::4]


def test_an_awaitable_keeps_its_deadline(model: YOLO) -> None:
    with pytest.raises(errors.DeadlineExceeded):
        asyncio.run(model.predict_async(IMAGES[0], timeout=1e-6))


def test_two_zipped_streams_work(model: YOLO) -> None:
    pairs = zip(
        model.predict(IMAGES, stream=True, imgsz=160),
        model.predict(IMAGES, stream=True, imgsz=160, conf=0.6),
        strict=True,
    )
    for low, high in pairs:
        assert bits(high) == low.boxes.data[low.boxes.conf > 0.6].tobytes()


def test_options_of_a_stream_are_those_of_its_call(model: YOLO) -> None:
    classes = [0, 1]
    stream = model.predict(IMAGES, stream=True, imgsz=160, classes=classes, conf=0.01)
    classes[:] = [2]
    assert {cls for result in stream for cls in result.boxes.cls.tolist()} <= {0.0, 1.0}


def test_an_abandoned_stream_blocks_nobody(model: YOLO) -> None:
    stream = model.predict(IMAGES * 4, stream=True, imgsz=160)
    next(stream)
    del stream
    gc.collect()
    assert len(model(IMAGES[0], imgsz=160)) == 1


def test_a_closed_stream_cancels_what_waits_and_ends(model: YOLO) -> None:
    with model.predict(IMAGES * 4, stream=True, imgsz=160) as stream:
        next(stream)
    assert list(stream) == []


def test_a_stream_reads_only_a_few_images_ahead(model: YOLO) -> None:
    read = []

    def endless() -> Iterator[np.ndarray]:
        while True:
            read.append(1)
            yield IMAGES[0]

    stream = model.map(endless(), imgsz=160)
    next(stream)
    assert len(read) <= model._opened.engine.lanes.window
    stream.close()


def test_a_source_that_raises_ends_the_stream_after_what_came_before(model: YOLO) -> None:
    def broken() -> Iterator[np.ndarray]:
        yield IMAGES[0]
        raise OSError("camera unplugged")

    stream = model.map(broken(), imgsz=160)
    assert isinstance(next(stream), Results)
    with pytest.raises(OSError, match="unplugged"):
        next(stream)
    assert list(stream) == []


def test_a_source_that_stands_for_nothing_takes_its_place_and_the_others_follow(model: YOLO, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    outcomes = list(model.map([IMAGES[0], tmp_path / "empty", "no/*.jpg", IMAGES[1]], imgsz=160, errors="return"))
    assert [type(outcome) for outcome in outcomes] == [Results, errors.NoImagesFound, errors.SourceNotFound, Results]


def test_the_consumer_may_go_on_after_a_bad_image(model: YOLO) -> None:
    stream = model.map([IMAGES[0], b"junk", IMAGES[1]], imgsz=160)
    next(stream)
    with pytest.raises(errors.ImageDecodeError):
        next(stream)
    assert isinstance(next(stream), Results)


# ---- Failures among many


def test_the_others_have_their_results_when_one_image_fails(model: YOLO, folder: Path) -> None:
    (folder / "1.png").write_bytes((folder / "1.png").read_bytes()[:2000])
    with pytest.raises(errors.PartialFailure) as caught:
        model(folder, imgsz=160, errors="raise")
    assert [result is None for result in caught.value.results] == [False, True, False]
    assert isinstance(caught.value.errors[1], errors.ImageDecodeError)
    outcomes = model(folder, imgsz=160, errors="return")
    assert [type(outcome) for outcome in outcomes] == [Results, errors.ImageDecodeError, Results]


@pytest.mark.parametrize(
    ("source", "error"),
    [
        (None, errors.SourceNotFound),
        ("nowhere.jpg", errors.SourceNotFound),
        ("nowhere/*.jpg", errors.SourceNotFound),
        ([], errors.NoImagesFound),
        (b"", errors.ImageDecodeError),
        ("https://example.com/a.jpg", errors.UnsupportedSource),
        ("a.mp4", errors.UnsupportedSource),
        (3.5, errors.InvalidImage),
        (np.zeros((2, 3, 8, 8), np.uint8), errors.InvalidImage),
        (np.zeros((8, 8, 3), np.float32), errors.InvalidImage),
    ],
)
def test_a_bad_source_is_one_typed_error(model: YOLO, source: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        model(source)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"cnof": 0.5}, errors.UnknownOption),
        ({"conf": float("nan")}, errors.InvalidOption),
        ({"augment": True}, errors.UnsupportedOption),
        ({"classes": ["zeppelin"]}, errors.UnknownClass),
        ({"classes": 999}, errors.UnknownClass),
        ({"device": "cuda:0"}, errors.UnknownDevice),
        ({"timeout": -1}, errors.InvalidOption),
        ({"timeout": float("nan")}, errors.InvalidOption),
        ({"errors": "ignore"}, errors.InvalidOption),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_a_bad_option_is_refused_when_the_call_is_made(
    model: YOLO, options: dict[str, Any], error: type[Exception], stream: bool
) -> None:
    with pytest.raises(error):
        model.predict(IMAGES[0], stream=stream, **options)


def test_a_deadline_covers_the_whole_call(model: YOLO) -> None:
    with pytest.raises(errors.PartialFailure) as caught:
        model(IMAGES * 8, timeout=1e-4)
    assert {type(error) for error in caught.value.errors.values()} == {errors.DeadlineExceeded}
    with pytest.raises(errors.DeadlineExceeded):
        model(IMAGES[0], timeout=1e-6)


# ---- Files


def test_saving_makes_a_folder_of_its_own_for_each_handle(
    demo_model: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen to fail when the folder is looked for first and made afterwards."""
    monkeypatch.chdir(tmp_path)

    def save(_: int) -> Results:
        with YOLO(demo_model) as model:
            return model(folder / "0.png", imgsz=160, save=True, save_txt=True, save_crop=True)[0]

    results = barrier_run(8, save)
    assert len({result.save_dir for result in results}) == 8
    for result in results:
        assert cv2.imread(f"{result.save_dir}/0.png") is not None
        lines = Path(f"{result.save_dir}/labels/0.txt").read_text().splitlines()
        assert len(lines) == len(result)


def test_two_sources_of_one_name_do_not_overwrite_each_other(model: YOLO, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    shutil.copy(folder / "1.png", tmp_path / "other" / "0.png")
    model([folder / "0.png", tmp_path / "other" / "0.png"], imgsz=160, save=True, project=str(tmp_path), name="out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["0-2.png", "0.png"]


# ---- Handles


def test_closing_one_handle_leaves_the_others(demo_model: Path) -> None:
    first, second = YOLO(demo_model), YOLO(demo_model)
    first.close()
    first.close()
    with pytest.raises(errors.EngineClosed):
        first(IMAGES[0])
    assert len(second(IMAGES[0], imgsz=160)) == 1
    second.close()


@pytest.mark.slow
def test_a_forgotten_handle_warns_and_ends_its_engine(demo_model: Path) -> None:
    models = [YOLO(demo_model, threads=1)]
    lanes = list(models[0]._opened.engine.lanes.threads())
    with pytest.warns(ResourceWarning, match=r"demo\.onnx.*was not closed"):
        models.clear()
    gc.collect()
    for lane in lanes:
        lane.join(30)
        assert not lane.is_alive()


def test_a_handle_travels_as_a_recipe(model: YOLO) -> None:
    data = pickle.dumps(model)
    assert len(data) < 2000
    with pickle.loads(data) as other:
        assert bits(other(IMAGES[0], imgsz=160)[0]) == bits(model(IMAGES[0], imgsz=160)[0])
    with copy.deepcopy(model) as other:
        assert other._opened.engine is model._opened.engine


def test_names_can_be_overridden_without_a_second_engine(model: YOLO, demo_model: Path) -> None:
    other_names = [f"thing{index}" for index in range(len(model.names))]
    with YOLO(demo_model, names=other_names) as other:
        assert other.names[0] == "thing0"
        assert model.names[0] != "thing0"
        assert other._opened.engine is model._opened.engine
        result = other(IMAGES[0], conf=0.01, imgsz=160)[0]
        assert set(result.class_names) <= set(other_names)


@pytest.mark.slow
def test_a_replaced_file_is_opened_anew(demo_model: Path, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    shutil.copy(demo_model, path)
    old = YOLO(path)
    path.unlink()
    shutil.copy(demo_model, path)
    new = YOLO(path)
    assert old._opened.engine is not new._opened.engine
    old.close()
    new.close()


def test_names_and_model_are_read_only(model: YOLO) -> None:
    with pytest.raises(TypeError):
        model.names[0] = "other"  # type: ignore[index]
    with pytest.raises(AttributeError):
        model.names = {}  # type: ignore[misc,assignment]


def test_what_yoloom_does_not_do_says_so(model: YOLO) -> None:
    with pytest.raises(AttributeError, match="Ultralytics"):
        model.train(data="coco8.yaml")
    assert not hasattr(model, "nonsense")
    assert model.to("cpu") is model
    with pytest.raises(errors.UnknownDevice):
        model.to("mps")
    with pytest.raises(errors.BackendUnavailable, match="onnxruntime-gpu"):
        model.to("cuda")
    assert model.device == "cpu"


def test_a_fixed_size_is_kept_and_said_once(
    tiny_onnx: Callable[..., Path], ultralytics_notes: Callable[..., dict[str, str]], caplog: pytest.LogCaptureFixture
) -> None:
    path = tiny_onnx(hw=(64, 64), batch=1, metadata=ultralytics_notes())
    with YOLO(path) as model, caplog.at_level(logging.WARNING):
        same = bits(model(IMAGES[0])[0])
        assert caplog.text == ""
        assert {bits(result) for result in barrier_run(8, lambda _: model(IMAGES[0], imgsz=320)[0])} == {same}
    assert caplog.text.count("imgsz=(320, 320) is not used") == 1


def test_guarantee_and_statistics(model: YOLO) -> None:
    guarantee = model.guarantee()
    assert guarantee.bit_identical
    assert (guarantee.backend, guarantee.device, guarantee.precision) == ("openvino", "cpu", "fp32")
    before = model.statistics()
    model(IMAGES[0], imgsz=160)
    assert model.statistics().succeeded == before.succeeded + 1


# ---- Another device


@pytest.mark.parametrize(
    ("opened_with", "expected"),
    [
        ({}, ("onnxruntime", None)),
        ({"backend": "onnxruntime"}, ("onnxruntime", None)),
        ({"backend": "openvino"}, ("onnxruntime", None)),
        ({"precision": "fp32"}, ("onnxruntime", "fp32")),
        ({"precision": "auto"}, ("onnxruntime", "auto")),
    ],
)
def test_another_device_keeps_what_it_can(
    demo_model: Path, monkeypatch: pytest.MonkeyPatch, opened_with: dict[str, Any], expected: tuple[str, str | None]
) -> None:
    # Before, a precision that was asked for was forgotten: float32 became half precision, or tf32, without a word.
    asked: list[Any] = []

    def recorded(name: str, device: str, _: object) -> None:
        asked.append((name, device))
        raise errors.BackendUnavailable("no GPU here")

    with YOLO(demo_model, **opened_with) as model:
        recipe = pickle.dumps(model)
        monkeypatch.setattr("yoloom.facade.open_model.find_backend", recorded)
        monkeypatch.setattr("yoloom.facade.open_model.check_precision", asked.append)
        with pytest.raises(errors.BackendUnavailable):
            model.to("cuda:1")
        assert asked == [expected[1], (expected[0], "cuda:1")]
        assert pickle.dumps(model) == recipe  # nothing has changed
        assert model.device == "cpu"


@pytest.mark.parametrize(
    ("name", "device", "expected"),
    [
        ("openvino", "cpu", True),
        ("openvino", "cuda:0", False),
        ("onnxruntime", "cuda:1", True),
        ("torch", "cuda:0", True),
        ("torch", "cpu", True),
        (None, "cpu", False),
        ("nothing", "cpu", False),
    ],
)
def test_backends_and_their_devices(name: str | None, device: str, expected: bool) -> None:
    assert has_device(name, device) is expected


# ---- Precision


@pytest.fixture
def brief(demo_model: Path) -> Iterator[YOLO]:
    """The bundled model in bfloat16."""
    if Precision.BF16 not in OpenVINOBackend().precisions():
        pytest.skip("this CPU has no bfloat16")
    with YOLO(demo_model, precision="bf16") as model:
        yield model


def test_handles_share_an_engine_when_their_precision_is_the_same(
    model: YOLO, brief: YOLO, demo_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen to fail (float32 results from a handle on bf16) with the precision left out of the engine's key."""
    assert brief._opened.engine is not model._opened.engine
    assert bits(brief(IMAGES[0], imgsz=160)[0]) != bits(model(IMAGES[0], imgsz=160)[0])
    monkeypatch.setattr("yoloom.runtime.precision.is_fast_in_bfloat16", lambda: True)
    with YOLO(demo_model, precision="auto") as found, YOLO(demo_model, precision="fp32") as exact:
        assert found._opened.engine is brief._opened.engine
        assert exact._opened.engine is model._opened.engine


def test_auto_is_float32_where_there_is_nothing_else(model: YOLO, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(OpenVINOBackend, "precisions", lambda self: (Precision.FP32,))
    with YOLO(model.model.graph.path, precision="auto") as found:
        assert found._opened.engine is model._opened.engine
        assert found.guarantee().precision == "fp32"
    with pytest.raises(errors.UnsupportedOption, match="on this machine, got 'bf16'"):
        YOLO(model.model.graph.path, precision="bf16")


def test_a_handle_in_bfloat16_travels_as_one(brief: YOLO) -> None:
    with pickle.loads(pickle.dumps(brief)) as other:
        assert other._opened.engine is brief._opened.engine
        assert other.guarantee().precision == "bf16"


def test_auto_is_decided_where_the_handle_arrives(demo_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with YOLO(demo_model, precision="auto") as sent:
        data = pickle.dumps(sent)
    monkeypatch.setattr(OpenVINOBackend, "precisions", lambda self: (Precision.FP32,))
    with pickle.loads(data) as arrived:
        assert arrived.guarantee().precision == "fp32"


def test_the_guarantee_tells_the_precision(brief: YOLO) -> None:
    guarantee = brief.guarantee()
    assert (guarantee.precision, guarantee.bit_identical, guarantee.tolerance) == ("bf16", True, 0.0)
    assert "bfloat16" in guarantee.because


@pytest.mark.slow
def test_bfloat16_finds_what_float32_finds(model: YOLO, brief: YOLO) -> None:
    for image in IMAGES:
        exact, found = (one(image, conf=0.4, imgsz=320)[0].boxes for one in (model, brief))
        assert len(exact)
        surest = exact.conf > 0.5  # what is near 0.4 may be lost
        for box, cls, conf in zip(exact.xyxy[surest], exact.cls[surest], exact.conf[surest], strict=True):
            distance = (found.xyxy - box).abs().amax(1) + 1e3 * (found.cls != cls)
            nearest = int(distance.argmin())
            assert distance[nearest] < 4  # pixels
            assert abs(found.conf[nearest] - conf) < 0.05


@pytest.mark.slow
def test_threads_in_bfloat16_get_what_they_get_alone(brief: YOLO) -> None:
    alone = [bits(brief(image, imgsz=320)[0]) for image in IMAGES]
    together = barrier_run(8, lambda index: [bits(brief(IMAGES[(index + i) % 8], imgsz=320)[0]) for i in range(8)])
    assert together == [[alone[(index + i) % 8] for i in range(8)] for index in range(8)]
    assert [bits(result) for result in brief(IMAGES, imgsz=320)] == alone


# ---- Files that can not be opened


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"model": "nowhere.onnx"}, errors.ModelNotFound),
        ({"model": "yolov8q.onnx"}, errors.ModelNotFound),
        ({"nms": False}, errors.UnsupportedOption),
        ({"nms": "no"}, errors.InvalidOption),
        ({"model": None}, errors.ModelNotFound),
        ({"threads": 10**6}, errors.InvalidOption),
        ({"backend": "tensorflow"}, errors.InvalidOption),
        ({"device": "tpu"}, errors.UnknownDevice),
        ({"threads": 0}, errors.InvalidOption),
        ({"threads": 1.5}, errors.InvalidOption),
        ({"max_pixels": -1}, errors.InvalidOption),
        ({"precision": "fp16"}, errors.InvalidOption),
        ({"precision": "bf16", "backend": "onnxruntime"}, errors.UnsupportedOption),
        ({"names": ["one"]}, errors.InvalidModel),
        ({"task": "segment"}, errors.InvalidModel),
        ({"task": "depth"}, errors.UnsupportedTask),
    ],
)
def test_a_model_that_can_not_be_opened_is_one_typed_error(
    demo_model: Path, arguments: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        YOLO(**{"model": demo_model, **arguments})
    assert not [thread for thread in threading.enumerate() if thread.name == "yoloom-compile"]


@pytest.mark.slow
def test_onnxruntime_gives_nearly_the_same_boxes(model: YOLO, demo_model: Path) -> None:
    with YOLO(demo_model, backend="onnxruntime") as other:
        for image in IMAGES:
            theirs, ours = other(image, imgsz=320)[0].boxes.data, model(image, imgsz=320)[0].boxes.data
            assert theirs.shape == ours.shape
            np.testing.assert_allclose(theirs, ours, atol=0.05)


def test_stream_type_is_public(model: YOLO) -> None:
    stream = model.map([])
    assert isinstance(stream, ResultStream)
    assert list(stream) == []
