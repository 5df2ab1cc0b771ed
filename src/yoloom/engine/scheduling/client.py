"""On which terms a request waits: whose it is, how urgent, until when, and what happens when the queue is full."""

from __future__ import annotations

import math
import sys
import threading
import uuid
import weakref
from collections.abc import Hashable
from dataclasses import dataclass
from types import NoneType
from typing import Any

from yoloom.engine.scheduling.fair_queue import ANYBODY, Client
from yoloom.engine.scheduling.queue_policy import OnFull
from yoloom.errors import InvalidOption
from yoloom.sync.fork import after_fork_in_child
from yoloom.validation import number, positive, shown

MAX_WEIGHT = 1000


@dataclass(frozen=True)
class RequestTerms:
    """Immutable: shared freely. deadline: on the engine's clock, infinity for none."""

    deadline: float = math.inf
    client: Client = ANYBODY
    priority: float = 0
    on_full: OnFull = OnFull.WAIT


class _Mark:
    """Stands for one thread or one task; compared by identity. Shows as the name that it had then."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __repr__(self) -> str:
        return self._name


_threads = threading.local()
_tasks_lock = threading.Lock()  # guards the marks of tasks
_tasks: weakref.WeakKeyDictionary[Any, _Mark] = weakref.WeakKeyDictionary()


@after_fork_in_child
def _reset_after_fork() -> None:
    global _tasks_lock, _tasks
    _tasks_lock, _tasks = threading.Lock(), weakref.WeakKeyDictionary()


def resolve_client(asked: Any) -> Client:
    """The client that was named, by a `Client`, a text, a number or a tuple of them; else the calling task or thread.

    Raises InvalidOption.
    """
    if asked is None:
        return Client(_caller())
    if isinstance(asked, Client):
        weight = positive("weight", asked.weight)
        if weight > MAX_WEIGHT:
            raise InvalidOption(f"weight must be at most {MAX_WEIGHT}, got {shown(asked.weight)}.")
        return Client(("named", _named(asked.key)), weight)
    return Client(("named", _named(asked)))


def label_of(client: Client) -> str:
    """Whose requests they are, in words: the name that was given, or the thread or task."""
    named = isinstance(client.key, tuple) and len(client.key) == 2 and client.key[0] == "named"
    return repr(client.key[1] if named else client.key)  # type: ignore[index]


def priority_of(asked: Any) -> float:
    """Raises InvalidOption for what is no finite number."""
    priority = number("priority", asked)
    if not math.isfinite(priority):
        raise InvalidOption(f"priority must be a finite number, got {shown(asked)}.")
    return priority


def _caller() -> Hashable:
    asyncio = sys.modules.get("asyncio")  # who runs tasks has imported it
    try:
        task = None if asyncio is None else asyncio.current_task()
    except RuntimeError:  # no event loop runs in this thread
        task = None
    # A mark and not a number: the idents of threads and the ids of tasks come again.
    if task is None:
        return _of_thread()
    with _tasks_lock:
        known = _tasks.get(task)
    if known is not None:
        return known
    mark = _Mark(f"task {task.get_name()}")  # a task may be of the caller's class: no lock is held
    with _tasks_lock:
        return _tasks.setdefault(task, mark)


def _of_thread() -> Hashable:
    mark: _Mark | None = getattr(_threads, "mark", None)
    if mark is None:
        mark = _threads.mark = _Mark(f"thread {threading.current_thread().name}")
    return mark


def _named(key: Any) -> Hashable:
    """Only plain values: keys are compared under the engine's lock, where no code of the caller may run."""
    if type(key) in (str, bytes, int, float, bool, NoneType) or isinstance(key, uuid.UUID):
        return key  # type: ignore[no-any-return]
    if type(key) is tuple:
        return tuple(map(_named, key))
    raise InvalidOption(f"client must be a text, a number or a tuple of them, got {shown(key)}.")
