"""One generation of one worker as its parent holds it: the process, its slot, its channel and its heartbeat."""

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
from typing import Any, cast

import numpy as np

from yoloom.errors import BackendUnavailable, RuntimeFailed, YoloomError
from yoloom.workers.compile_sharing import CompileRole
from yoloom.workers.exit_report import StderrTail, WorkerExit
from yoloom.workers.ipc.channel import Channel, ChannelClosed
from yoloom.workers.ipc.heartbeat import SIZE, WORDS, Heartbeat
from yoloom.workers.ipc.messages import Message, PredictRequest, rebuilt
from yoloom.workers.ipc.shared_memory import SharedMemory, SharedNetwork, SlotSize

EXIT_S = 5.0
"""Seconds that a killed process may take to end before its exit code is given up."""

# The heads never sum in a threaded library: its threads would only take memory.
_ENVIRONMENT = {"OPENBLAS_NUM_THREADS": "1"}


class WorkerProcess:
    """One worker process. The constructor starts nothing.

    It is not started by `multiprocessing`: nothing of the program's main module is imported in it, so that a script
    without `if __name__ == "__main__"`, a notebook and `python -m` are all the same.

    Its descriptors have an owner count: the supervisor retains them, and a lane while it has a request there.

    Thread safety: one thread at a time calls `predict`; `kill`, `dismiss` and what only reads may be called by any.
    """

    def __init__(self, generation: int) -> None:
        self.generation = generation
        self.why_killed: str | None = None
        self._slot_size = SlotSize()
        self._owners_lock = threading.Lock()  # guards the number of those that use the descriptors
        self._owners = 1
        self._stderr_is_open = True

    def start(self, order: Mapping[str, Any], network: SharedNetwork | None) -> None:
        """Start the process and send the order to open a model; it then waits for `compile`.

        The calling thread must outlive the process: the kernel ends the process with that thread.

        Args:
            order: The notes of the message "open".
            network: The memory for the network that the workers of the model share; None if they share none.

        Raises:
            RuntimeFailed: The system gives no process or no descriptors.
            SharedMemoryFull: There is no memory for the slot.
            BackendUnavailable: Workers can not be started on this system.
        """
        try:
            with contextlib.ExitStack() as undo:
                self.heartbeat = Heartbeat(SharedMemory.create(SIZE))
                undo.callback(self.heartbeat.memory.close)
                self._slot = SharedMemory.create(self._slot_size.size)
                undo.callback(self._slot.close)
                # The parent closes its copy of the worker's end at once. Were it kept, the channel would not end with
                # the worker, and a lane would wait for an answer for ever.
                ours, theirs = socket.socketpair()
                self._channel = Channel(ours, self.generation)
                undo.callback(self._channel.close)
                with theirs:
                    shared = -1 if network is None else network.descriptor
                    inherited = theirs.fileno(), self.heartbeat.memory.descriptor, self._slot.descriptor, shared
                    self._process = _spawn(inherited, self.generation)
                undo.pop_all()
        except OSError as error:
            raise RuntimeFailed(
                f"no worker process could be started: {error}; end some, or raise the limit."
            ) from error
        self.stderr = StderrTail(cast(FileIO, self._process.stderr))  # a FileIO, as the pipe is unbuffered
        self.pid = self._process.pid
        self.exit_descriptor = _exit_descriptor(self.pid)
        with contextlib.suppress(ChannelClosed):  # it has ended already, which its supervisor notices by itself
            self._channel.send(Message("open", notes=order))

    def compile(self, role: CompileRole) -> None:
        """Tell it how to get the compiled network, after which it becomes ready."""
        with contextlib.suppress(ChannelClosed):  # as above
            self._channel.send(Message("compile", notes={"role": role.value}))

    def start_outcome(self) -> Message | YoloomError | None:
        """Return the message "ready", or the error that kept it from that; None when it has sent neither yet."""
        try:
            message = self._channel.receive_now()
        except ChannelClosed:
            # It has ended, or has said something that no worker of ours says. Its exit is noticed in the same step.
            self.kill()
            return None
        if message is None or message.kind == "ready":
            return message
        return rebuilt(message.notes)

    @property
    def has_ended(self) -> bool:
        """Whether the process has ended."""
        return self._process.poll() is not None

    def descriptors(self, is_starting: bool) -> list[int]:
        """Return the descriptors that become readable when it ends, or sends something for its supervisor."""
        descriptors = [] if self.exit_descriptor is None else [self.exit_descriptor]
        if self._stderr_is_open:
            descriptors.append(self.stderr.fileno())
        if is_starting:  # later the answers on the channel are for its lane
            descriptors.append(self._channel.fileno())
        return descriptors

    def read_stderr(self) -> None:
        """Take what it wrote to stderr, where it would block once the pipe is full."""
        # After its end the pipe is readable for ever: it is polled no more, or the supervisor would never sleep again.
        self._stderr_is_open = self._stderr_is_open and self.stderr.read()

    def predict(self, request: PredictRequest) -> Message:
        """Put the image into the slot, send the request, and wait for the answer.

        Raises:
            SharedMemoryFull: The image has no room; the worker is as good as before.
            ChannelClosed: The worker has ended.
        """
        # The slot is free: the worker looks at it only between a request and its answer, and there is one at a time.
        self._put_image(request)
        try:
            self._channel.send(Message("predict", request.request, request.notes | {"slot": self._slot.size}))
            answer = self._channel.receive()
            if answer.request != request.request:
                raise ChannelClosed(f"expected an answer to request {request.request}, got one to {answer.request}")
        except BaseException:
            # Even Ctrl-C: the answer that was not read would be taken for that of the next request.
            self.kill()
            raise
        return answer

    def _put_image(self, request: PredictRequest) -> None:
        wanted = self._slot_size.fit(request.pixels.size)
        if wanted != self._slot.size:
            try:
                self._slot.resize(wanted)
            except BaseException:
                # The rule must know what the slot really has. Else all later images would be taken to fit.
                self._slot_size.size = self._slot.size
                raise
        # numpy lets other threads run while it copies
        np.copyto(self._slot.view()[: request.pixels.size], request.pixels.reshape(-1))

    def kill(self, why: str | None = None) -> None:
        """End it now, however stuck it is, and wake the thread that waits for its answer. Idempotent; any thread."""
        # First the process, then the channel: a worker whose channel ends exits with status 0, and were it faster than
        # the signal, the report would not say that it was killed. The first reason counts; later ones follow from it.
        self.why_killed = self.why_killed or why
        self._process.kill()
        self._channel.shut()

    def dismiss(self) -> None:
        """Let it end by itself, by ending its channel. Idempotent; any thread."""
        self._channel.shut()

    def exit_report(self) -> WorkerExit:
        """Report how it ended; end it where it has not."""
        self.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):  # stuck in the kernel, and lost all the same
            self._process.wait(EXIT_S)
        return WorkerExit(
            self.pid, self._process.poll(), WORDS[self.heartbeat.doing], self.why_killed, self.stderr.text
        )

    def retain(self) -> None:
        """Keep the descriptors open until `release`."""
        with self._owners_lock:
            self._owners += 1

    def release(self) -> None:
        """Give up one ownership of the descriptors; the last one closes them."""
        with self._owners_lock:
            self._owners -= 1
            if self._owners:
                return
        # Nobody polls or reads these any more. The supervisor has taken the process out of its slot before it releases
        # it, and the lane has got its answer, or has lost it.
        self._channel.close()
        self._slot.close()
        self.heartbeat.memory.close()
        self.stderr.close()
        if self.exit_descriptor is not None:
            os.close(self.exit_descriptor)
            self.exit_descriptor = None


def _spawn(descriptors: tuple[int, ...], generation: int) -> subprocess.Popen[bytes]:
    """Run the bootstrap script with these descriptors. Raises OSError or BackendUnavailable."""
    # The Python that `multiprocessing` would start, so that `multiprocessing.set_executable` counts here too.
    interpreter = os.fsdecode(multiprocessing.spawn.get_executable() or "")
    if os.name != "posix" or not interpreter or getattr(sys, "frozen", False):
        raise BackendUnavailable(
            "workers need a POSIX system and a Python interpreter to start them with, which this program does not "
            "have: leave workers out."
        )
    bootstrap = os.fspath(Path(str(importlib.resources.files("yoloom.workers.child") / "bootstrap.py")))
    # The child takes over the search path as it is now, whatever the program has put into it. An empty entry means the
    # working folder, which may be another one when the child looks.
    numbers = map(str, (os.getpid(), *descriptors, generation))
    search_path = (path or str(Path.cwd()) for path in map(str, sys.path))
    return subprocess.Popen(  # noqa: S603  our own file
        [interpreter, bootstrap, *numbers, *search_path],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        bufsize=0,
        # Nothing else is inherited, the channels of other workers least of all: they would outlive their workers.
        pass_fds=[descriptor for descriptor in descriptors if descriptor >= 0],
        env=_ENVIRONMENT | os.environ,
        # Ctrl-C and Ctrl-Z of a terminal are for the parent.
        start_new_session=True,
    )


def _exit_descriptor(pid: int) -> int | None:
    """Return a descriptor that becomes readable when the process ends, where the system has such a thing."""
    if not hasattr(os, "pidfd_open") or not hasattr(select, "poll"):
        return None
    try:
        return os.pidfd_open(pid)
    except OSError:  # an old kernel, a sandbox, no descriptors left
        return None
