"""Programs whose threads are greenlets: a model is refused before anything waits, and the message says the way out.

Before that, a prediction under gevent could wait for ever, and workers always did. gevent and eventlet lie in an
environment of their own, which `tools/make_green.sh` makes.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

GREEN = Path(__file__).parents[2] / ".green"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (GREEN / "made").exists(), reason="there is no .green: tools/make_green.sh"),
]

ALL = {
    "gevent": "from gevent import monkey; monkey.patch_all()",
    "gevent, threads only": "from gevent import monkey; monkey.patch_thread()",
    "gevent, without threads": "from gevent import monkey; monkey.patch_all(thread=False)",
    "gevent, after the import": "import yoloom\nfrom gevent import monkey; monkey.patch_all()",
    "eventlet": "import eventlet; eventlet.monkey_patch()",
    "eventlet, threads only": "import eventlet; eventlet.monkey_patch(all=False, thread=True)",
    "eventlet, after the import": "import yoloom, eventlet; eventlet.monkey_patch()",
}
WITH_WORKERS = {
    "gevent, processes only": "from gevent import monkey; monkey.patch_subprocess()",
    "eventlet, without threads": "import eventlet; eventlet.monkey_patch(thread=False)",
}

PROGRAM = """
import json, sys
import numpy as np
from yoloom import YOLO
try:
    with YOLO(sys.argv[1], **json.loads(sys.argv[2])) as model:
        print("found", len(model.predict(np.zeros((64, 64, 3), np.uint8))[0]))
except Exception as error:
    print(type(error).__name__, error)
"""


def told(patch: str, model: Path, **arguments: object) -> str:
    done = subprocess.run(
        [str(GREEN / "bin" / "python"), "-W", "ignore", "-c", f"{patch}\n{PROGRAM}", str(model), json.dumps(arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("patch", ALL)
@pytest.mark.parametrize("arguments", [{}, {"workers": 1}], ids=["lanes", "workers"])
def test_a_model_is_refused_with_the_way_out(patch: str, arguments: dict[str, object], demo_model: Path) -> None:
    words = told(ALL[patch], demo_model, **arguments)
    assert words.startswith(f"GreenThreads yoloom needs the threads of the system, and {patch.partition(',')[0]} has")
    assert "gthread" in words
    assert "--workers" in words


@pytest.mark.parametrize("patch", WITH_WORKERS)
def test_what_only_worker_processes_need_is_looked_at_for_them_only(patch: str, demo_model: Path) -> None:
    assert told(WITH_WORKERS[patch], demo_model, workers=1).startswith("GreenThreads ")
    assert told(WITH_WORKERS[patch], demo_model) == "found 0\n"


@pytest.mark.parametrize("library", ["gevent", "eventlet"])
def test_a_library_that_replaces_nothing_changes_nothing(library: str, demo_model: Path) -> None:
    assert told(f"import {library}", demo_model) == "found 0\n"


@pytest.mark.parametrize("patch", ["gevent", "eventlet"])
def test_the_end_does_not_wait_for_itself(patch: str) -> None:
    """Seen to fail: `get_ident` names a greenlet there, so the thread that ends was another's call, and took 8 s."""
    look = "from yoloom.sync import interpreter_exit; print(len(interpreter_exit._calls()))"
    command = [str(GREEN / "bin" / "python"), "-W", "ignore", "-c", f"{ALL[patch]}\n{look}"]
    assert subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout == "0\n"
