"""On which terms a request waits: whose it is, how urgent, until when, and what happens when the queue is full."""

from __future__ import annotations

import math
import sys
import threading
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

from yoloom.engine.queue_policy import OnFull
from yoloom.engine.turns import ANYBODY, Client
from yoloom.errors import InvalidOption
from yoloom.options import number, positive, shown

MAX_WEIGHT = 1000


@dataclass(frozen=True)
class Terms:
    """Immutable: shared freely. deadline: on the engine's clock, infinity for none."""

    deadline: float = math.inf
    client: Client = ANYBODY
    priority: float = 0
    on_full: OnFull = OnFull.WAIT


def client_of(asked: Any) -> Client:
    """The client that was named, by a `Client` or any hashable value; else the calling task or thread.

    Raises InvalidOption.
    """
    if asked is None:
        return Client(_caller())
    if isinstance(asked, Client):
        weight = positive("weight", asked.weight)
        if weight > MAX_WEIGHT:
            raise InvalidOption(f"weight must be at most {MAX_WEIGHT}, got {shown(asked.weight)}.")
        return Client(_hashable(asked.key), weight)
    return Client(_hashable(asked))


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
    return threading.get_ident() if task is None else ("task", id(task))


def _hashable(key: Any) -> Hashable:
    try:
        hash(key)
    except Exception:  # noqa: BLE001  whatever the caller's class raises
        raise InvalidOption(f"client must be hashable, such as a name or a number, got {shown(key)}.") from None
    return key  # type: ignore[no-any-return]
