"""Programs that end in every way there is, and what becomes of them. Each runs in a process of its own.

A program is given a model and the arguments to open it with. It prints "ready" when its threads predict; from then on
signals strike it at random moments, or it ends by itself.
"""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from dataclasses import dataclass
from pathlib import Path

INTERRUPTED = -signal.SIGINT
LIMIT_S = 60.0
"""Seconds from the first signal, or from "ready", after which a process hangs, however busy the machine is."""

SETUPS = {
    "openvino": {"backend": "openvino"},
    "onnxruntime": {"backend": "onnxruntime"},
    "plan": {"backend": "openvino", "threads": 2, "plan": {"streams": 2, "lanes": 2}},
    "workers": {"workers": 1, "threads": 1},
}
"""Arguments of `YOLO` by name."""

PRELUDE = """
import asyncio, atexit, _thread, json, os, signal, sys, threading, time
import numpy as np

def last():
    pass

atexit.register(lambda: last())
from yoloom import YOLO, Plan
from yoloom.errors import EngineClosed

path, photo, arguments = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
if "plan" in arguments:
    arguments["plan"] = Plan(**arguments["plan"])
model = YOLO(path, **arguments)
array = np.zeros((480, 640, 3), np.uint8)
encoded = open(photo, "rb").read()

def forever(call):
    def loop():
        try:
            while True:
                call()
        except EngineClosed:
            pass  # the model ends with the interpreter

    thread = threading.Thread(target=loop, daemon=True)
    thread.start()
    return thread

def predict():
    model.predict(array, imgsz=320)

def decode():
    model.predict(encoded, imgsz=320)

def stream():
    for _ in model.predict([photo] * 20, stream=True, imgsz=320):
        pass

def gather():
    async def go():
        await asyncio.gather(*[model.predict_async(array, imgsz=320) for _ in range(10)])

    asyncio.run(go())

def crowd():
    for call in (predict, decode, stream, gather):
        forever(call)
    futures = [model.submit(photo, imgsz=320, client="futures") for _ in range(40)]
    for future in futures[:10]:
        future.add_done_callback(lambda _: time.sleep(0.01))
    return futures

def ready():
    print("ready", flush=True)

"""


@dataclass(frozen=True)
class Way:
    """One way of ending.

    Attributes:
        program: What it does after `PRELUDE`.
        allowed: Exit codes that are right.
        signals: Sent one after the other, with random pauses.
        hasty: The first signal comes before "ready": while the program imports and opens.
    """

    program: str
    allowed: frozenset[int] = frozenset({0})
    signals: tuple[int, ...] = ()
    hasty: bool = False


def _way(program: str, *allowed: int, signals: tuple[int, ...] = (), hasty: bool = False) -> Way:
    return Way(textwrap.dedent(program), frozenset(allowed or {0}), signals, hasty)


ONCE, TWICE, MANY = (signal.SIGINT,), (signal.SIGINT,) * 2, (signal.SIGINT,) * 6

WAYS = {
    "Ctrl-C": _way("crowd(); ready()\nwhile True: predict()", INTERRUPTED, signals=ONCE),
    "Ctrl-C twice": _way("crowd(); ready()\nwhile True: predict()", INTERRUPTED, signals=TWICE),
    "Ctrl-C many times": _way("crowd(); ready()\nwhile True: predict()", INTERRUPTED, signals=MANY),
    # With 1 where it strikes in an import of Python's own, before any line of the program.
    "Ctrl-C while it imports and opens": _way(
        "crowd(); ready()\nwhile True: predict()", INTERRUPTED, 1, signals=TWICE, hasty=True
    ),
    "Ctrl-C, and threads that are no daemons": _way(
        """
        def until_main_ends():
            try:
                while threading.main_thread().is_alive(): predict()
            except EngineClosed: pass
        for _ in range(3): threading.Thread(target=until_main_ends).start()
        ready()
        while True: predict()
        """,
        INTERRUPTED,
        signals=TWICE,
    ),
    "Ctrl-C in asyncio": _way(
        """
        crowd()
        async def go():
            ready()
            while True: await asyncio.gather(*[model.predict_async(array, imgsz=320) for _ in range(10)])
        asyncio.run(go())
        """,
        INTERRUPTED,
        signals=TWICE,
    ),
    "Ctrl-C while it closes": _way(
        """
        crowd(); ready()
        try:
            while True: predict()
        finally:
            model.close(drain=True)
        """,
        INTERRUPTED,
        signals=TWICE,
    ),
    "SIGTERM": _way("crowd(); ready()\nwhile True: predict()", -signal.SIGTERM, signals=(signal.SIGTERM,)),
    "SIGTERM that a handler makes an exit": _way(
        """
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(3))
        crowd(); ready()
        while True: predict()
        """,
        3,
        -signal.SIGTERM,  # after the end of Python, which takes its handlers away
        signals=(signal.SIGTERM,) * 3,
    ),
    "an alarm whose handler raises": _way(
        """
        def late(*_): raise TimeoutError
        signal.signal(signal.SIGALRM, late)
        crowd(); ready()
        while True: predict()
        """,
        1,
        -signal.SIGALRM,
        signals=(signal.SIGALRM,) * 3,
    ),
    "the end of main": _way("crowd(); ready()"),
    "an exception": _way("crowd(); ready(); raise OSError('as planned')", 1),
    "sys.exit in a thread, and at the end of main": _way(
        "crowd(); ready(); threading.Thread(target=sys.exit).start(); sys.exit(3)", 3
    ),
    "os._exit in a thread": _way(
        "crowd(); ready(); threading.Timer(0.05, os._exit, (5,)).start()\nwhile True: predict()", 5
    ),
    "a thread that interrupts main": _way(
        """
        crowd(); ready()
        def press():
            for _ in range(2):
                time.sleep(0.05); _thread.interrupt_main()
        threading.Thread(target=press, daemon=True).start()
        while True: predict()
        """,
        INTERRUPTED,
    ),
    "threads that go on after main": _way(
        """
        def some():
            for _ in range(10): predict(); decode()
        for _ in range(3): threading.Thread(target=some).start()
        forever(predict); ready()
        """
    ),
    "exit handlers that predict, close and open": _way(
        """
        def last():  # after the package's own handler
            for call in (predict, lambda: YOLO(path, **arguments)):
                try: call(); os._exit(7)
                except EngineClosed: pass
        atexit.register(model.close)
        atexit.register(predict)
        crowd(); ready()
        """
    ),
    "close in the middle": _way("crowd(); ready(); model.close()"),
    "close in the middle, by a thread": _way(
        "crowd(); ready(); threading.Thread(target=model.close, daemon=True).start()"
    ),
    "close without patience": _way("crowd(); ready(); model.close(timeout=0.001)"),
    "handles that open and close in threads": _way(
        """
        def reopen():
            with YOLO(path, **arguments) as other: other.predict(array, imgsz=64)
        model.close(); forever(reopen); forever(reopen); ready(); time.sleep(0.1)
        """
    ),
    "Ctrl-C while another model is swapped in": _way(
        """
        crowd(); forever(lambda: model.swap(path)); ready()
        while True: predict()
        """,
        INTERRUPTED,
        signals=TWICE,
    ),
    "a handle that is collected": _way(
        """
        import warnings; warnings.simplefilter("ignore")
        predict(); ready(); del model
        """
    ),
}
"""Ways of ending by name."""


@dataclass(frozen=True)
class Ending:
    """How one process ended. Immutable.

    Attributes:
        exit_code: As of `subprocess`; None for one that had to be killed.
        seconds: From its first signal, or from "ready".
        words: What it wrote to stderr.
    """

    exit_code: int | None
    seconds: float
    words: str

    def fault(self, way: Way) -> str | None:
        """What is wrong with it; None if nothing is."""
        if self.exit_code is None:
            return f"it did not end within {LIMIT_S} s\n{self.words}"
        if self.exit_code not in way.allowed:
            return f"it ended with {self.exit_code} instead of {sorted(way.allowed)}\n{self.words}"
        return None


def end(way: Way, arguments: str, model: Path, photo: Path, chance: random.Random) -> Ending:
    """Run a program until it has ended. arguments: those of `YOLO`, as JSON."""
    with tempfile.TemporaryFile("w+") as words:
        process = subprocess.Popen(
            [sys.executable, "-X", "faulthandler", "-c", PRELUDE + way.program, str(model), str(photo), arguments],
            stdout=subprocess.PIPE,
            stderr=words,
            text=True,
        )
        try:
            assert process.stdout is not None
            if not way.hasty and process.stdout.readline() != "ready\n":
                process.wait(LIMIT_S)
            exit_code, seconds = _strike(process, way, chance)
        finally:
            process.kill()
            process.wait()
            process.stdout.close()
        words.seek(0)
        return Ending(exit_code, seconds, words.read()[-4000:])


def _strike(process: subprocess.Popen[str], way: Way, chance: random.Random) -> tuple[int | None, float]:
    if way.signals:
        time.sleep(chance.random() * (1.5 if way.hasty else 0.4))
    started = time.monotonic()
    for number in way.signals:
        process.send_signal(number)
        time.sleep(chance.choice((0.0, 0.02, 0.1, 0.3)))
    try:
        return process.wait(max(0.0, started + LIMIT_S - time.monotonic())), time.monotonic() - started
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGABRT)  # faulthandler tells where it stands
        process.wait(LIMIT_S)
        return None, time.monotonic() - started
