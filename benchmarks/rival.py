"""The other side of `ultralytics_worker.py`: Ultralytics in its own process, idle unless it is asked for something."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from measure import Sample

WORKER = Path(__file__).parent / "ultralytics_worker.py"


class Rival:
    """A worker process. One thread at a time."""

    def __init__(self, python: Path, model: Path, images: Sequence[Path]) -> None:
        # Not resolved: behind the link of a virtual environment is an interpreter without its packages.
        answers, theirs = os.pipe()
        paths = [str(path.resolve()) for path in (model, *images)]
        command = [str(python.absolute()), str(WORKER), str(theirs), *paths]
        environment = {**os.environ, "YOLO_AUTOINSTALL": "false", "YOLO_CONFIG_DIR": str(model.resolve().parent)}
        environment.pop("PYTHONPATH", None)
        try:
            # What is printed on the way goes to stderr: it is no answer.
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=2, text=True, env=environment, pass_fds=[theirs]
            )
        finally:
            os.close(theirs)
            self._answers = os.fdopen(answers)

    def ask(self, command: str, **arguments: Any) -> Any:
        assert self._process.stdin is not None
        print(json.dumps({"command": command, **arguments}), file=self._process.stdin, flush=True)
        line = self._answers.readline()
        if not line:
            raise RuntimeError("the Ultralytics process ended; see its messages above.")
        answer = json.loads(line)
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer["ok"]

    @property
    def pid(self) -> int:
        return self._process.pid

    def turn(self, pattern: str, callers: int, seconds: float) -> Sample:
        """One turn of `callers` threads: pattern "shared" is one model for all, "own" a model for each."""
        return Sample(**self.ask("throughput", pattern=pattern, callers=callers, seconds=seconds))

    def __enter__(self) -> Rival:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._process.communicate()
        self._answers.close()
