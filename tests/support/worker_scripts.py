"""Has a `FakeBackend` of the test's process say what the fake runtimes in worker processes do.

```
test: FakeBackend ◀── ScriptServer ◀─── one connection for each run ─── worker: ScriptedBackend
       counts, steps, gates             "run", shape → go, or raise
```
"""

from __future__ import annotations

import builtins
import json
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from yoloom.formats.model import Model
from yoloom.runtime.protocol import Batch, RawOutputs
from yoloom.testing import FakeBackend, fake_model
from yoloom.workers.recipe import Recipe, WorkerModel


class ScriptServer:
    """Answers the workers of one test. Each run is a connection that lasts as long as it."""

    def __init__(self, backend: FakeBackend) -> None:
        self._backend = backend
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(f"\0yoloom-test-{os.getpid()}-{id(self)}")
        self._listener.listen(64)
        self._threads = [threading.Thread(target=self._accept, name="script-server")]
        self._threads[0].start()

    def recipe(self, model: Model) -> Recipe:
        address = self._listener.getsockname().decode("latin-1")
        return Recipe("worker_scripts:open_scripted", {"address": address, "stride": model.stride})

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(30)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                run, _ = self._listener.accept()
            except OSError:
                return
            self._threads.append(threading.Thread(target=self._serve, args=(run,), name="script"))
            self._threads[-1].start()

    def _serve(self, run: socket.socket) -> None:
        with run, run.makefile("r") as lines:
            shape = json.loads(lines.readline())
            try:
                with self._backend.running(tuple(shape)):
                    _reply(run, None)
                    lines.readline()  # it is done, or its process has ended
            except BaseException as error:
                _reply(run, error)


def _reply(run: socket.socket, error: BaseException | None) -> None:
    try:
        run.sendall(json.dumps(error and [type(error).__name__, str(error)]).encode() + b"\n")
    except OSError:  # the worker was killed while it stood at a gate
        return


class ScriptedBackend(FakeBackend):
    """In a worker: asks before each run."""

    def __init__(self, address: str) -> None:
        super().__init__(lanes=1)
        self._address = address

    def execute(self, model: Model, batch: Batch) -> RawOutputs:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as run:
            run.connect(self._address.encode("latin-1"))
            with run.makefile("rw") as lines:
                lines.write(json.dumps(list(batch.shape)) + "\n")
                lines.flush()
                failure = json.loads(lines.readline())
                if failure is not None:
                    raise getattr(builtins, failure[0])(failure[1])
                outputs = super().execute(model, batch)
                lines.write("done\n")
                lines.flush()
                return outputs


def open_scripted(address: str, stride: int) -> WorkerModel:
    return WorkerModel(replace(fake_model(), stride=stride), ScriptedBackend(address))


@contextmanager
def script_servers() -> Iterator[list[ScriptServer]]:
    """A list of servers, which are closed in the end."""
    servers: list[ScriptServer] = []
    try:
        yield servers
    finally:
        for server in servers:
            server.close()
