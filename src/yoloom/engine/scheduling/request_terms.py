"""Terms on which a request waits: whose it is, how urgent, until when, and what happens when the queue is full."""

from __future__ import annotations

import enum
import math
import sys
import threading
import uuid
import weakref
from collections.abc import Hashable
from dataclasses import dataclass
from types import NoneType
from typing import Any, NamedTuple, NoReturn

from yoloom.errors import InvalidOption
from yoloom.sync.fork import after_fork_in_child
from yoloom.validation import number, positive, positive_seconds, shown

MAX_WEIGHT = 1000


class OnFull(str, enum.Enum):
    """Fate of a request that finds no place in the queue. Each member equals its name as users write it."""

    WAIT = "wait"  # its caller waits for a place, until its deadline
    REJECT = "reject"  # it ends with QueueFull
    DROP_OLDEST = "drop_oldest"  # the oldest request of the client that has most waiting ends with Dropped
    LATEST = "latest"  # always, not only when full: the waiting requests of its own client end with Dropped

    @classmethod
    def _missing_(cls, value: object) -> NoReturn:
        names = ", ".join(repr(policy.value) for policy in cls)
        raise InvalidOption(f"on_full must be one of {names}, got {shown(value)}.")


@dataclass(frozen=True)
class Client:
    """The owner of a request, for the order of turns.

    Thread safety: any number of threads (immutable).

    Attributes:
        key: A text, a number, or a tuple of them.
        weight: Number of its requests that are served in one turn.
    """

    key: Hashable
    weight: int = 1


ANYBODY = Client(None)


class RequestTerms(NamedTuple):
    """Terms of one request, or of all requests of a call.

    Thread safety: any number of threads (immutable). A named tuple, because one is made for every request that has a
    time limit.

    Attributes:
        deadline: Moment on the engine's clock, in seconds; infinity for none.
        client: The owner of the request.
        priority: Among the requests of one client, the highest goes first.
        on_full: What happens when the queue has no place.
        timeout_s: Time limit of each request, from its admission, in seconds; None for none.
    """

    deadline: float = math.inf
    client: Client = ANYBODY
    priority: float = 0
    on_full: OnFull = OnFull.WAIT
    timeout_s: float | None = None

    @classmethod
    def parse(cls, timeout: Any, client: Any, priority: Any, on_full: Any) -> RequestTerms:
        """Check the values of a caller. Raises InvalidOption.

        Args:
            timeout: Seconds, or None.
            client: See `named_client`; None for the calling task or thread.
            priority: A finite number.
            on_full: Name of an `OnFull`.
        """
        urgency = priority if priority == 0 and type(priority) is int else number("priority", priority)
        if not math.isfinite(urgency):
            raise InvalidOption(f"priority must be a finite number, got {shown(priority)}.")
        timeout_s = None if timeout is None else positive_seconds(timeout)
        owner = calling_client() if client is None else named_client(client)
        fate = on_full if isinstance(on_full, OnFull) else OnFull(on_full)
        return cls(math.inf, owner, urgency, fate, timeout_s)

    def starting(self, now: float) -> RequestTerms:
        """Set the deadline of a request that begins now."""
        return self if self.timeout_s is None else self._replace(deadline=now + self.timeout_s)


class _CallerMark:
    """Stands for one thread or one task, compared by identity; shows as its name."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __repr__(self) -> str:
        return self._name


_threads = threading.local()
_tasks_lock = threading.Lock()  # guards the marks of tasks
_tasks: weakref.WeakKeyDictionary[Any, _CallerMark] = weakref.WeakKeyDictionary()


@after_fork_in_child
def _reset_after_fork() -> None:
    global _tasks_lock, _tasks
    _tasks_lock, _tasks = threading.Lock(), weakref.WeakKeyDictionary()


def named_client(client: Any) -> Client:
    """Find the client that was named by a `Client`, a text, a number or a tuple. Raises InvalidOption."""
    if isinstance(client, Client):
        weight = positive("weight", client.weight)
        if weight > MAX_WEIGHT:
            raise InvalidOption(f"weight must be at most {MAX_WEIGHT}, got {shown(client.weight)}.")
        return Client(("named", _checked_key(client.key)), weight)
    return Client(("named", _checked_key(client)))


def label_of(client: Client) -> str:
    """Name a client in words: as its caller named it, or by its thread or task."""
    named = isinstance(client.key, tuple) and len(client.key) == 2 and client.key[0] == "named"
    return repr(client.key[1] if named else client.key)  # type: ignore[index]


def calling_client() -> Client:
    """Find the client that stands for the calling task or thread."""
    asyncio = sys.modules.get("asyncio")  # a program that runs tasks has imported it
    try:
        task = None if asyncio is None else asyncio.current_task()
    except RuntimeError:  # no event loop runs in this thread
        task = None
    # A mark and not a number: the idents of threads and the ids of tasks come again.
    if task is None:
        client: Client | None = getattr(_threads, "client", None)
        if client is None:
            client = _threads.client = Client(_CallerMark(f"thread {threading.current_thread().name}"))
        return client
    with _tasks_lock:
        known = _tasks.get(task)
    if known is None:
        mark = _CallerMark(f"task {task.get_name()}")  # a task may be of the caller's class: no lock is held
        with _tasks_lock:
            known = _tasks.setdefault(task, mark)
    return Client(known)


def _checked_key(key: Any) -> Hashable:
    """Allow only plain values: keys are compared under the engine's lock, where no code of the caller may run."""
    if type(key) in (str, bytes, int, float, bool, NoneType) or isinstance(key, uuid.UUID):
        return key  # type: ignore[no-any-return]
    if type(key) is tuple:
        return tuple(map(_checked_key, key))
    raise InvalidOption(f"client must be a text, a number or a tuple of them, got {shown(key)}.")
