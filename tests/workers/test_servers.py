"""Worker processes under servers that have several processes themselves, over real sockets."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import psutil
import pytest

from scenes import scene
from test_workers import all_gone, bits
from yoloom import YOLO
from yoloom.testing import barrier_run

pytestmark = pytest.mark.slow

TESTS = Path(__file__).parents[1] / "support"
SERVERS = {
    "gunicorn": [
        "gunicorn",
        "server_apps:wsgi",
        "--workers=2",
        "--worker-class=gthread",
        "--threads=4",
        "--bind=fd://{}",
    ],
    "gunicorn, one thread": ["gunicorn", "server_apps:wsgi", "--workers=2", "--bind=fd://{}"],
    "uvicorn": ["uvicorn", "server_apps:asgi", "--workers=2", "--fd={}", "--log-level=warning"],
}


@contextmanager
def serving(command: list[str], model: Path, log: Path) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """A server on a socket of ours, so that calls wait until it listens; its process and its port."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener, log.open("wb") as output:
        listener.settimeout(None)
        server = subprocess.Popen(
            [sys.executable, "-m", *(part.format(listener.fileno()) for part in command)],
            cwd=TESTS,
            env={**os.environ, "YOLOOM_TEST_MODEL": str(model)},
            pass_fds=[listener.fileno()],
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        try:
            yield server, listener.getsockname()[1]
        finally:
            server.kill()
            server.wait(60)


def ask(port: int, image: bytes) -> tuple[int, bytes]:
    """The pid of who answered, and the bits."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("POST", "/", image)
        response = connection.getresponse()
        body = response.read()
        assert response.status == 200, body
    finally:
        connection.close()
    pid, digits = body.decode().split(" ")
    return int(pid), bytes.fromhex(digits)


def descendants(pid: int) -> list[int]:
    return [child.pid for child in psutil.Process(pid).children(recursive=True)]


@pytest.mark.parametrize("name", SERVERS)
def test_a_server_answers_many_at_once_as_one_after_the_other_and_leaves_nothing(
    demo_model: Path, tmp_path: Path, name: str
) -> None:
    """One of its processes is killed half-way: what it had goes with it, and another takes its place."""
    pictures = [np.array(scene(seed, (320, 240)).image) for seed in range(6)]
    images = [cv2.imencode(".png", picture)[1].tobytes() for picture in pictures]
    with YOLO(demo_model) as model:
        expected = [bits(model(picture)[0]) for picture in pictures]
    log = tmp_path / "log"
    with serving(SERVERS[name], demo_model, log) as (server, port):
        assert [ask(port, image)[1] for image in images] == expected, log.read_text()
        answers = [one for some in barrier_run(12, lambda _: [ask(port, image) for image in images]) for one in some]
        assert [found for _, found in answers] == expected * 12
        pids = {pid for pid, _ in answers}
        assert pids <= set(descendants(server.pid))
        victim = next(iter(pids))
        orphans = descendants(victim)
        assert orphans, "it has a worker process"
        os.kill(victim, signal.SIGKILL)
        assert all_gone([victim, *orphans])
        assert [ask(port, image)[1] for image in images] == expected
        left = descendants(server.pid)
        server.send_signal(signal.SIGTERM)
        assert server.wait(60) in (0, -signal.SIGTERM), log.read_text()
        assert all_gone(left)
    assert "Traceback" not in log.read_text()
