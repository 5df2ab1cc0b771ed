"""One engine for each model file in a process, however many handles are opened, and by however many threads.

A handle holds a `Lease`; the engine is closed with its last lease.
"""

from __future__ import annotations

import atexit
import functools
import os
import threading
from collections.abc import Callable, Hashable
from concurrent.futures import Future

from yoloom.clock import Patience
from yoloom.engine.crew import Chore, Crew
from yoloom.engine.engine import Engine
from yoloom.engine.once import Once
from yoloom.errors import EngineClosed
from yoloom.forks import in_forked_child

Key = Hashable

EXIT_PATIENCE_S = 30.0
"""How long the end of the interpreter waits for runs and callbacks that hang, in all."""


class Lease:
    """One handle's claim on an engine. `release` gives it back, once; any thread, and the garbage collector too."""

    def __init__(self, registry: Registry, key: Key, engine: Engine) -> None:
        self._registry = registry
        self._key = key
        self.engine = engine
        self._once = Once()
        self._pid = os.getpid()

    def release(self, drain: bool = False, timeout: float | None = None) -> None:
        """Give the claim back; the engine closes when it was the last, before this returns. See `Engine.close`."""
        if self._take():
            self._registry.release(self._key, drain, timeout)

    def abandon(self) -> None:
        """`release` for finalizers: takes no lock and waits for nobody."""
        if self._take():
            # Bounded: what hangs in a runtime or in a callback must not keep the keeper from the others for ever.
            self._registry.later(functools.partial(self._registry.release, self._key, timeout=EXIT_PATIENCE_S))

    @property
    def is_ours(self) -> bool:
        """Whether it is this process's, and not a copy of its parent's."""
        return os.getpid() == self._pid

    @property
    def is_held(self) -> bool:
        """Whether it is this process's, and was not given back."""
        return self.is_ours and not self._once.taken

    def _take(self) -> bool:
        if not self.is_ours:
            return False  # the engine, and the lock of its registry, are the parent's
        return self._once.take()


class Registry:
    """The engines of a process. Shared freely."""

    def __init__(self) -> None:
        # Guards all that follows. Never held while an engine is built or closed.
        self._lock = threading.Lock()
        self._engines: dict[Key, Future[Engine]] = {}
        self._claims: dict[Key, int] = {}
        self._keeper: Crew | None = None  # there while an engine is
        self._retired: list[Crew] = []  # keepers that may still be closing the last engine

    def claim(self, key: Key, build: Callable[[], Engine]) -> Lease:
        """A lease on the engine of `key`. The first to ask builds it, the others wait; all get its error."""
        with self._lock:
            if self._keeper is None:
                keeper = Crew(1, "yoloom-keeper")
                keeper.start()  # before anything is promised: it may fail
                self._keeper = keeper
            pending = self._engines.get(key)
            mine = pending is None
            if pending is None:
                pending = self._engines[key] = Future()
            self._claims[key] = self._claims.get(key, 0) + 1
        try:
            if mine:
                _settle(pending, build)
            return Lease(self, key, pending.result())
        except BaseException:
            self.release(key)
            raise

    def release(self, key: Key, drain: bool = False, timeout: float | None = None) -> None:
        """Give one claim back. Closes the engine when it was the last."""
        with self._lock:
            self._claims[key] -= 1
            if self._claims[key]:
                return
            del self._claims[key]
            pending = self._engines.pop(key)
            keeper = None if self._engines else self._take_keeper()
        try:
            _close(pending, drain, timeout)
        except BaseException:  # Ctrl-C while it drains: nobody else can end this engine any more
            _close(pending, timeout=0)
            raise
        finally:
            if keeper is not None:
                keeper.stop(Patience(EXIT_PATIENCE_S))

    def later(self, chore: Chore) -> None:
        """Have the keeper do a finalizer's work. Takes no lock; without engines there is nothing left to do."""
        keeper = self._keeper
        if keeper is not None:
            keeper.later(chore)

    def engines(self) -> list[Engine]:
        """Those that are open now."""
        with self._lock:
            settled = [pending for pending in self._engines.values() if pending.done()]
        return [pending.result() for pending in settled if pending.exception() is None]

    def close_all(self) -> None:
        """Close every engine, at the end of the interpreter. Its handles answer EngineClosed from then on."""
        with self._lock:
            engines = [pending for pending in self._engines.values() if pending.done()]
            self._take_keeper()
            retired = list(self._retired)
        patience = Patience(EXIT_PATIENCE_S)
        for pending in engines:
            _close(pending, timeout=patience.left)
        # A keeper may be closing the engine of a handle that was collected a moment ago. If the interpreter ended below
        # it, in the middle of the runtime's own code, the whole process would abort.
        for keeper in retired:
            keeper.stop(patience)

    def _take_keeper(self) -> Crew | None:
        keeper, self._keeper = self._keeper, None
        if keeper is not None:
            self._retired = [crew for crew in self._retired if crew.is_alive] + [keeper]
        return keeper


def _settle(pending: Future[Engine], build: Callable[[], Engine]) -> None:
    try:
        engine = build()
    except Exception as error:  # noqa: BLE001  all who wait for this engine must hear of it
        pending.set_exception(error)
    except BaseException:  # Ctrl-C is for this thread alone
        pending.set_exception(EngineClosed("opening the model was interrupted in another thread; open it again."))
        raise
    else:
        pending.set_result(engine)


def _close(pending: Future[Engine], drain: bool = False, timeout: float | None = None) -> None:
    if pending.exception() is None:
        pending.result().close(drain, timeout)


_registry = Registry()


def registry() -> Registry:
    """The registry of this process."""
    return _registry


@in_forked_child
def _begin_again() -> None:
    # The child has none of the parent's threads, and the lock may have been held when it was copied.
    global _registry
    _registry = Registry()


def _close_at_exit() -> None:
    _registry.close_all()


atexit.register(_close_at_exit)
