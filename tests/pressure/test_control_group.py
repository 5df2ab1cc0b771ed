"""A worker whose control group has no memory left is ended by the kernel, and its parent says so in a typed error."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from yoloom import YOLO, Workers
from yoloom.errors import RuntimeFailed, WorkerCrashed, WorkersUnavailable

VARIABLE = "YOLOOM_PRESSURE_GROUP"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        VARIABLE not in os.environ,
        reason=f"{VARIABLE} names no folder below /sys/fs/cgroup that is ours to make groups in",
    ),
]

LIMITS_MIB = (512, 128, 64, 32, 16)


@pytest.fixture
def group() -> Iterator[Path]:
    """A control group of the test's own."""
    own = Path(os.environ[VARIABLE])
    folder = own / f"pressure-{os.getpid()}"
    folder.mkdir()
    try:
        if not any((folder / name).exists() for name in ("memory.max", "memory.limit_in_bytes")):
            pytest.skip(f"control groups below {own} have no limit of memory")
        yield folder
    finally:
        folder.rmdir()


def bounded(group: Path, mib: int) -> None:
    name = "memory.max" if (group / "memory.max").exists() else "memory.limit_in_bytes"
    (group / name).write_text(str(mib * 2**20))
    with contextlib.suppress(OSError):  # no swap is counted here
        (group / "memory.swap.max").write_text("0")


@pytest.mark.timeout(300)
@pytest.mark.parametrize("limit_mib", LIMITS_MIB)
def test_right_or_a_typed_error(demo_model: Path, group: Path, limit_mib: int) -> None:
    picture = demo_model.parent / "scene-1.jpg"
    with YOLO(demo_model, threads=1) as model:
        right = [model.predict(picture, imgsz=size, conf=0.05)[0].boxes.data.tobytes() for size in (320, 2048)]
    with YOLO(demo_model, threads=1, workers=Workers(1, restarts=2)) as model:
        (worker,) = model.statistics().workers
        bounded(group, limit_mib)
        (group / "cgroup.procs").write_text(str(worker.pid))
        for size, expected in zip((320, 2048, 320), (*right, right[0]), strict=True):
            try:
                found = model.predict(picture, imgsz=size, conf=0.05, timeout=100)[0].boxes.data.tobytes()
            except (RuntimeFailed, WorkerCrashed, WorkersUnavailable) as error:
                print(limit_mib, size, type(error).__name__, error)
            else:
                print(limit_mib, size, "right")
                assert found == expected
