"""One generation of one worker, as its parent holds it: the process, its slot, its channel and its board."""

from __future__ import annotations

import contextlib
import importlib.resources
import multiprocessing.spawn
import os
import select
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from io import FileIO
from pathlib import Path
from typing import Any

import numpy as np

from yoloom.errors import BackendUnavailable, RuntimeFailed
from yoloom.workers.compile_sharing import CompileRole
from yoloom.workers.exit_report import WorkerExit
from yoloom.workers.ipc.channel import Channel, ChannelClosed
from yoloom.workers.ipc.heartbeat import Heartbeat
from yoloom.workers.ipc.messages import Message
from yoloom.workers.ipc.question import PredictRequest
from yoloom.workers.ipc.shared_memory import SharedMemory
from yoloom.workers.ipc.shared_weights import SharedNetwork
from yoloom.workers.ipc.slot_size import SlotSize
from yoloom.workers.last_words import StderrTail

EXIT_S = 5.0
"""How long a process that was killed may take to end before its exit code is given up."""

# The heads never sum in a threaded library: its threads would only take memory.
_ENVIRONMENT = {"OPENBLAS_NUM_THREADS": "1"}


class WorkerProcess:
    """One process. One thread at a time asks; `kill` and what only reads may be called by any.

    It is not started by `multiprocessing`: nothing of the program's main module is imported in it, so that a script
    without `if __name__ == "__main__"`, a notebook and `python -m` are all the same.
    """

    def __init__(self, generation: int) -> None:
        """Starts nothing."""
        self.generation = generation
        self.why_killed: str | None = None
        self._slot_size = SlotSize()
        self._holders_lock = threading.Lock()  # guards the number of those that use the descriptors
        self._holders = 1
        self._is_talkative = True

    def start(self, order: Mapping[str, Any], network: SharedNetwork | None) -> None:
        """Start, and send the order to open a model; it then waits for `compile`.

        The calling thread must outlive the process. network: what the workers of the model may have in common.

        Raises RuntimeFailed, SharedMemoryFull or BackendUnavailable.
        """
        try:
            self._start(network)
        except OSError as error:
            raise RuntimeFailed(
                f"no worker process could be started: {error}; end some, or raise the limit."
            ) from error
        self.last_words = StderrTail(_unblocked(self._process))
        self.exit_descriptor = _exit_descriptor(self._process.pid)
        self._tell(Message("open", notes=order))

    def compile(self, part: CompileRole) -> None:
        """Tell it where it gets the compiled network from: then it becomes ready."""
        self._tell(Message("compile", notes={"part": part.value}))

    def _tell(self, message: Message) -> None:
        with contextlib.suppress(ChannelClosed):  # it has ended already, and whoever listens will hear of it
            self._channel.send(message)

    def _start(self, network: SharedNetwork | None) -> None:
        with contextlib.ExitStack() as undo:
            self._board = Heartbeat.create()
            undo.callback(self._board.close)
            self._slot = SharedMemory.create(self._slot_size.size)
            undo.callback(self._slot.close)
            mine, theirs = socket.socketpair()
            self._channel = Channel(mine, self.generation)
            undo.callback(self._channel.close)
            with theirs:
                shared = -1 if network is None else network.descriptor
                inherited = theirs.fileno(), self._board.memory.descriptor, self._slot.descriptor, shared
                self._process = _started(inherited, self.generation)
            undo.pop_all()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def channel(self) -> Channel:
        return self._channel

    def descriptors(self, is_starting: bool) -> list[int]:
        """What becomes readable when the process ends, or says something that its supervisor should hear."""
        found = [] if self.exit_descriptor is None else [self.exit_descriptor]
        if self._is_talkative:
            found.append(self.last_words.fileno())
        return [*found, self._channel.fileno()] if is_starting else found

    def listen_to_last_words(self) -> None:
        """Keep what it wrote to stderr, which would block it when the pipe is full."""
        self._is_talkative = self._is_talkative and self.last_words.read()

    @property
    def beats(self) -> int:
        return self._board.beats

    @property
    def has_ended(self) -> bool:
        return self._process.poll() is not None

    def ask(self, question: PredictRequest) -> Message:
        """Put the image in the slot, ask, and wait for the answer.

        Raises SharedMemoryFull, after which the worker is as good as before, or ChannelClosed.
        """
        self._put(question)
        notes = {
            "slot": self._slot.size,
            "size": question.pixels.size,
            "shape": question.shape,
            "what": question.what,
            "options": question.options,
            "keep": question.keep,
            "max_pixels": question.max_pixels,
        }
        try:
            self._channel.send(Message("predict", question.request, notes))
            answer = self._channel.receive()
            if answer.request != question.request:
                raise ChannelClosed(f"expected an answer to request {question.request}, got one to {answer.request}")
        except BaseException:
            self.kill()  # whatever it was: what this channel says from now on belongs to no question
            raise
        return answer

    def _put(self, question: PredictRequest) -> None:
        wanted = self._slot_size.fit(question.pixels.size)
        if wanted != self._slot.size:
            try:
                self._slot.resize(wanted)
            except BaseException:
                self._slot_size.size = self._slot.size
                raise
        # numpy lets other threads run while it copies
        np.copyto(self._slot.view()[: question.pixels.size], question.pixels.reshape(-1))

    def kill(self, why: str | None = None) -> None:
        """End it now, however stuck it is, and wake whoever waits for its answer. Idempotent."""
        self.why_killed = self.why_killed or why
        self._process.kill()
        self._channel.shut()

    def dismiss(self) -> None:
        """Let it end by itself: its channel ends. Idempotent."""
        self._channel.shut()

    def death(self) -> WorkerExit:
        """How it ended; ends it where it has not."""
        self.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):  # stuck in the kernel: it is gone as far as we care
            self._process.wait(EXIT_S)
        return WorkerExit(
            self.pid, self._process.poll(), self._board.doing.words, self.why_killed, self.last_words.text
        )

    def hold(self) -> None:
        """Keep the descriptors until `let_go`."""
        with self._holders_lock:
            self._holders += 1

    def let_go(self) -> None:
        """One holder less: the last one gives the descriptors back."""
        with self._holders_lock:
            self._holders -= 1
            if self._holders:
                return
        self._channel.close()
        self._slot.close()
        self._board.close()
        self.last_words.close()
        if self.exit_descriptor is not None:
            os.close(self.exit_descriptor)
            self.exit_descriptor = None


def _started(descriptors: tuple[int, ...], generation: int) -> subprocess.Popen[bytes]:
    birth = Path(str(importlib.resources.files("yoloom.workers.child") / "bootstrap.py"))
    numbers = map(str, (os.getpid(), *descriptors, generation))
    command = [_interpreter(), os.fspath(birth), *numbers, *(path or str(Path.cwd()) for path in map(str, sys.path))]
    return subprocess.Popen(  # noqa: S603  our own file
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        bufsize=0,
        pass_fds=[descriptor for descriptor in descriptors if descriptor >= 0],
        env=_ENVIRONMENT | os.environ,
        # Ctrl-C and Ctrl-Z of a terminal are for the parent.
        start_new_session=True,
    )


def _unblocked(process: subprocess.Popen[bytes]) -> FileIO:
    pipe = process.stderr
    if not isinstance(pipe, FileIO):
        raise TypeError("stderr is no unbuffered pipe")
    os.set_blocking(pipe.fileno(), False)
    return pipe


def _interpreter() -> str:
    """The Python that `multiprocessing` would start, so that `multiprocessing.set_executable` counts here too."""
    found = os.fsdecode(multiprocessing.spawn.get_executable() or "")
    if os.name != "posix" or not found or getattr(sys, "frozen", False):
        raise BackendUnavailable(
            "workers need a POSIX system and a Python interpreter to start them with, which this program does not "
            "have: leave workers out."
        )
    return found


def _exit_descriptor(pid: int) -> int | None:
    """What becomes readable when the process ends, where the system has such a thing."""
    if not hasattr(os, "pidfd_open") or not hasattr(select, "poll"):
        return None
    try:
        return os.pidfd_open(pid)
    except OSError:  # an old kernel, a sandbox, no descriptors left
        return None
