"""What happens to a model when its process forks, spawns, is interrupted, or ends."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import textwrap
import time
import weakref
from pathlib import Path

import numpy as np
import pytest

from yoloom import YOLO
from yoloom.assets import DEMO_MODEL

pytestmark = pytest.mark.slow


def python(code: str, *arguments: object, **more: object) -> subprocess.CompletedProcess[str]:
    """Run `code` in a new interpreter, with warnings as errors and a bound on its time."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-X", "faulthandler", "-c", textwrap.dedent(code), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        **more,  # type: ignore[call-overload]
    )


OPEN = """
    import sys, os, threading
    import numpy as np
    from yoloom import YOLO, errors
    from scenes import scene

    image = np.array(scene(1, (160, 120)).image)
"""


def test_the_interpreter_ends_with_requests_under_way_and_nothing_closed(demo_model: Path) -> None:
    done = python(
        OPEN
        + """
    model = YOLO(sys.argv[1])
    futures = [model.submit(image) for _ in range(50)]
    threads = [threading.Thread(target=model.predict, args=(image,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    stream = model.predict([image] * 50, stream=True)
    next(stream)
    print("end of main")
    """,
        demo_model,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "end of main\n", "")


def test_ctrl_c_ends_a_waiting_main_thread(demo_model: Path) -> None:
    process = subprocess.Popen(
        [
            sys.executable,
            "-c",
            textwrap.dedent(
                OPEN
                + """
    model = YOLO(sys.argv[1])
    print("ready", flush=True)
    while True:
        model(image)
    """
            ),
            str(demo_model),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGINT or process.returncode == 130
    assert stderr.rstrip().endswith("KeyboardInterrupt")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_hears_that_its_handle_is_the_parents(demo_model: Path) -> None:
    done = python(
        OPEN
        + """
    import warnings
    warnings.simplefilter("ignore")  # Python itself warns of a fork with threads
    model = YOLO(sys.argv[1])
    model(image)
    child = os.fork()
    if child == 0:
        answers = []
        for call in (lambda: model(image), lambda: model.submit(image), model.statistics, lambda: YOLO(sys.argv[1])):
            try:
                call()
                answers.append("worked")
            except errors.ForkedEngine as error:
                answers.append("spawn" in str(error))
        model.close()
        print(answers, flush=True)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    print(len(model(image)), flush=True)
    """,
        demo_model,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "[True, True, True, True]\n1\n"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_model_opened_first_in_the_child_of_a_fork_works(demo_model: Path) -> None:
    done = python(
        OPEN
        + """
    child = os.fork()
    if child == 0:
        with YOLO(sys.argv[1]) as model:
            print(len(model(image)), flush=True)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    """,
        demo_model,
    )
    assert (done.returncode, done.stdout) == (0, "1\n"), done.stderr


FORKED_WHILE_OTHERS_WORK = (
    OPEN
    + """
    import asyncio, signal, warnings
    from PIL import Image
    from yoloom.images.header import LazyImage
    from yoloom.images import header as lazy_image
    from yoloom.engine.scheduling import request_terms
    from yoloom.images import decode

    warnings.simplefilter("ignore")  # Python itself warns of a fork with threads

    def hold(*locks):
        '''Have another thread, which is not in the child, hold them.'''
        held, go_on = threading.Event(), threading.Event()

        def work():
            for lock in locks:
                lock.acquire()
            held.set()
            go_on.wait(60)

        threading.Thread(target=work, daemon=True).start()
        held.wait()

    def fork(work):
        '''Print what `work` returns in a child, which ends by SIGALRM when that hangs.'''
        child = os.fork()
        if child == 0:
            signal.alarm(20)
            print(work(), flush=True)
            os._exit(0)
        ended = os.waitpid(child, 0)[1] == 0
        print("" if ended else "the child hangs", end="", flush=True)
        os._exit(not ended)  # the end of this interpreter would wait for the thread that holds its locks

    def answer(call):
        try:
            return call() or "done"
        except errors.ForkedEngine:
            return "ForkedEngine"
    """
)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_child_that_was_forked_while_others_held_locks_opens_a_model(demo_model: Path) -> None:
    """Seen to hang with locks of modules that are not made anew in the child."""
    done = python(
        FORKED_WHILE_OTHERS_WORK
        + """
    hold(request_terms._tasks_lock, *decode._pil_locks._locks, *lazy_image._locks._locks)
    lazy = LazyImage(image.shape[:2], image.copy)

    def work():
        picture = Image.fromarray(np.ascontiguousarray(image[:, :, ::-1]))
        with YOLO(sys.argv[1]) as model:
            bits = {len(model(picture)[0]), len(asyncio.run(model.predict_async(image)))}
        return len(bits), lazy.image().shape

    fork(work)
    """,
        demo_model,
    )
    assert (done.returncode, done.stdout) == (0, "(1, (120, 160, 3))\n"), done.stderr


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_handle_of_the_parent_answers_though_others_held_its_locks_at_the_fork(demo_model: Path) -> None:
    """Seen to hang in `predict_async`, and in `close`."""
    done = python(
        FORKED_WHILE_OTHERS_WORK
        + """
    model = YOLO(sys.argv[1])
    model(image)
    lanes, scheduler = model._opened.engine.lanes, model._opened.engine.scheduler
    hold(request_terms._tasks_lock, model._switch, scheduler._lock, lanes._lanes._lock, lanes._lock)

    def work():
        asked = [
            lambda: model(image),
            lambda: model.submit(image),
            lambda: asyncio.run(model.predict_async(image)),
            lambda: next(model.map([image])),
            lambda: model.swap(sys.argv[1]),
            model.statistics,
            model.close,
        ]
        return [answer(call) for call in asked]

    fork(work)
    """,
        demo_model,
    )
    assert (done.returncode, done.stdout) == (0, f"{['ForkedEngine'] * 6 + ['done']}\n"), done.stderr


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize(("backend", "expected"), [("openvino", "ForkedEngine"), ("onnxruntime", "done")])
def test_a_child_that_was_forked_while_a_runtime_was_loaded_does_not_wait_for_it(
    demo_model: Path, backend: str, expected: str
) -> None:
    """Seen to hang with the parent's lock, which guards the making of OpenVINO's Core."""
    done = python(
        FORKED_WHILE_OTHERS_WORK
        + """
    from yoloom.runtime import openvino

    hold(openvino._core_lock)
    fork(lambda: answer(lambda: YOLO(sys.argv[1], backend=sys.argv[2]).close()))
    """,
        demo_model,
        backend,
    )
    assert (done.returncode, done.stdout) == (0, f"{expected}\n"), done.stderr


def test_a_handle_reaches_spawned_processes(demo_model: Path, tmp_path: Path) -> None:
    script = tmp_path / "spawning.py"
    script.write_text(
        textwrap.dedent(
            """
            import multiprocessing, sys
            import numpy as np
            from yoloom import YOLO
            from scenes import scene

            image = np.array(scene(1, (160, 120)).image)

            def predict(model):
                with model:
                    return model(image)[0].boxes.data.tobytes()

            if __name__ == "__main__":
                with YOLO(sys.argv[1]) as model, multiprocessing.get_context("spawn").Pool(2) as pool:
                    assert set(pool.map(predict, [model] * 4)) == {model(image)[0].boxes.data.tobytes()}
                    pool.close()
                    pool.join()
                print("same bits")
            """
        )
    )
    done = subprocess.run(
        [sys.executable, script, demo_model], capture_output=True, text=True, timeout=100, check=False
    )
    assert done.stdout == "same bits\n", done.stderr


def test_no_thread_is_left_after_the_last_close(demo_model: Path) -> None:
    done = python(
        OPEN
        + """
    before = set(threading.enumerate())
    models = [YOLO(sys.argv[1]) for _ in range(3)]
    list(models[0].map([image] * 20))
    for model in models:
        model.close()
    print(set(threading.enumerate()) - before)
    """,
        demo_model,
    )
    assert done.stdout == "set()\n", done.stderr


def test_memory_does_not_grow_with_the_number_of_handles_and_threads(demo_model: Path) -> None:
    """32 handles from 32 threads: one engine, and less than a copy of the weights more memory."""
    done = python(
        OPEN
        + """
    import psutil
    from yoloom.engine.engine_registry import registry
    from yoloom.testing import barrier_run

    def opened(_):
        model = YOLO(sys.argv[1])
        model(image)
        return model

    first = barrier_run(8, opened)   # both forms are compiled, and each lane has run
    list(first[0].map([image] * 50))
    before = psutil.Process().memory_info().rss
    more = barrier_run(32, opened)
    grown = psutil.Process().memory_info().rss - before
    print(len(registry()._engines), grown / 2**20)
    """,
        demo_model,
    )
    engines, grown_mib = done.stdout.split()
    assert engines == "1", done.stderr
    assert float(grown_mib) < 32


def test_time_passes_while_a_prediction_runs(demo_model: Path) -> None:
    """The runtime releases the GIL: another thread goes on counting while one predicts."""
    from scenes import scene
    from yoloom import YOLO

    image = scene(1, (640, 480)).image
    with YOLO(demo_model) as model:
        model(image)
        import threading

        counted, stop = [0], threading.Event()

        def count() -> None:
            while not stop.is_set():
                counted[0] += 1
                time.sleep(0)

        counter = threading.Thread(target=count)
        counter.start()
        for _ in range(5):
            model(image)
        stop.set()
        counter.join()
    assert counted[0] > 50


def test_an_exit_handler_of_the_program_may_still_predict(demo_model: Path) -> None:
    """One that was registered after `import yoloom`. Seen to get EngineClosed when ours is registered later."""
    done = python(
        """
        import atexit, sys, yoloom
        import numpy as np

        atexit.register(lambda: (print(len(model.predict(np.zeros((64, 64, 3), np.uint8)))), model.close()))
        model = yoloom.YOLO(sys.argv[1], threads=1)
        """,
        demo_model,
    )
    assert (done.returncode, done.stdout.strip()) == (0, "1"), done.stderr


def test_the_package_is_imported_at_once() -> None:
    """A fork in the middle of a first use would leave the child waiting for an import that nobody ends."""
    done = python("import sys, yoloom; print('yoloom.yolo' in sys.modules, 'YOLO' in vars(yoloom))")
    assert done.stdout.split() == ["True", "True"]


def test_a_closed_model_is_gone_at_once() -> None:
    """Seen to fail: the table of engines that the exit waits for kept the last one, with its weights."""
    gc.collect()
    gc.disable()  # what only the collector finds stays for a while, and weights are large
    try:
        model = YOLO(DEMO_MODEL)
        model(np.zeros((64, 64, 3), np.uint8), imgsz=64)
        engine = model._opened.engine
        parts = [weakref.ref(part) for part in (engine, engine.lanes, model.model.graph)]
        model.close()
        del model, engine
        assert [part() for part in parts] == [None] * 3
    finally:
        gc.enable()
