"""Calls from other threads into the supervisor's thread, which a pipe wakes."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from yoloom.errors import EngineClosed

Order = Callable[[], object]


class Mailbox:
    """Orders for one thread, which polls the mailbox beside its other descriptors. The constructor opens nothing.

    Each order that `post` accepts is carried out exactly once: by the thread while it runs, or at its end out of the
    list that `close` returns. So no caller waits for an answer that never comes.

    Thread safety: any number of threads post; `open`, `take` and `close` are for the thread that owns it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()  # guards all that follows
        self._orders: list[Order] = []
        self._is_open = False
        self._reader = self._writer = -1

    def open(self) -> None:
        """Accept orders from now on. Raises OSError when there are no descriptors."""
        with self._lock:
            self._reader, self._writer = os.pipe()
            os.set_blocking(self._writer, False)
            self._is_open = True

    def fileno(self) -> int:
        """Return the descriptor that is readable while there are orders."""
        return self._reader

    def post(self, order: Order) -> bool:
        """Leave an order and wake the thread. Return False when the mailbox is closed, or not yet open."""
        with self._lock:
            if not self._is_open:
                return False
            self._orders.append(order)
            with contextlib.suppress(BlockingIOError):  # the pipe is full, so the thread will wake up anyway
                # Under the lock: `close` can not give the descriptor's number to another file in between.
                os.write(self._writer, b".")
            return True

    def call(self, work: Callable[[], Any]) -> Any:
        """Have the thread do the work and return its result. Raises what it raises, or EngineClosed."""
        future: Future[Any] = Future()

        def order() -> None:
            try:
                future.set_result(work())
            except Exception as error:  # noqa: BLE001  it belongs to the caller
                future.set_exception(error)

        if not self.post(order):
            raise EngineClosed("the model is closed; open it again with YOLO(path).")
        # Not for ever: an order that was accepted is carried out, at the latest when the thread ends.
        return future.result()

    def take(self) -> list[Order]:
        """Remove and return the orders that were left."""
        with self._lock:
            orders, self._orders = self._orders, []
            if orders:
                # Each order was written under the lock, before this: the pipe is not empty, and reading never blocks.
                os.read(self._reader, 2**16)
            return orders

    def close(self) -> list[Order]:
        """Accept no more orders, and return those that are still to be carried out. Idempotent."""
        with self._lock:
            self._is_open = False
            for descriptor in (self._reader, self._writer):
                if descriptor >= 0:
                    os.close(descriptor)
            self._reader = self._writer = -1
            orders, self._orders = self._orders, []
            return orders
