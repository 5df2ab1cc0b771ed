"""Real browser for tests: Chromium without a window, controlled through two pipes. No driver, port or network."""

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
    """Find the browser that YOLOOM_BROWSER names, or one that is installed."""
    return os.environ.get("YOLOOM_BROWSER") or next(filter(None, map(shutil.which, NAMES)), None)


class Browser:
    """One page of one browser.

    requested: addresses that were loaded or tried. complaints: messages of the console, and uncaught errors.

    Thread safety: one thread at a time.
    """

    def __init__(self, program: str, profile: Path) -> None:
        commands, self._commands = os.pipe()
        self._answers, answers = os.pipe()
        flags = [*FLAGS, f"--user-data-dir={profile}", "--no-startup-window"]
        self._process = subprocess.Popen(
            [sys.executable, "-S", "-c", PIPES, str(commands), str(answers), program, *flags],
            pass_fds=(commands, answers),
            env={**os.environ, "HOME": str(profile)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(commands)
        os.close(answers)
        self._number, self._session, self._read = 0, "", b""
        self._loaded = False
        self.requested: list[str] = []
        self.complaints: list[str] = []

    def __enter__(self) -> Browser:
        try:
            page = self.send("Target.createTarget", url="about:blank")
            self._session = self.send("Target.attachToTarget", targetId=page["targetId"], flatten=True)["sessionId"]
            for domain in ("Page", "Network", "Log", "Runtime"):
                self.send(f"{domain}.enable")
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._end()

    def _end(self) -> None:
        os.close(self._commands)  # the browser ends when its pipe of commands is closed
        try:
            self._process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        finally:
            os.close(self._answers)

    def open(self, page: Path, width: int = 1200, height: int = 1000, scheme: str = "light") -> None:
        """Load a file, and wait until it is shown."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.send("Emulation.setDeviceMetricsOverride", **size)
        self.send("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self._loaded = False
        self.send("Page.navigate", url=page.absolute().as_uri())
        until = time.monotonic() + PATIENCE_S
        while not self._loaded:
            self._take(until)

    def run(self, script: str) -> Any:
        """Return the value of an expression in the page."""
        message = self.send("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in message, message
        return message["result"].get("value")

    def picture(self) -> np.ndarray:
        """Take a picture (H, W, 3 BGR) of the whole page."""
        shot = self.send("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        return np.asarray(cv2.imdecode(np.frombuffer(base64.b64decode(shot["data"]), np.uint8), cv2.IMREAD_COLOR))

    def send(self, method: str, **arguments: Any) -> Any:
        """Send one command of the DevTools protocol, and return its answer."""
        self._number += 1
        command = {"id": self._number, "method": method, "params": arguments}
        text = json.dumps({**command, "sessionId": self._session} if self._session else command)
        os.write(self._commands, text.encode() + b"\0")
        until = time.monotonic() + PATIENCE_S
        while (message := self._take(until)).get("id") != self._number:
            pass
        assert "error" not in message, message
        return message["result"]

    def _take(self, until: float) -> Mapping[str, Any]:
        """Return the next message, and take note if it is an event."""
        while b"\0" not in self._read:
            ready, _, _ = select.select([self._answers], [], [], max(0.0, until - time.monotonic()))
            assert ready, "the browser does not answer"
            part = os.read(self._answers, 1 << 20)
            assert part, "the browser has ended"
            self._read += part
        line, _, self._read = self._read.partition(b"\0")
        message: Mapping[str, Any] = json.loads(line)
        self._note(message.get("method", ""), message.get("params", {}))
        return message

    def _note(self, event: str, message: Mapping[str, Any]) -> None:
        if event == "Page.loadEventFired":
            self._loaded = True
        elif event == "Network.requestWillBeSent":
            self.requested.append(message["request"]["url"])
        elif event in ("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded"):
            self.complaints.append(json.dumps(message))


def painted(picture: np.ndarray, rectangle: Sequence[float], color_rgb: Sequence[int]) -> int:
    """Count pixels of about that colour (lines are thin and smoothed) within x, y, width and height."""
    left, top, width, height = (round(value) for value in rectangle)
    part = picture[top : top + height, left : left + width, ::-1].astype(int)
    return int((np.abs(part - np.asarray(color_rgb)).max(axis=-1) < 60).sum())
