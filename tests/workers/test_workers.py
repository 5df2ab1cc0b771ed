"""The same model object, behind worker processes: `YOLO(path, workers=...)`, in every kind of program."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import os
import pickle
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import psutil
import pytest
from PIL import Image

from scenes import scene
from yoloom import YOLO, Results, Workers, errors
from yoloom.errors import (
    ImageDecodeError,
    ImageTooLarge,
    InvalidImage,
    InvalidModel,
    InvalidOption,
    RuntimeFailed,
    SharedMemoryFull,
    SourceNotFound,
    UnknownClass,
    UnknownDevice,
    UnsupportedOption,
)
from yoloom.images.header import LazyImage
from yoloom.testing import barrier_run
from yoloom.workers.ipc import shared_memory
from yoloom.workers.ipc.shared_memory import MEMORY, SharedMemory

pytestmark = pytest.mark.slow


def photo(seed: int, size_wh: tuple[int, int] = (320, 240)) -> np.ndarray:
    return np.array(scene(seed, size_wh).image)


def bits(results: Results) -> bytes:
    members = (results.boxes, results.masks, results.probs, results.keypoints, results.obb)
    return b"".join(member.data.tobytes() for member in members if member is not None)


@pytest.fixture(scope="module")
def threads_model(demo_model: Path) -> Iterator[YOLO]:
    with YOLO(demo_model) as model:
        yield model


@pytest.fixture(scope="module")
def model(demo_model: Path) -> Iterator[YOLO]:
    with YOLO(demo_model, threads=4, workers=4) as model:
        yield model


# ---- The same results


def test_results_are_those_of_threads_and_of_sequential_calls(model: YOLO, threads_model: YOLO) -> None:
    """32 callers over 4 workers, with sizes and options of their own."""
    sizes = [(320, 240), (240, 320), (100, 500), (640, 480)]
    images = [photo(seed, sizes[seed % 4]) for seed in range(16)]
    options: list[dict[str, Any]] = [
        {},
        {"conf": 0.05, "imgsz": 320},
        {"classes": [0, 1, 2]},
        {"max_det": 2, "iou": 0.3},
    ]
    expected = [[bits(threads_model(image, **asked)[0]) for asked in options] for image in images]
    assert [[bits(model(image, **asked)[0]) for asked in options] for image in images] == expected

    def caller(number: int) -> list[bytes]:
        return [bits(model(images[(number + step) % 16], **options[step % 4])[0]) for step in range(8)]

    answers = barrier_run(32, caller)
    assert answers == [[expected[(number + step) % 16][step % 4] for step in range(8)] for number in range(32)]
    assert all(worker.served for worker in model.statistics().workers)


def sources(folder: Path) -> dict[str, Any]:
    image = photo(3)
    path = folder / "a.jpg"
    cv2.imwrite(str(path), image)
    rgb = Image.fromarray(image[:, :, ::-1])
    return {
        "array": image,
        "gray": image[:, :, 0],
        "sixteen bit": image.astype(np.uint16) << 8,
        "strided": image[::2, ::-1],
        "path": path,
        "text": str(path),
        "bytes": path.read_bytes(),
        "memoryview": memoryview(path.read_bytes()),
        "pil": rgb,
    }


def test_every_kind_of_source_gives_the_same_bits_and_the_same_picture(
    model: YOLO, threads_model: YOLO, tmp_path: Path
) -> None:
    for kind, source in sources(tmp_path).items():
        (mine,), (theirs,) = model(source), threads_model(source)
        assert bits(mine) == bits(theirs), kind
        assert (mine.orig_shape, mine.path, mine.names) == (theirs.orig_shape, theirs.path, theirs.names)
        assert np.array_equal(mine.orig_img, theirs.orig_img), kind
        assert not mine.orig_img.flags.writeable
        assert np.array_equal(mine.plot(), theirs.plot())
        assert set(mine.speed) == {"preprocess", "inference", "postprocess"}


def test_the_picture_of_a_file_is_the_one_that_was_judged(model: YOLO, tmp_path: Path) -> None:
    """It is decoded when somebody looks, out of the bytes that were sent: the file may be another one by then."""
    path = tmp_path / "a.png"
    cv2.imwrite(str(path), photo(1))
    (results,) = model(path)
    path.unlink()
    assert np.array_equal(results.orig_img, photo(1))
    assert results.orig_img is results.replace().orig_img
    twin = pickle.loads(pickle.dumps(results))
    assert np.array_equal(twin.orig_img, photo(1))


def test_a_picture_that_many_threads_look_at_is_decoded_once() -> None:
    """Seen to fail without the lock of LazyImage."""
    arrived = threading.Semaphore(0)

    def decode() -> np.ndarray:
        arrived.release()
        arrived.acquire(timeout=0.2)
        arrived.acquire(timeout=0.2)  # there is a second one only if somebody else decodes, too
        return photo(1)

    lazy = LazyImage((240, 320), decode)
    pictures = barrier_run(4, lambda _: lazy.image())
    assert all(picture is pictures[0] for picture in pictures)


@pytest.mark.parametrize("name", ["11-pose", "26-segment", "12-obb", "11-classify", "v9-segment"])
def test_every_task_gives_the_same_bits(name: str) -> None:
    path = Path(__file__).parents[1] / "data" / "checkpoints" / f"{name}.pt"
    options: dict[str, Any] = {"conf": 0.001, "imgsz": 64, "retina_masks": name == "v9-segment"}
    images = [photo(seed, (96, 64)) for seed in range(3)]
    with YOLO(path) as one, YOLO(path, workers=1) as other:
        for image in images:
            (mine,), (theirs,) = other(image, **options), one(image, **options)
            assert bits(mine) == bits(theirs)
            assert len(mine) == len(theirs)


def test_large_images_grow_the_slot_and_small_ones_shrink_it(model: YOLO, threads_model: YOLO) -> None:
    large = np.tile(photo(2), (18, 24, 1))[:4320, :7680]
    assert large.shape == (4320, 7680, 3)
    assert bits(model(large)[0]) == bits(threads_model(large)[0])
    for seed in range(3):
        assert bits(model(photo(seed))[0]) == bits(threads_model(photo(seed))[0])


# ---- The same ways to ask


def test_all_ways_to_ask(model: YOLO, threads_model: YOLO) -> None:
    images = [photo(seed) for seed in range(6)]
    expected = [bits(threads_model(image)[0]) for image in images]

    async def awaited() -> list[Results]:
        return list(await asyncio.gather(*map(model.predict_async, images)))

    assert list(map(bits, model.map(images))) == expected
    assert [bits(future.result(60)) for future in [model.submit(image) for image in images]] == expected
    assert list(map(bits, asyncio.run(awaited()))) == expected
    assert list(map(bits, model.predict(images, stream=True))) == expected
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda image: bits(model(image)[0]), images)) == expected
    assert model.guarantee() == threads_model.guarantee()


@pytest.mark.parametrize("name", ["demo", "v8-detect"])
def test_the_guarantee_of_onnx_runtime_follows_the_share_of_each_worker(demo_model: Path, name: str) -> None:
    """Attention is split by a session's threads: two workers on two threads have the bits of a model with one."""
    path = demo_model if name == "demo" else Path(__file__).parents[1] / "data" / "checkpoints" / f"{name}.pt"
    image, options = photo(5), {"conf": 0.01, "imgsz": 128}
    with (
        YOLO(path, backend="onnxruntime", threads=1) as one,
        YOLO(path, backend="onnxruntime", threads=2) as both,
        YOLO(path, backend="onnxruntime", threads=2, workers=2) as model,
    ):
        assert bits(model(image, **options)[0]) == bits(one(image, **options)[0])
        promise = model.guarantee()
        assert promise.bit_identical == (name != "demo")
        assert ("threads=1" in promise.because) == (promise.tolerance > 0) == (name == "demo")
        model.resize(1)
        assert bits(model(image, **options)[0]) == bits(both(image, **options)[0])
        assert model.guarantee() == both.guarantee()


def test_the_caller_may_reuse_its_array(model: YOLO, threads_model: YOLO) -> None:
    frame = photo(1)
    expected = bits(threads_model(frame)[0])
    future = model.submit(frame)
    frame[:] = 0
    assert bits(future.result(60)) == expected
    (results,) = model(frame)
    assert not np.shares_memory(results.orig_img, frame)


def test_statistics_tell_of_each_worker(model: YOLO) -> None:
    found = model.statistics()
    assert len(found.workers) == found.lanes == 4
    assert [worker.threads for worker in found.workers] == [1] * 4
    pids = [worker.pid for worker in found.workers]
    assert set(pids) <= {child.pid for child in psutil.Process().children()}
    assert all(worker.unique_bytes > 2**22 for worker in found.workers)
    assert sum(worker.served for worker in found.workers) >= found.succeeded


def test_handles_on_one_file_share_their_workers(model: YOLO, demo_model: Path) -> None:
    with YOLO(demo_model, threads=4, workers=4) as other:
        assert [worker.pid for worker in other.statistics().workers] == [
            worker.pid for worker in model.statistics().workers
        ]
        twin = pickle.loads(pickle.dumps(other))
        with twin:
            assert {worker.pid for worker in twin.statistics().workers} == {
                worker.pid for worker in model.statistics().workers
            }


def test_handles_with_names_of_their_own_share_workers(model: YOLO, demo_model: Path) -> None:
    """Ids go to the workers, never names. Seen to fail with names: they are those of whoever came first."""
    names = [f"thing{index}" for index in range(len(model.names))]
    (plain,) = model(photo(3), conf=0.05)
    wanted = plain.classes[0]
    with YOLO(demo_model, threads=4, workers=4, names=names) as other:
        (found,) = other(photo(3), conf=0.05, classes=[f"thing{wanted}"])
        assert {worker.pid for worker in other.statistics().workers} == {
            worker.pid for worker in model.statistics().workers
        }
    assert set(found.class_names) == {f"thing{wanted}"}
    assert bits(found) == bits(model(photo(3), conf=0.05, classes=[wanted])[0])


def test_a_second_set_of_workers_opens_beside_the_first(model: YOLO, demo_model: Path) -> None:
    with YOLO(demo_model, threads=2, workers=1) as other:
        assert bits(other(photo(1))[0]) == bits(model(photo(1))[0])
        other.resize(2)
        assert [worker.threads for worker in other.statistics().workers] == [1, 1]
        assert len(model.statistics().workers) == 4


# ---- Bad input


@pytest.mark.parametrize("workers", [0, -1, 1.5, "two", True, [], float("nan"), 5, 10**9, None])
def test_numbers_of_workers_that_are_none_are_refused(demo_model: Path, model: YOLO, workers: Any) -> None:
    if workers is not None:
        with pytest.raises(InvalidOption, match="workers"):
            YOLO(demo_model, threads=4, workers=workers)
    with pytest.raises(InvalidOption, match="workers"):
        model.resize(workers)
    assert len(model.statistics().workers) == 4


@pytest.mark.parametrize(
    "options",
    [{"restarts": -1}, {"restarts": 1.5}, {"silence_s": 0}, {"within_s": float("inf")}, {"run_limit_s": "long"}],
)
def test_impatience_that_is_none_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidOption, match=next(iter(options))):
        Workers(2, **options)


def test_a_model_without_workers_has_none_to_resize(threads_model: YOLO) -> None:
    with pytest.raises(UnsupportedOption, match="workers=2"):
        threads_model.resize(2)


def test_options_that_do_not_exist_end_before_a_process_is_started(demo_model: Path) -> None:
    with pytest.raises(InvalidOption, match="backend"):
        YOLO(demo_model, workers=1, backend="abacus")
    with pytest.raises(UnknownDevice):
        YOLO(demo_model, workers=1, device="tpu")
    with pytest.raises(InvalidOption, match="precision"):
        YOLO(demo_model, workers=1, precision=threading.Lock())  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="start_method"):
        YOLO(demo_model, workers=1, start_method="magic")  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("source", "error"),
    [
        (b"no image", ImageDecodeError),
        (b"", ImageDecodeError),
        ("/no/such/image.jpg", SourceNotFound),
        (np.zeros((4, 4, 7), np.uint8), InvalidImage),
        (np.zeros((0, 4, 3), np.uint8), InvalidImage),
        (object(), InvalidImage),
    ],
)
def test_bad_images_fail_as_with_threads(
    model: YOLO, threads_model: YOLO, source: Any, error: type[errors.YoloomError]
) -> None:
    with pytest.raises(error) as mine:
        model(source)
    with pytest.raises(error) as theirs:
        threads_model(source)
    assert (type(mine.value), str(mine.value)) == (type(theirs.value), str(theirs.value))
    assert model.statistics().retried == 0


def test_a_decompression_bomb_is_refused_by_the_worker(model: YOLO, demo_model: Path) -> None:
    encoded = cv2.imencode(".png", np.zeros((1000, 1000, 3), np.uint8))[1].tobytes()
    with YOLO(demo_model, threads=4, workers=4, max_pixels=10_000) as limited, pytest.raises(ImageTooLarge):
        limited(encoded)
    assert len(model(encoded)) == 1


def test_a_swap_goes_from_workers_to_workers(demo_model: Path, tmp_path: Path) -> None:
    """As many as there are now; the old ones end when their last call has."""
    other = tmp_path / "other.onnx"
    other.write_bytes(demo_model.read_bytes())
    with YOLO(demo_model, threads=2, workers=1) as model:
        model.resize(2)
        before = [worker.pid or 0 for worker in model.statistics().workers]
        expected = bits(model(photo(1))[0])
        futures = [model.submit(photo(1)) for _ in range(8)]
        model.swap(other)
        assert len(model.statistics().workers) == 2
        assert {bits(future.result(60)) for future in [*futures, model.submit(photo(1))]} == {expected}
        del futures
        gc.collect()
        assert all_gone(before)


def test_a_precision_that_is_not_here_is_refused_by_the_worker(demo_model: Path) -> None:
    with pytest.raises(InvalidOption, match="precision"):
        YOLO(demo_model, threads=1, workers=1, precision="fp7")  # type: ignore[arg-type]
    with pytest.raises(UnsupportedOption, match="precision"):
        YOLO(demo_model, threads=1, workers=1, backend="onnxruntime", precision="bf16")


def test_an_unknown_class_is_refused(model: YOLO) -> None:
    with pytest.raises(UnknownClass):
        model(photo(1), classes=["persn"])


def test_a_damaged_model_is_refused_with_its_cause(tmp_path: Path, demo_model: Path) -> None:
    """What reading the header did not show, compiling does: in the worker."""
    data = bytearray(demo_model.read_bytes())
    at = data.index(b"Conv")
    data[at : at + 4] = b"Cnov"
    path = tmp_path / "damaged.onnx"
    path.write_bytes(data)
    started = time.monotonic()
    with pytest.raises(InvalidModel, match=r"damaged\.onnx") as caught:
        YOLO(path, workers=1)
    assert caught.value.__cause__ is not None
    assert time.monotonic() - started < 60


def test_a_file_that_changed_gets_no_new_worker(tmp_path: Path, demo_model: Path) -> None:
    """A worker of another file would give other results, and nobody would know."""
    path = tmp_path / "mine.onnx"
    path.write_bytes(demo_model.read_bytes())
    with YOLO(path, threads=2, workers=Workers(1, restarts=1)) as model:
        path.write_bytes(demo_model.read_bytes())
        with pytest.raises(InvalidModel, match="was changed while it is open"):
            model.resize(2)
        assert len(model(photo(1))) == 1


LIMITED = """
    import resource, sys
    import numpy as np
    from yoloom import YOLO, errors

    with YOLO(sys.argv[1], threads=1, workers=1) as model:
        resource.setrlimit(resource.RLIMIT_FSIZE, (8 * 2**20, 8 * 2**20))
        try:
            model(np.zeros((4320, 7680, 3), np.uint8))
        except errors.SharedMemoryFull as error:
            print(error)
        print(len(model(np.zeros((1080, 1920, 3), np.uint8))), model.statistics().workers[0].restarts)
"""


def test_an_image_that_shared_memory_has_no_room_for_says_how_much_it_needs(demo_model: Path) -> None:
    done = python(LIMITED, demo_model)
    assert done.returncode == 0, done.stderr
    told, after = done.stdout.splitlines()
    assert "needs 95 MiB of shared memory" in told
    assert "raise the limit" in told
    assert after == "1 0", "the worker goes on"


def test_shared_memory_that_can_not_grow_stays_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = SharedMemory.create(2**16)
    memory.view()[:] = 7

    def full(*_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(SharedMemoryFull, match="1 MiB of shared memory: No space left on device"):
        memory.resize(2**20)
    assert memory.size == 2**16
    assert (memory.view() == 7).all()
    memory.close()


def test_shared_memory_that_shrank_and_can_not_be_mapped_is_not_taken_for_longer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Else the next image would be written beyond its end, which ends the process."""
    memory = SharedMemory.create(2**20)

    def full(*_: object, **__: object) -> None:
        raise MemoryError("no address space")

    monkeypatch.setattr(shared_memory, "_mapped", full)
    with pytest.raises(SharedMemoryFull, match="no address space"):
        memory.resize(2**16)
    monkeypatch.undo()
    assert memory.size == len(memory.view()) == os.fstat(memory.descriptor).st_size == 2**16
    memory.close()


def test_a_program_that_may_map_no_more_keeps_its_slot_and_its_worker(demo_model: Path) -> None:
    """Seen to fail for all later images when the slot stays as large as the one that could not be mapped."""
    done = python(
        """
        import resource, sys
        import numpy as np
        from yoloom import YOLO, errors
        from pathlib import Path

        image = np.zeros((4320, 7680, 3), np.uint8)
        with YOLO(sys.argv[1], threads=1, workers=1) as model:
            model(image[:64, :64].copy())
            used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
            resource.setrlimit(resource.RLIMIT_AS, (used + 32 * 2**20, resource.RLIM_INFINITY))
            try:
                model(image)
            except errors.SharedMemoryFull as error:
                print(error)
            print(len(model(image[:64, :64].copy())), model.statistics().workers[0].restarts)
            resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            print(len(model(image)), model.statistics().workers[0].restarts)
        """,
        demo_model,
    )
    assert done.returncode == 0, done.stderr
    told, small, large = done.stdout.splitlines()
    assert "needs 95 MiB of shared memory" in told
    assert "can not be mapped" in told
    assert (small, large) == ("1 0", "1 0")


def test_slots_grow_with_the_images_and_shrink_again(model: YOLO) -> None:
    def slots() -> int:
        """Bytes of all that workers share with this process."""
        shared = [one for one in psutil.Process().memory_maps() if one.path == "/memfd:yoloom"]
        return sum(one.size for one in shared)

    large = np.zeros((2160, 3840, 3), np.uint8)
    for _ in range(8):
        barrier_run(4, lambda _: model(large))
    grown = slots()
    assert grown >= large.nbytes
    for _ in range(2 * MEMORY):
        barrier_run(4, lambda _: model(large[:64, :64], imgsz=64))
    assert slots() < grown - large.nbytes // 2


class Handler(logging.Handler):
    """Asks the model, or raises."""

    def __init__(self, model: YOLO | None) -> None:
        super().__init__()
        self._model = model
        self.told: list[object] = []

    def emit(self, record: logging.LogRecord) -> None:
        if self._model is None:
            self.told.append("raised")
            raise ValueError("the handler failed")
        self.told.append(len(self._model.statistics().workers))
        with pytest.raises(RuntimeFailed, match="another thread"):
            self._model.resize(1)
        self.told.append("refused")


@pytest.mark.parametrize("raises", [False, True])
def test_a_log_handler_that_asks_or_raises_ends_no_supervision(demo_model: Path, raises: bool) -> None:
    """Seen to hang, or to leave nobody who replaces workers."""
    with YOLO(demo_model, threads=1, workers=1) as model:
        handler = Handler(None if raises else model)
        log = logging.getLogger("yoloom.workers")
        log.addHandler(handler)
        try:
            pid = model.statistics().workers[0].pid
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
            assert len(model(np.zeros((64, 64, 3), np.uint8), timeout=60)) == 1
        finally:
            log.removeHandler(handler)
        assert handler.told == (["raised"] if raises else [1, "refused"])
        assert model.statistics().workers[0].restarts == 1


# ---- In every kind of program


def python(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run `code` in a new interpreter, with warnings as errors and a bound on its time."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-X", "faulthandler", "-c", textwrap.dedent(code), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


SCRIPT = """
import sys
import numpy as np
from yoloom import YOLO
from scenes import scene

print("the main module runs")
model = YOLO(sys.argv[1], threads=2, workers=2)
print(len(model(np.array(scene(1, (160, 120)).image))), len(model.statistics().workers))
model.close()
"""


def test_a_script_without_a_guard_simply_works(demo_model: Path, tmp_path: Path) -> None:
    """Nothing of the main module is imported in a worker: there is no fork bomb to guard against."""
    script = tmp_path / "no_guard.py"
    script.write_text(SCRIPT)
    for command in ([script], ["-m", "no_guard"]):
        done = subprocess.run(
            [sys.executable, *command, demo_model],
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
            cwd=tmp_path,
        )
        assert (done.stdout, done.returncode) == ("the main module runs\n1 2\n", 0), done.stderr


def test_code_without_a_file_works_as_in_a_notebook(demo_model: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-", demo_model], input=SCRIPT, capture_output=True, text=True, timeout=100, check=False
    )
    assert (done.stdout, done.returncode) == ("the main module runs\n1 2\n", 0), done.stderr


def test_files_in_the_working_folder_do_not_stand_in_for_modules(demo_model: Path, tmp_path: Path) -> None:
    for name in ("json", "socket", "numpy", "ctypes", "signal", "channel"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('the wrong module')")
    script = tmp_path / "folder" / "script.py"
    script.parent.mkdir()
    script.write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, script, demo_model], capture_output=True, text=True, timeout=100, check=False, cwd=tmp_path
    )
    assert (done.stdout, done.returncode) == ("the main module runs\n1 2\n", 0), done.stderr


SERVER = """
    import os, sys
    import numpy as np
    from concurrent.futures import ThreadPoolExecutor
    from yoloom import YOLO, errors
    from scenes import scene

    image = np.array(scene(1, (160, 120)).image)
    children = []
    for number in range(2):  # a pre-forking server: each of its workers opens the model
        child = os.fork()
        if child == 0:
            with YOLO(sys.argv[1], threads=2, workers=2) as model, ThreadPoolExecutor(4) as pool:
                os._exit(0 if set(map(len, pool.map(model, [image] * 8))) == {1} else 1)
        children.append(child)
    print([os.waitpid(child, 0)[1] for child in children])
"""


def test_each_worker_of_a_server_may_have_workers(demo_model: Path) -> None:
    done = python(SERVER, demo_model)
    assert done.stdout == "[0, 0]\n", done.stderr


FORKED = """
    import os, sys, warnings
    import numpy as np
    from yoloom import YOLO, errors

    warnings.simplefilter("ignore")  # Python itself warns of a fork with threads
    image = np.zeros((64, 64, 3), np.uint8)
    model = YOLO(sys.argv[1], threads=2, workers=2)
    child = os.fork()
    if child == 0:
        told = []
        for call in (lambda: model(image), model.statistics, lambda: model.resize(1)):
            try:
                call()
            except errors.ForkedEngine:
                told.append(True)
        model.close()
        os._exit(0 if told == [True] * 3 else 1)
    print(os.waitpid(child, 0)[1], len(model(image)), flush=True)
    if os.fork() == 0:  # it holds copies of all descriptors, and outlives its parent
        import time
        time.sleep(60)
        os._exit(0)
    print([worker.pid for worker in model.statistics().workers], flush=True)
    os.kill(os.getpid(), 9)
"""


def test_a_forked_copy_of_the_parent_neither_uses_the_workers_nor_keeps_them(demo_model: Path, tmp_path: Path) -> None:
    output = tmp_path / "output"
    with output.open("w") as file:  # no pipe, which the copy would hold open
        command = [sys.executable, "-c", textwrap.dedent(FORKED), str(demo_model)]
        subprocess.run(command, stdout=file, stderr=file, timeout=100, check=False)
    answer, pids = output.read_text().splitlines()
    assert answer == "0 1"
    assert all_gone(json.loads(pids))


OPEN = """
    import os, sys, threading, time, signal
    import numpy as np
    from yoloom import YOLO, Workers
    from scenes import scene

    image = np.array(scene(1, (640, 480)).image)
    model = YOLO(sys.argv[1], threads=2, workers=Workers(2, restarts=100, silence_s=2.0))
    def tell():
        print([worker.pid for worker in model.statistics().workers], flush=True)
    def work():
        while True:
            model(image)
    def busy():
        for _ in range(4):
            threading.Thread(target=work, daemon=True).start()
        time.sleep(0.2)
    def in_thread(work):
        threading.Thread(target=work, daemon=True).start()
    def close():
        in_thread(lambda: model.close(drain=True))
    def resize():
        in_thread(lambda: [model.resize(count) for count in [1, 2] * 100])
    def swap():
        in_thread(lambda: [model.swap(sys.argv[number]) for number in [2, 1] * 100])
"""


def parent(code: str, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(OPEN) + textwrap.dedent(code), *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def told(process: subprocess.Popen[str]) -> list[int]:
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, process.communicate()[1]
    return list(json.loads(line))


def all_gone(pids: list[int], seconds: float = 20.0) -> bool:
    """Whether they end in this time. One that nobody has reaped yet has ended."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if not any(map(is_alive, pids)):
            return True
        time.sleep(0.02)
    return False


def is_alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() not in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)
    except psutil.NoSuchProcess:
        return False


def temporary_files() -> set[str]:
    return {
        name for folder in ("/dev/shm", "/tmp") for name in os.listdir(folder) if "yoloom" in name or "psm_" in name
    }


STATES = {
    "idle": "tell()",
    "stopped": "tell()",
    "starting": "tell()",
    "busy": "busy(); tell()",
    "copying": "image = np.tile(image, (8, 10, 1)); busy(); tell()",
    "draining": "futures = [model.submit(image) for _ in range(500)]; tell(); close()",
    "resizing": "busy(); tell(); resize()",
    "swapping": "busy(); tell(); swap()",
}


@pytest.mark.parametrize("how", ["SIGKILL", "SIGSEGV", "exit"])
@pytest.mark.parametrize("state", STATES)
def test_a_parent_that_is_killed_leaves_no_worker_and_no_memory(
    demo_model: Path, tmp_path: Path, state: str, how: str
) -> None:
    """Stopped ones too, which can not notice anything themselves. Seen to leave them without PR_SET_PDEATHSIG."""
    files = temporary_files()
    other = shutil.copy(demo_model, tmp_path / "other.onnx")
    process = parent(f"{STATES[state]}\nsys.stdin.readline(); os._exit(3)", demo_model, other)
    pids = told(process)
    if state == "stopped":
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
    if state == "starting":
        os.kill(pids[0], signal.SIGKILL)
        until_children(process.pid, lambda children: len(children) == 2 and pids[0] not in children)
    if state in ("resizing", "swapping"):
        until_children(process.pid, lambda children: set(children) != set(pids))
    pids = [*pids, *until_children(process.pid, len)]
    if how == "exit":
        assert process.stdin is not None
        process.stdin.write("now\n")
        process.stdin.flush()
    else:
        process.send_signal(getattr(signal, how))
    process.communicate(timeout=60)
    assert process.returncode == (3 if how == "exit" else -getattr(signal, how))
    assert all_gone(pids)
    assert temporary_files() <= files


def test_a_parent_that_is_stopped_for_a_while_goes_on_with_the_same_workers(demo_model: Path) -> None:
    """Longer than a worker may be silent: they were not, it only did not look."""
    process = parent("busy(); tell(); sys.stdin.readline(); tell()", demo_model)
    pids = told(process)
    process.send_signal(signal.SIGSTOP)
    time.sleep(2.5)
    process.send_signal(signal.SIGCONT)
    assert process.stdin is not None
    process.stdin.write("now\n")
    process.stdin.flush()
    assert told(process) == pids
    process.kill()
    process.communicate()
    assert all_gone(pids)


def until_children(pid: int, condition: Callable[[list[int]], bool]) -> list[int]:
    for _ in range(2000):
        children = [child.pid for child in psutil.Process(pid).children() if is_alive(child.pid)]
        if condition(children):
            return children
        time.sleep(0.005)
    raise TimeoutError("no worker was started")


def test_a_thread_that_opened_the_model_may_end(demo_model: Path) -> None:
    """The kernel ends a worker with the thread that started it. Seen to end with one that ends a moment later."""
    models: list[YOLO] = []
    opener = threading.Thread(target=lambda: models.append(YOLO(demo_model, threads=1, workers=1)))
    opener.start()
    opener.join()
    with models[0] as model:
        before = model.statistics().workers[0]
        time.sleep(0.2)
        assert len(model(photo(1))) == 1
        after = model.statistics().workers[0]
        assert (after.pid, after.restarts) == (before.pid, 0)


def test_ctrl_c_in_the_parents_terminal_stops_all(demo_model: Path) -> None:
    process = parent("tell()\nwhile True: model(image)", demo_model)
    pids = told(process)
    os.killpg(process.pid, signal.SIGINT)  # what a terminal does
    _, stderr = process.communicate(timeout=60)
    assert stderr.rstrip().endswith("KeyboardInterrupt")
    assert stderr.count("Traceback") == 1, "a worker prints nothing"
    assert all_gone(pids)


def test_a_program_that_ends_without_close_leaves_nothing(demo_model: Path) -> None:
    process = parent("futures = [model.submit(image) for _ in range(50)]; tell()", demo_model)
    pids = told(process)
    _, stderr = process.communicate(timeout=60)
    assert (stderr, process.returncode) == ("", 0)
    assert all_gone(pids)


def test_a_model_that_is_forgotten_ends_its_workers(demo_model: Path) -> None:
    model = YOLO(demo_model, threads=1, workers=1)
    pids = [worker.pid or 0 for worker in model.statistics().workers]
    with pytest.warns(ResourceWarning, match="was not closed"):
        del model
    assert all_gone(pids)


# ---- The command line


def test_the_command_line_predicts_with_workers(demo_model: Path, tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), photo(1))
    command = [sys.executable, "-m", "yoloom", "predict", demo_model, tmp_path / "a.png", "--format", "jsonl"]
    runs = [
        subprocess.run([*command, *more], capture_output=True, text=True, timeout=100, check=False)
        for more in ([], ["--threads", "2", "--workers", "2"], ["--threads", "2", "--workers", "3"])
    ]
    assert [run.returncode for run in runs] == [0, 0, 2], runs[2].stderr
    lines = [json.loads(run.stdout) for run in runs[:2]]
    for line in lines:
        line.pop("speed", None)
    assert lines[0] == lines[1]
    assert "workers must be at most 2" in runs[2].stderr
