"""Checkpoints through `YOLO(...)`: converted once, whoever asks, and again when what was kept is gone or wrong."""

from __future__ import annotations

import gc
import io
import os
import pickle
import shutil
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from checkpoint_parity import TOLERANCE, difference_of_rows, run_onnxruntime
from scenes import scene
from yoloom import YOLO, Results, errors
from yoloom.engine.engine_registry import registry
from yoloom.formats.checkpoint import convert as converter
from yoloom.formats.checkpoint.onnx_model import build_onnx
from yoloom.formats.checkpoint.parse import read_checkpoint
from yoloom.formats.model import ModelFile
from yoloom.formats.protobuf import mapped
from yoloom.formats.read import describe
from yoloom.runtime.cpu import latency_profile, throughput_profile
from yoloom.runtime.protocol import LATENCY
from yoloom.runtime.registry import find_backend
from yoloom.store import conversion_cache, conversions
from yoloom.store.conversion_cache import ConversionCache
from yoloom.store.conversions import Converter
from yoloom.store.locate import file_at, locate
from yoloom.testing import barrier_run

CHECKPOINTS = Path(__file__).parents[1] / "data" / "checkpoints"
IMAGE = scene(1, (64, 48)).image
OPTIONS: dict[str, Any] = {"imgsz": 64, "conf": 0.001}


def bits(results: Results) -> bytes:
    return np.asarray(results.boxes.data).tobytes()


@pytest.fixture
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The folder of a cache that is empty, in a process that knows of no conversion of an earlier test."""
    gc.collect()
    monkeypatch.setenv("YOLOOM_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "converted"


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    return Path(shutil.copy(CHECKPOINTS / "v8-detect.pt", tmp_path / "best.pt"))


@pytest.fixture
def conversions_made(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Grows with each conversion, by the name of the thread that makes it."""
    made: list[str] = []

    def counting(*arguments: Any) -> None:
        made.append(threading.current_thread().name)
        converter.write_converted(*arguments)

    monkeypatch.setattr(conversions, "write_converted", counting)
    yield made
    assert not conversions._converter._by_content._pending
    assert not conversions._converter._by_version._pending


@pytest.fixture(scope="module")
def expected() -> bytes:
    """The bits of the small checkpoint, converted without any cache."""
    model = describe(Converter(lambda: None).open(CHECKPOINTS / "v8-detect.pt"))
    context = find_backend("openvino", "cpu").compile(model, latency_profile(1)).context()
    return bits_of(context.run)


def bits_of(run: Callable[[npt.NDArray[np.uint8]], Any]) -> bytes:
    return b"".join(output.tobytes() for output in run(np.ascontiguousarray(IMAGE[None, :32, :32])))


def opened_bits(path: Path, **options: Any) -> bytes:
    """The raw outputs of a network through the caches of this process."""
    with YOLO(path, **options) as model:
        return raw_bits(model)


def raw_bits(model: YOLO) -> bytes:
    return bits_of(model._opened.engine.lanes._lanes._slots[LATENCY][0].run)


# ---- What comes out


@pytest.mark.slow
def test_a_checkpoint_is_described_as_its_export_would_be(cache: Path, checkpoint: Path) -> None:
    with YOLO(checkpoint) as model:
        assert (model.task, dict(model.names), model.stride) == ("detect", {0: "0", 1: "1", 2: "2"}, 32)
        assert (model.model.dynamic, model.model.imgsz_hw) == (True, (640, 640))
        assert model.model.graph.files == (checkpoint,)
        assert repr(model) == f"YOLO({str(checkpoint)!r}, task='detect', classes=3)"


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["openvino", "onnxruntime"])
@pytest.mark.parametrize("name", ["v8-detect", "v10-detect", "v3-detect", "rare-detect", "focus-detect"])
def test_a_checkpoint_gives_the_boxes_of_its_export(cache: Path, tmp_path: Path, name: str, backend: str) -> None:
    export = tmp_path / "export.onnx"
    export.write_bytes(converted_bytes(CHECKPOINTS / f"{name}.pt"))
    with YOLO(CHECKPOINTS / f"{name}.pt", backend=backend) as model, YOLO(export, backend=backend) as other:
        (ours,), (theirs,) = model(IMAGE, **OPTIONS), other(IMAGE, **OPTIONS)
        assert bits(ours) == bits(theirs)
        assert len(ours)


@pytest.mark.slow
def test_the_head_that_needs_no_nms_is_a_model_of_its_own(cache: Path) -> None:
    path = CHECKPOINTS / "v10-detect.pt"
    with YOLO(path) as many, YOLO(path, nms=False) as best, YOLO(path, nms=True) as same:
        assert many._opened.engine is same._opened.engine is not best._opened.engine
        assert best.model.layout.value == "end2end"
        assert len(list(cache.iterdir())) == 2
        for model, nms in ((many, True), (best, False)):
            expected = bits(model(IMAGE, **OPTIONS)[0])
            assert bits(model(IMAGE, nms=nms, end2end=not nms, **OPTIONS)[0]) == expected
            with pytest.raises(errors.UnsupportedOption, match=rf"YOLO\(path, nms={not nms}\)"):
                model(IMAGE, nms=not nms)
            with pytest.raises(errors.UnsupportedOption, match=rf"YOLO\(path, nms={not nms}\)"):
                model(IMAGE, end2end=nms)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["v10-detect", "26-obb", "26-pose", "26-segment"])
def test_the_head_that_needs_no_nms_sees_the_colours_as_they_are(tmp_path: Path, name: str) -> None:
    """OpenVINO's own way to swap the channels gets lost in these graphs, without a word."""
    path = tmp_path / "free.onnx"
    path.write_bytes(build_onnx(read_checkpoint(CHECKPOINTS / f"{name}.pt"), nms=False))
    model = replace(describe(locate(CHECKPOINTS / "v8-detect.pt")), graph=ModelFile("onnx", (path,)))
    image = np.random.default_rng(0).integers(0, 256, (1, 64, 64, 3), np.uint8)
    rgb = np.ascontiguousarray(image[..., ::-1].transpose(0, 3, 1, 2), np.float32) / 255
    expected = run_onnxruntime(path.read_bytes(), rgb)[0]
    for backend in ("openvino", "onnxruntime"):
        found = find_backend(backend, "cpu").compile(model, latency_profile(1)).context().run(image)[0]
        assert difference_of_rows(found, expected) < TOLERANCE


def test_a_network_with_one_head_answers_to_what_it_was_opened_with(checkpoint: Path) -> None:
    with YOLO(checkpoint, nms=False) as model:
        assert bits(model(IMAGE, nms=False, **OPTIONS)[0]) == bits(model(IMAGE, nms=True, **OPTIONS)[0])


@pytest.mark.slow
def test_an_export_keeps_the_head_it_has(checkpoint: Path, tmp_path: Path) -> None:
    export = tmp_path / "export.onnx"
    export.write_bytes(converted_bytes(checkpoint))
    with YOLO(export, nms=True):
        pass
    with pytest.raises(errors.UnsupportedOption, match=r"export\.onnx was exported with a head that needs its NMS"):
        YOLO(export, nms=False)


def test_a_handle_pickles_with_its_head(cache: Path) -> None:
    with YOLO(CHECKPOINTS / "v10-detect.pt", nms=False) as model, pickle.loads(pickle.dumps(model)) as copy:
        assert copy._opened.engine is model._opened.engine
        described = pickle.loads(pickle.dumps(model.model))
        assert described == model.model
        assert described.graph.network() == model.model.graph.network()


# ---- Once


@pytest.mark.slow
def test_a_second_opening_unpickles_nothing(
    cache: Path, checkpoint: Path, conversions_made: list[str], expected: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert opened_bits(checkpoint) == expected
    again = Path(shutil.copy(checkpoint, checkpoint.with_name("copy.pt")))
    monkeypatch.setattr(converter, "parse_checkpoint", None)
    assert opened_bits(checkpoint) == opened_bits(again) == expected
    assert len(conversions_made) == 1


@pytest.mark.slow
def test_32_threads_convert_a_new_checkpoint_once(
    cache: Path, checkpoint: Path, conversions_made: list[str], expected: bytes
) -> None:
    """From four names of one file and two of a copy. Seen to fail (2 to 30 conversions) without `SingleFlight`."""
    paths = [checkpoint]
    for number in range(3):
        paths.append(checkpoint.with_name(f"link{number}.pt"))
        paths[-1].symlink_to(checkpoint)
    paths += [Path(shutil.copy(checkpoint, checkpoint.with_name(f"copy{number}.pt"))) for number in range(2)]

    def race(index: int) -> tuple[bytes, int]:
        with YOLO(paths[index % len(paths)]) as model:
            return bits(model(IMAGE, **OPTIONS)[0]), index

    answers = barrier_run(32, race)
    assert len({answer for answer, _ in answers}) == 1
    assert len(conversions_made) == 1
    assert opened_bits(checkpoint) == expected


def test_a_file_is_hashed_once_while_a_handle_is_open(
    cache: Path, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed: list[Path] = []
    key = conversions._content_key
    monkeypatch.setattr(conversions, "_content_key", lambda path, head: (hashed.append(path), key(path, head))[1])
    handles = barrier_run(16, lambda _: YOLO(checkpoint))
    handles += [YOLO(checkpoint) for _ in range(4)]
    assert len(hashed) == 1
    assert len(registry()._engines) == 1
    for handle in handles:
        handle.close()


@pytest.mark.slow
def test_a_conversion_is_read_through_once_at_each_opening(
    cache: Path, checkpoint: Path, expected: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened_bits(checkpoint)
    verified: list[str] = []
    is_sound = conversion_cache._is_sound
    monkeypatch.setattr(conversion_cache, "_is_sound", lambda file, key: (verified.append(key), is_sound(file, key))[1])

    def open_twice() -> None:
        with YOLO(checkpoint) as model, YOLO(checkpoint):
            assert raw_bits(model) == expected
            second = find_backend("openvino", "cpu").compile(model.model, throughput_profile(1)).context()
            assert bits_of(second.run) == expected

    for openings in (1, 2):
        open_twice()
        gc.collect()  # what nobody holds any more is not known any more
        assert len(verified) == openings


@pytest.mark.slow
def test_a_changed_file_is_another_model(cache: Path, checkpoint: Path, conversions_made: list[str]) -> None:
    with YOLO(checkpoint) as before:
        replacement = Path(shutil.copy(CHECKPOINTS / "v3-detect.pt", checkpoint.with_name("new.pt")))
        os.replace(replacement, checkpoint)
        with YOLO(checkpoint) as after:
            assert after._opened.engine is not before._opened.engine
            assert raw_bits(after) == opened_bits(CHECKPOINTS / "v3-detect.pt")
    assert len(conversions_made) == 2


def test_all_threads_get_the_error_with_their_own_path(cache: Path, checkpoint: Path) -> None:
    data = checkpoint.read_bytes()
    paths = [checkpoint.with_name(name) for name in ("a.pt", "b.pt")]
    for path in paths:
        path.write_bytes(data[: len(data) // 2])

    def race(index: int) -> bool:
        with pytest.raises(errors.InvalidModel) as caught:
            YOLO(paths[index % 2])
        return str(caught.value).startswith(f"{paths[index % 2]}: ")

    assert all(barrier_run(8, race))
    assert not list(cache.iterdir())


PROCESS = """
    import sys, threading
    import numpy as np
    from yoloom import YOLO
    from yoloom.store import conversions
    from yoloom.formats.checkpoint import convert
    from scenes import scene
    from yoloom.testing import barrier_run

    made = []
    def counting(*arguments):
        made.append(1)
        convert.write_converted(*arguments)
    conversions.write_converted = counting

    image = scene(1, (64, 48)).image
    def opened(_):
        with YOLO(sys.argv[1]) as model:
            return np.asarray(model(image, imgsz=64, conf=0.001)[0].boxes.data).tobytes()

    print("ready", flush=True)
    sys.stdin.readline()
    answers = set(barrier_run(8, opened))
    print(len(made), len(answers), answers.pop().hex(), flush=True)
"""


@pytest.mark.slow
def test_4_processes_of_8_threads_convert_once_each_at_most(cache: Path, checkpoint: Path) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-W", "error", "-c", textwrap.dedent(PROCESS), checkpoint],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    told = [process.stdin.write("go\n") for process in processes if process.stdin is not None]
    for process in processes:
        assert process.stdin is not None
        process.stdin.flush()
    outputs = [process.communicate(timeout=60) for process in processes]
    assert len(told) == 4
    assert [stderr for _, stderr in outputs] == [""] * 4
    answers = [stdout.split() for stdout, _ in outputs]
    assert all(int(made) <= 1 and different == "1" for made, different, _ in answers)
    assert sum(int(made) for made, *_ in answers) >= 1
    with YOLO(checkpoint) as model:
        assert {answer for *_, answer in answers} == {bits(model(IMAGE, **OPTIONS)[0]).hex()}
    assert [path.suffix for path in cache.iterdir()] == [".onnx"]


# ---- What was kept is gone, or wrong


def converted_bytes(path: Path) -> bytes:
    data = io.BytesIO()
    converter.write_converted(mapped(path), data.write)
    return data.getvalue()


def writing(path: Path) -> Callable[[Callable[..., object]], None]:
    return lambda write: converter.write_converted(mapped(path), write)


def damage(entry: Path, how: str) -> None:
    data = bytearray(entry.read_bytes())
    if how == "gone":
        entry.unlink()
    elif how == "torn":
        entry.write_bytes(data[:-5000])
    elif how == "wrong":
        data[len(data) // 2] ^= 255
        entry.write_bytes(data)
    else:
        cache = ConversionCache(entry.parent, 2**30)
        other = cache.store("00" * 32, "other.pt", writing(CHECKPOINTS / "v3-detect.pt"))
        assert other is not None
        other.replace(entry)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["gone", "torn", "wrong", "swapped"])
def test_a_wrong_entry_is_converted_again(
    cache: Path, checkpoint: Path, conversions_made: list[str], expected: bytes, how: str
) -> None:
    """The one that is found when the file is opened, and the one that is found when the second form is compiled."""
    opened_bits(checkpoint)
    (entry,) = cache.iterdir()
    sound = entry.read_bytes()
    damage(entry, how)
    with YOLO(checkpoint) as model:
        assert raw_bits(model) == expected
        assert entry.read_bytes() == sound
        damage(entry, how)
        second = find_backend("openvino", "cpu").compile(model.model, throughput_profile(1)).context()
        assert bits_of(second.run) == expected
    assert entry.read_bytes() == sound
    assert len(conversions_made) == 3


def test_an_entry_that_goes_while_the_runtime_looks_for_it(cache: Path, checkpoint: Path, expected: bytes) -> None:
    model = describe(locate(checkpoint))
    (entry,) = cache.iterdir()
    tried: list[Any] = []

    def read(source: Any) -> bytes:
        tried.append(source)
        if len(tried) == 1:
            entry.unlink()
        return Path(source).read_bytes()

    assert model.graph.load(read) == entry.read_bytes()
    assert tried == [entry, entry]


def test_an_error_of_the_runtime_is_its_own(cache: Path, checkpoint: Path) -> None:
    model = describe(locate(checkpoint))
    tried: list[Any] = []

    def read(source: Any) -> None:
        tried.append(source)
        raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        model.graph.load(read)
    assert len(tried) == 1


def test_the_entry_of_a_changed_file_is_not_made_from_the_new_one(cache: Path, checkpoint: Path) -> None:
    model = describe(locate(checkpoint))
    shutil.rmtree(cache)
    os.replace(shutil.copy(CHECKPOINTS / "v3-detect.pt", checkpoint.with_name("new.pt")), checkpoint)
    with pytest.raises(errors.InvalidModel, match=rf"{checkpoint}: the file was changed or removed"):
        model.graph.network()
    checkpoint.unlink()
    with pytest.raises(errors.ModelNotFound):
        model.graph.network()
    assert not list(cache.iterdir())


def test_a_file_that_changes_while_it_is_converted_is_kept_under_no_name(
    cache: Path, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def and_change(*arguments: Any) -> None:
        converter.write_converted(*arguments)
        os.utime(checkpoint, (1, 1))

    monkeypatch.setattr(conversions, "write_converted", and_change)
    with pytest.raises(errors.InvalidModel, match=r"best\.pt: the file was changed or removed"):
        YOLO(checkpoint)
    assert not list(cache.iterdir())


# ---- Without a cache


@pytest.fixture(params=["a file in its place", "no room", "too small", "no home folder"])
def no_cache(request: pytest.FixtureRequest, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A cache that takes nothing, for four reasons; how many warnings that is worth."""
    monkeypatch.setattr(conversions, "_converter", Converter())
    if request.param == "a file in its place":
        cache.parent.write_text("")
    elif request.param == "no room":
        monkeypatch.setattr(Path, "replace", _no_room)
    elif request.param == "too small":
        monkeypatch.setenv("YOLOOM_CACHE_BYTES", "1000")
    else:
        monkeypatch.setattr(conversions, "_converter", Converter(lambda: None))
    yield int(request.param in ("a file in its place", "no room"))
    assert not cache.is_dir() or not list(cache.iterdir())


def _no_room(self: Path, target: Path) -> Path:
    raise OSError(28, "No space left on device")


@pytest.mark.slow
def test_without_a_cache_the_bytes_are_shared_in_memory(
    checkpoint: Path,
    no_cache: int,
    conversions_made: list[str],
    expected: bytes,
    caplog: pytest.LogCaptureFixture,
) -> None:
    copy = Path(shutil.copy(checkpoint, checkpoint.with_name("copy.pt")))
    handles = barrier_run(8, lambda index: YOLO((checkpoint, copy)[index % 2]))
    assert len(conversions_made) <= 2  # the first one for the cache, which did not take it
    assert len({id(handle.model.graph.network()) for handle in handles}) == 1
    assert {raw_bits(handle) for handle in handles} == {expected}
    for handle in handles:
        handle.close()
    with YOLO(checkpoint, backend="onnxruntime") as model:
        assert len(model(IMAGE, **OPTIONS)[0])
    assert caplog.text.count("can not be kept in") == no_cache


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="this user may write everywhere")
def test_a_folder_that_may_only_be_read_is_still_a_cache(
    cache: Path, checkpoint: Path, conversions_made: list[str], expected: bytes
) -> None:
    opened_bits(checkpoint)
    cache.chmod(0o555)
    try:
        assert opened_bits(checkpoint) == expected
        assert opened_bits(CHECKPOINTS / "v3-detect.pt")
        assert len(conversions_made) == 2
    finally:
        cache.chmod(0o755)


# ---- Bad input


def test_a_network_for_other_images_is_refused(cache: Path) -> None:
    with pytest.raises(errors.UnsupportedModel, match=r"26-detect\.pt takes 4 channels"):
        YOLO(CHECKPOINTS / "26-detect.pt")


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        (b"", errors.InvalidModel, "the file is empty"),
        (None, errors.InvalidModel, "a folder, expected a checkpoint"),
        (b"PK", errors.InvalidModel, "damaged zip archive"),
        (b"garbage", errors.InvalidModel, "not a PyTorch checkpoint"),
        (b"<html>", errors.InvalidModel, "a web page"),
        (b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.", errors.UnsupportedModel, "before 1.6"),
    ],
)
def test_what_is_no_checkpoint_is_a_typed_error(
    cache: Path, tmp_path: Path, content: bytes | None, error: type[Exception], message: str
) -> None:
    path = tmp_path / "bad.pt"
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content)
    with pytest.raises(error, match=message) as caught:
        YOLO(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert not cache.exists() or not list(cache.iterdir())


@pytest.mark.parametrize("part", [0.1, 0.5, 0.999])
def test_a_checkpoint_that_was_cut_short(cache: Path, checkpoint: Path, part: float) -> None:
    data = checkpoint.read_bytes()
    checkpoint.write_bytes(data[: int(len(data) * part)])
    with pytest.raises(errors.InvalidModel, match=r"best\.pt: .*cut short"):
        YOLO(checkpoint)


def test_a_checkpoint_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(errors.ModelNotFound, match=r"best\.pt"):
        YOLO(tmp_path / "best.pt")
    with pytest.raises(errors.ModelNotFound, match=r"no such model: .*best\.pt"):
        file_at(tmp_path / "best.pt")


def test_a_published_checkpoint_is_fetched_and_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, checkpoint: Path
) -> None:
    monkeypatch.setenv("YOLOOM_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    models = tmp_path / "cache" / "models"
    models.mkdir(parents=True)
    checkpoint.rename(models / "yolov8n.pt")
    with YOLO("yolov8n.pt") as model:
        assert model.model.graph.path == models / "yolov8n.pt"
        assert len(model(IMAGE, **OPTIONS)[0])
