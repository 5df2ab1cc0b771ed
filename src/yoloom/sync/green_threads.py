"""Refusal of a process whose threads are greenlets: one that waits in native code, or for a lock, stops all of them."""

from __future__ import annotations

import queue
import select
import subprocess
import threading

from yoloom.errors import GreenThreads

_LIBRARIES = {"gevent", "eventlet"}


def check_threads(with_workers: bool) -> None:
    """Raise GreenThreads where gevent or eventlet has replaced what lanes, or worker processes, are built on."""
    used: list[object] = [threading.get_ident, queue.SimpleQueue]
    if with_workers:
        used += [select.select, subprocess.Popen]
    modules = [str(getattr(part, "__module__", "")) for part in used]
    for library in (module.partition(".")[0] for module in modules):
        if library in _LIBRARIES:
            raise GreenThreads(
                f"yoloom needs the threads of the system, and {library} has replaced them in this process (monkey "
                "patching): serve with threads (gunicorn --worker-class gthread, celery --pool threads) or with "
                "processes (gunicorn --worker-class sync --workers N, celery --pool prefork), or run the model in a "
                "process of its own that is not patched."
            )
