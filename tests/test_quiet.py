"""In its default configuration the library prints nothing, whatever happens: it logs, to loggers named `yoloom.*`."""

from __future__ import annotations

import ast
import logging
import subprocess
import sys
from pathlib import Path

import pytest

import yoloom

ROOT = Path(yoloom.__file__).parent

TROUBLE = """
import sys, threading
import numpy as np
from yoloom import YOLO, errors
from yoloom.engine.futures import predict_later
from yoloom.engine.engine import thread_engine
from yoloom.engine.image_job import LocalImageJob
from yoloom.engine.scheduling.request_terms import RequestTerms
from yoloom.options import PredictOptions
from yoloom.testing import FakeBackend, Gate, fake_model

{setup}
image = np.zeros((48, 64, 3), np.uint8)
with YOLO(sys.argv[1], debug=True) as model:
    model(image)
    model(image, imgsz=64)
    for broken in (b"\\xff\\xd8\\xff\\xe0 no jpeg", "gone.jpg", "no image"):
        try:
            model(broken)
        except errors.InputError:
            pass
    future = model.submit(image)
    future.add_done_callback(lambda _: 1 / 0)
    future.result()
    list(model.map([image] * 8))

def until(holds):
    for _ in range(3000):
        if holds():
            return
        threading.Event().wait(0.01)
    raise TimeoutError

backend = FakeBackend(lanes=1)
engine = thread_engine(fake_model(), backend, threads=1)
engine.start()
engine.watch(0.01)
gate = Gate()
backend.script(RuntimeError("first"), RuntimeError("again"), gate)
failing, hanging = (
    predict_later(engine, LocalImageJob(engine.model, PredictOptions(), "image.jpg"), image, RequestTerms())
    for _ in range(2)
)
assert failing.exception() is not None
gate.wait_for()
until(lambda: engine.insight._watchdog._stall.since is not None)
gate.open()
hanging.result()
until(lambda: engine.insight._watchdog._stall.since is None)
engine.close()
"""


def trouble(demo_model: Path, setup: str = "") -> subprocess.CompletedProcess[str]:
    """A program with a failing run, a stall, images that are none, a callback that raises, a size that is not used.

    Without a broken PNG: OpenCV itself has words for it, and its log level is the whole process's.
    """
    return subprocess.run(
        [sys.executable, "-c", TROUBLE.replace("{setup}", setup), str(demo_model)],
        capture_output=True,
        text=True,
        timeout=100,
        check=True,
    )


@pytest.mark.slow
def test_a_program_in_trouble_prints_nothing(demo_model: Path) -> None:
    """Seen to print the warnings and tracebacks without the package's NullHandler."""
    run = trouble(demo_model)
    assert (run.stdout, run.stderr) == ("", "")


@pytest.mark.slow
def test_a_program_that_logs_hears_all_of_it(demo_model: Path) -> None:
    shown = "%(levelname)s %(name)s %(message)s"
    run = trouble(demo_model, f"import logging; logging.basicConfig(format={shown!r})")
    for line in (
        "ERROR yoloom.engine a callback of a future failed",
        "WARNING yoloom.engine a run of 1 requests failed, they are tried again alone",
        "WARNING yoloom.watchdog fake.onnx: nothing has moved for",
        "WARNING yoloom.watchdog fake.onnx: it moves again, after",
    ):
        assert line in run.stderr
    assert run.stdout == ""


def test_the_logger_of_the_package_has_a_handler_for_nothing() -> None:
    assert any(isinstance(handler, logging.NullHandler) for handler in logging.getLogger("yoloom").handlers)
    assert logging.getLogger("yoloom").level == logging.NOTSET


@pytest.mark.slow
def test_all_loggers_are_the_packages() -> None:
    """And nothing but the command line writes to stdout or stderr, or warns by other means than `SourceWarning`."""
    for path in sorted(ROOT.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        for node in ast.walk(ast.parse(text)):
            if not isinstance(node, ast.Call):
                continue
            called = ast.unparse(node.func)
            assert called != "print", path
            assert called != "warnings.warn" or ast.unparse(node.args[1]) == "SourceWarning", path
            if called in ("logging.getLogger", "SafeLogger") and path.name != "safe_log.py":
                (name,) = node.args
                assert ast.literal_eval(name).split(".")[0] == "yoloom", path
