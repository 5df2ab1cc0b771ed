"""The other side of `worker.py`: a contender's process, idle unless it is asked for something."""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from entries import Entry
from measure import Sample

WORKER = Path(__file__).parent / "worker.py"
PATIENCE_S = 120.0
TURN_PATIENCE_S = 90.0  # beyond the turn's length: the slowest takes some 15 s for one call of each of 64 callers


class ContenderFailed(Exception):
    """It could not be made, raised, ended or hung; the message says which."""


class Child:
    """A contender's process. One thread at a time. first_result_s: from its start to its first result."""

    def __init__(self, entry: Entry, files: Mapping[str, Any], conf: float, log: Any) -> None:
        # Not resolved: behind the link of a virtual environment is an interpreter without its packages.
        command = [str(entry.python.absolute()), str(WORKER), entry.module, entry.pattern]
        environment = {**os.environ, "YOLO_AUTOINSTALL": "false"}
        if files["checkpoint"]:
            environment["YOLO_CONFIG_DIR"] = str(Path(files["checkpoint"]).parent)
        if entry.module != "by_yoloom":
            environment.pop("PYTHONPATH", None)
        self.alive = True
        started = time.monotonic()
        self._process = subprocess.Popen(
            [*command, json.dumps({**files, "conf": conf})],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env=environment,
        )
        try:
            self.first_result_s = self._answer(PATIENCE_S)["ready_at"] - started
        except ContenderFailed:
            self.close()
            raise

    def ask(self, command: str, patience_s: float = PATIENCE_S, **arguments: Any) -> Any:
        """Raises ContenderFailed, also for one that takes longer than `patience_s`, which is ended."""
        if not self.alive:
            raise ContenderFailed("its process has ended before")
        assert self._process.stdin is not None
        try:
            print(json.dumps({"command": command, **arguments}), file=self._process.stdin, flush=True)
        except OSError as error:
            self.alive = False
            raise ContenderFailed("its process has ended") from error
        return self._answer(patience_s)

    def warm_up(self, callers: int, seconds: float, patience_s: float) -> tuple[float, float]:
        """Make what so many callers need, and give it a turn: MiB of its processes then, and the turn's seconds."""
        self.ask("prepare", callers=callers, patience_s=patience_s)
        started = time.monotonic()
        self.turn(callers, seconds, patience_s)
        took = time.monotonic() - started
        return float(self.ask("memory") or 0.0), took

    def turn(self, callers: int, seconds: float, patience_s: float = TURN_PATIENCE_S) -> Sample:
        return Sample(**self.ask("turn", callers=callers, seconds=seconds, patience_s=seconds + patience_s))

    def _answer(self, patience_s: float) -> Any:
        assert self._process.stdout is not None
        killer = threading.Timer(patience_s, self._process.kill)
        killer.start()
        try:
            line = self._process.stdout.readline()
        finally:
            killer.cancel()
            killer.join()
        if not line:
            self.alive = False
            code = self._process.wait()
            raise ContenderFailed(
                f"hung: no answer within {patience_s:g} s" if code == -9 else f"ended with code {code}"
            )
        answer = json.loads(line)
        if "error" in answer:
            raise ContenderFailed(answer["error"])
        return answer["ok"]

    def close(self) -> None:
        """End it. Idempotent."""
        self.alive = False
        try:
            self._process.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()
