"""A real browser for tests: Chromium without a window, spoken to through two pipes. No driver, no port, no network."""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import cv2
import numpy as np

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
FLAGS = (
    "--headless", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--hide-scrollbars",
    "--no-sandbox",  # root has none, and the pages are our own
    "--host-resolver-rules=MAP * ~NOTFOUND",
    "--remote-debugging-pipe",
)  # fmt: skip
PATIENCE_S = 60.0
PIPES = """
import os, sys
pipes = [os.dup(int(number)) for number in sys.argv[1:3]]
for pipe, number in zip(pipes, (3, 4)):  # where the browser expects them
    os.dup2(pipe, number)
    os.set_inheritable(number, True)
os.execv(sys.argv[3], sys.argv[3:])
"""


def find_browser() -> str | None:
    """The one that YOLOOM_BROWSER names, or what is installed."""
    return os.environ.get("YOLOOM_BROWSER") or next(filter(None, map(shutil.which, NAMES)), None)


class Browser:
    """One page of one browser. One thread at a time.

    asked_for: addresses that were loaded or tried. complaints: what the console, or an uncaught error, said.
    """

    def __init__(self, program: str, profile: Path) -> None:
        asks, self._asks = os.pipe()
        self._answers, answers = os.pipe()
        flags = [*FLAGS, f"--user-data-dir={profile}", "--no-startup-window"]
        self._process = subprocess.Popen(
            [sys.executable, "-S", "-c", PIPES, str(asks), str(answers), program, *flags],
            pass_fds=(asks, answers),
            env={**os.environ, "HOME": str(profile)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(asks)
        os.close(answers)
        self._number, self._session, self._read = 0, "", b""
        self._loaded = False
        self.asked_for: list[str] = []
        self.complaints: list[str] = []

    def __enter__(self) -> Browser:
        try:
            page = self.ask("Target.createTarget", url="about:blank")
            self._session = self.ask("Target.attachToTarget", targetId=page["targetId"], flatten=True)["sessionId"]
            for domain in ("Page", "Network", "Log", "Runtime"):
                self.ask(f"{domain}.enable")
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._end()

    def _end(self) -> None:
        os.close(self._asks)  # it ends when nobody can ask any more
        try:
            self._process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        finally:
            os.close(self._answers)

    def open(self, page: Path, width: int = 1200, height: int = 1000, scheme: str = "light") -> None:
        """Load a file, and wait until it is there."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.ask("Emulation.setDeviceMetricsOverride", **size)
        self.ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self._loaded = False
        self.ask("Page.navigate", url=page.absolute().as_uri())
        until = time.monotonic() + PATIENCE_S
        while not self._loaded:
            self._take(until)

    def run(self, script: str) -> Any:
        """The value of an expression in the page."""
        told = self.ask("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in told, told
        return told["result"].get("value")

    def picture(self) -> np.ndarray:
        """(H, W, 3) BGR of the whole page."""
        shot = self.ask("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        return np.asarray(cv2.imdecode(np.frombuffer(base64.b64decode(shot["data"]), np.uint8), cv2.IMREAD_COLOR))

    def ask(self, method: str, **arguments: Any) -> Any:
        """One command of the DevTools protocol, and its answer."""
        self._number += 1
        asked = {"id": self._number, "method": method, "params": arguments}
        words = json.dumps({**asked, "sessionId": self._session} if self._session else asked)
        os.write(self._asks, words.encode() + b"\0")
        until = time.monotonic() + PATIENCE_S
        while (told := self._take(until)).get("id") != self._number:
            pass
        assert "error" not in told, told
        return told["result"]

    def _take(self, until: float) -> Mapping[str, Any]:
        """The next message; what it tells of by itself is written down."""
        while b"\0" not in self._read:
            ready, _, _ = select.select([self._answers], [], [], max(0.0, until - time.monotonic()))
            assert ready, "the browser does not answer"
            part = os.read(self._answers, 1 << 20)
            assert part, "the browser has ended"
            self._read += part
        line, _, self._read = self._read.partition(b"\0")
        told: Mapping[str, Any] = json.loads(line)
        self._note(told.get("method", ""), told.get("params", {}))
        return told

    def _note(self, event: str, told: Mapping[str, Any]) -> None:
        if event == "Page.loadEventFired":
            self._loaded = True
        elif event == "Network.requestWillBeSent":
            self.asked_for.append(told["request"]["url"])
        elif event in ("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded"):
            self.complaints.append(json.dumps(told))


def painted(picture: np.ndarray, rectangle: Sequence[float], color_rgb: Sequence[int]) -> int:
    """Pixels of about that colour (lines are thin and smoothed) within x, y, width and height."""
    left, top, width, height = (round(value) for value in rectangle)
    part = picture[top : top + height, left : left + width, ::-1].astype(int)
    return int((np.abs(part - np.asarray(color_rgb)).max(axis=-1) < 60).sum())
