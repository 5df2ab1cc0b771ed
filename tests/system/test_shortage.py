"""Want of memory and threads is told from other failures, and the limits are named."""

from __future__ import annotations

import errno
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from yoloom import YOLO
from yoloom.errors import ImageDecodeError, InvalidModel, RuntimeFailed
from yoloom.formats.metadata import parse_literal
from yoloom.images.decode import decode_image
from yoloom.runtime.registry import CPU_BACKENDS
from yoloom.system import shortage
from yoloom.system.shortage import check_room, explained, is_shortage, naming_limits

Factory = Callable[..., Path]

SHORTAGES = [
    MemoryError(),
    RuntimeError("std::bad_alloc"),
    RuntimeError("Exception from node.cpp:823:\n[CPU] Convolution node with name 'Conv' can't alloc"),
    RuntimeError("Failed to allocate 12582912 bytes of memory"),
    RuntimeError("Resource temporarily unavailable"),
    RuntimeError("can't start new thread"),
    RuntimeError("std::future_error: Broken promise"),
    ImportError("libx.so: failed to map segment from shared object"),
    OSError(errno.ENOMEM, "Cannot allocate memory"),
    OSError(errno.EAGAIN, "Resource temporarily unavailable"),
]
OTHERS = [
    RuntimeError("Protobuf parsing failed"),
    RuntimeError("memory format is not supported"),
    OSError(errno.EACCES, "Permission denied"),
    ValueError("bad"),
]


@pytest.mark.parametrize("error", SHORTAGES, ids=str)
def test_shortages(error: Exception) -> None:
    assert is_shortage(error)
    words = r"(?s)it fails for want of memory or threads.*Raise the limit"
    with pytest.raises(RuntimeFailed, match=words) as caught, naming_limits("it fails"):
        raise error
    assert caught.value.__cause__ is error
    assert caught.value.http_status == 503


@pytest.mark.parametrize("error", OTHERS, ids=str)
def test_other_failures_pass(error: Exception) -> None:
    assert not is_shortage(error)
    assert explained(error) == str(error)
    with pytest.raises(type(error)) as caught, naming_limits("it fails"):
        raise error
    assert caught.value is error


def test_any_failure_of_a_process_near_its_limit_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shortage, "_limit", lambda name: 1000 if name == "RLIMIT_AS" else None)
    for peak, expected in ((799, False), (800, True)):
        monkeypatch.setattr(shortage, "_peak_bytes", lambda peak=peak: peak)
        assert is_shortage(RuntimeError("unknown exception")) is expected
        assert is_shortage() is expected


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux maps address space this way")
def test_room() -> None:
    check_room(2**20)
    with pytest.raises(MemoryError, match="of address space are not there"):
        check_room(2**62)


@pytest.mark.parametrize("backend", CPU_BACKENDS)
@pytest.mark.parametrize("error", SHORTAGES, ids=str)
def test_a_sound_model_is_not_called_invalid(
    demo_model: Path, monkeypatch: pytest.MonkeyPatch, backend: str, error: Exception
) -> None:
    """Seen to be InvalidModel, which advises to copy or export the file again."""

    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(f"yoloom.runtime.{backend}._with_preprocessing", fail)
    with pytest.raises(RuntimeFailed, match="Raise the limit"):
        YOLO(demo_model, backend=backend, threads=1)


@pytest.mark.parametrize("backend", CPU_BACKENDS)
def test_a_damaged_model_still_is(tmp_path: Path, demo_model: Path, backend: str) -> None:
    path = tmp_path / "cut.onnx"
    path.write_bytes(demo_model.read_bytes()[:100_000])
    with pytest.raises(InvalidModel):
        YOLO(path, backend=backend, threads=1)


@pytest.mark.parametrize("where", ["yoloom.formats.read.read_onnx", "yoloom.facade.open_model.locate"])
@pytest.mark.parametrize("error", [MemoryError(), OSError(errno.ENOMEM, "Cannot allocate memory")], ids=str)
def test_a_file_that_can_not_be_read_for_want_of_memory(
    demo_model: Path, monkeypatch: pytest.MonkeyPatch, where: str, error: Exception
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(where, fail)
    with pytest.raises(RuntimeFailed, match=r"demo\.onnx.* can not be opened for want of memory"):
        YOLO(demo_model, threads=1)


def test_notes_of_a_file_are_read_or_not_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seen to be taken for plain words: a model without its names."""
    assert parse_literal("[" * 10_000) == "[" * 10_000

    def fail(_: str) -> None:
        raise MemoryError

    monkeypatch.setattr("yoloom.formats.metadata.ast.literal_eval", fail)
    with pytest.raises(MemoryError):
        parse_literal("{0: 'person'}")


def test_a_picture_without_memory_is_not_called_damaged(demo_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Seen to be ImageDecodeError: OpenCV gives the same answer in both cases."""
    picture = (demo_model.parent / "scene-1.jpg").read_bytes()
    with pytest.raises(ImageDecodeError):
        decode_image(b"no picture")
    monkeypatch.setattr("yoloom.images.decode.cv2.imdecode", lambda *_: None)
    with pytest.raises(ImageDecodeError):
        decode_image(picture)
    monkeypatch.setattr("yoloom.images.decode.is_shortage", lambda _: True)
    with pytest.raises(RuntimeFailed, match="the bytes given: it can not be decoded for want of memory"):
        decode_image(picture)


LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, (int(sys.argv[2]) * 2**20,) * 2)
from yoloom import YOLO, errors
try:
    YOLO(sys.argv[1], threads=int(sys.argv[3]))
    print("opened")
except errors.YoloomError as error:
    print(type(error).__name__, error.http_status, "address space (ulimit -v)" in str(error))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_AS bounds the address space on Linux only")
@pytest.mark.parametrize(("limit_mib", "threads"), [(683, 1), (683, 2), (600, 1), (560, 2)])
def test_the_limit_is_named(demo_model: Path, limit_mib: int, threads: int) -> None:
    child = subprocess.run(
        [sys.executable, "-c", LIMITED, str(demo_model), str(limit_mib), str(threads)],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert child.stdout.splitlines() == ["RuntimeFailed 503 True"], child.stderr[-2000:]
