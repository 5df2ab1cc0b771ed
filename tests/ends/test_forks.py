"""A child of `os.fork` ends like any other process, whatever its parent had open: at once, with its own exit handlers.

It did not. With ONNX Runtime the thread of its telemetry, and those of a session's pool, were waited for at the end of
a child that has neither (it hung), or the session was destroyed in the middle of the parent's run (it crashed, -11):
all cases here were seen to fail in one of these ways. With OpenVINO the case of a model that was closed before hung,
over the streams that its Core keeps.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import random
import signal
import socket
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from endings import SETUPS

TIMES = int(os.environ.get("YOLOOM_ENDS") or 0)
HANG_S = 60.0

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120 + 10 * TIMES)]

PARENT = """
import atexit, gc, json, os, random, sys, threading, time
import numpy as np
from yoloom import YOLO
from yoloom.errors import ForkedEngine, YoloomError

arguments, times, seed = json.loads(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
chance = random.Random(seed)
image = np.zeros((320, 320, 3), np.uint8)
children = []

def forever(call):
    def loop():
        while True:
            try:
                call()
            except YoloomError:
                return
    threading.Thread(target=loop, daemon=True).start()

def fork(child):
    written, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        # A handler that is registered here runs first, one of the parent's would run as well.
        atexit.register(os.write, writer, b"handlers ran")
        child()
        sys.exit(3)
    os.close(writer)
    children.append((pid, written))

def join(patience_s):
    until = time.monotonic() + patience_s
    for pid, written in children:
        while not (ended := os.waitpid(pid, os.WNOHANG))[0]:
            if time.monotonic() > until:
                os.kill(pid, 9); os.waitpid(pid, 0)
                print("a child hangs"); sys.exit(1)
            time.sleep(0.01)
        code, words = os.waitstatus_to_exitcode(ended[1]), os.read(written, 100)
        if code != 3 or b"handlers ran" not in words:
            print("a child ended with", code, words); sys.exit(1)

"""

CASES = {
    "a model that was never used": """
        model = YOLO(sys.argv[1], **arguments)
        for _ in range(times): fork(lambda: None)
    """,
    "a model that is in use": """
        model = YOLO(sys.argv[1], **arguments)
        for _ in range(3): forever(lambda: model.predict(image))
        for _ in range(times):
            time.sleep(chance.random() * 0.2); fork(lambda: None)
    """,
    "a model that the child asks, closes and drops": """
        model = YOLO(sys.argv[1], **arguments)
        def child():
            global model
            try: model.predict(image); os._exit(7)
            except ForkedEngine: pass
            model.close(); del model; gc.collect()
        forever(lambda: model.predict(image))
        for _ in range(times):
            time.sleep(chance.random() * 0.2); fork(child)
    """,
    "a model that was closed before": """
        with YOLO(sys.argv[1], **arguments) as model: model.predict(image)
        for _ in range(times): fork(lambda: None)
    """,
    "models that are opened and closed meanwhile": """
        def reopen():
            with YOLO(sys.argv[1], **arguments) as model: model.predict(image)
        forever(reopen)
        for _ in range(times):
            time.sleep(0.3 + chance.random() * 0.5); fork(lambda: None)
    """,
    "a child that forks again": """
        model = YOLO(sys.argv[1], **arguments)
        def child():
            children.clear(); fork(lambda: None); join(60)
        forever(lambda: model.predict(image))
        for _ in range(times): fork(child)
    """,
}


def run(program: str, model: Path, setup: str, times: int, seed: int) -> subprocess.CompletedProcess[str]:
    code = f"{PARENT}{textwrap.dedent(program)}\njoin({HANG_S}); print('all ended')"
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, str(model), json.dumps(SETUPS[setup]), str(times), str(seed)],
        capture_output=True,
        text=True,
        check=False,
    )


ALL = [(case, setup) for case in CASES for setup in ("openvino", "onnxruntime", "workers")]
SHORT = [pair for pair in ALL if pair[1] != "workers" or "asks" in pair[0]]


@pytest.mark.parametrize(("case", "setup"), ALL if TIMES else SHORT)
def test_a_forked_child_ends_at_once(case: str, setup: str, demo_model: Path) -> None:
    seed = random.randrange(2**32)
    done = subprocess.run(
        [
            *(
                sys.executable,
                "-W",
                "ignore",
                "-c",
                f"{PARENT}{textwrap.dedent(CASES[case])}\njoin({HANG_S}); print('all ended')",
            ),
            *(str(demo_model), json.dumps(SETUPS[setup]), str(TIMES or 2), str(seed)),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "all ended\n"), f"seed {seed}: {done.stderr}"


def test_a_forked_child_opens_a_model_of_its_own_in_onnxruntime(demo_model: Path) -> None:
    program = """
    model = YOLO(sys.argv[1], **arguments)
    expected = model.predict(image)[0].boxes.data.tobytes()
    def child():
        with YOLO(sys.argv[1], **arguments) as own:
            assert own.predict(image)[0].boxes.data.tobytes() == expected
    fork(child)
    """
    done = run(program, demo_model, "onnxruntime", 1, 0)
    assert (done.returncode, done.stdout) == (0, "all ended\n"), done.stderr


@pytest.mark.parametrize(
    ("worker_class", "setup"), [("gthread", "openvino"), ("sync", "onnxruntime"), ("gthread", "workers")]
)
def test_gunicorn_with_preload_stops_within_its_grace(
    worker_class: str, setup: str, demo_model: Path, tmp_path: Path
) -> None:
    """With ONNX Runtime it took the whole grace, after which it kills: a grace longer than the test shows that."""
    log = tmp_path / "log"
    with socket.create_server(("127.0.0.1", 0)) as listener, log.open("wb") as output:
        listener.settimeout(None)
        server = subprocess.Popen(
            [
                *(sys.executable, "-m", "gunicorn", "preloaded_app:wsgi", "--preload", "--workers=2"),
                *(f"--worker-class={worker_class}", f"--bind=fd://{listener.fileno()}", "--graceful-timeout=600"),
            ],
            cwd=Path(__file__).parents[1] / "support",
            env=os.environ | {"YOLOOM_TEST_MODEL": str(demo_model), "YOLOOM_TEST_ARGUMENTS": json.dumps(SETUPS[setup])},
            pass_fds=[listener.fileno()],
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        try:
            connection = http.client.HTTPConnection(*listener.getsockname(), timeout=60)
            connection.request("GET", "/")
            assert connection.getresponse().read() == b"ForkedEngine", log.read_text()
            connection.close()
            server.send_signal(signal.SIGTERM)
            assert server.wait(HANG_S) == 0, log.read_text()
        finally:
            with contextlib.suppress(ProcessLookupError):  # none of its group is left, as it should be
                os.killpg(server.pid, signal.SIGKILL)
            server.wait()
    assert "Traceback" not in log.read_text()
