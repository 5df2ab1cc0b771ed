"""One engine for each model file in a process, however many handles are opened, and by however many threads.

A handle holds a `Lease`; the engine is closed with its last lease.
"""

from __future__ import annotations

import functools
import os
import threading
import weakref
from collections.abc import Callable, Hashable
from concurrent.futures import Future

from yoloom.engine.engine import Engine
from yoloom.errors import EngineClosed
from yoloom.sync.clock import TimeLimit
from yoloom.sync.fork import after_fork_in_child
from yoloom.sync.interpreter_exit import finish_at_exit, wait_for_calls
from yoloom.sync.once import Once
from yoloom.sync.thread_pool import Chore, ThreadPool

Key = Hashable

EXIT_PATIENCE_S = 8.0
"""How long the end of the interpreter waits for runs and callbacks that hang, in all."""

ABANDON_PATIENCE_S = 30.0
"""How long the keeper waits for those of a handle that was collected without `close`."""


class Claim:
    """One handle's claim on an engine, also on one that is still being built. Compared by identity.

    Thread safety: any number of threads.
    """

    __slots__ = ("_pid", "_registry", "key")

    def __init__(self, registry: Registry, key: Key) -> None:
        self.key = key
        self._registry = registry
        self._pid = os.getpid()

    @property
    def is_ours(self) -> bool:
        """Whether it is this process's, and not a copy of its parent's."""
        return os.getpid() == self._pid

    def release(self, drain: bool = False, timeout: float | None = None) -> None:
        """Give the claim back, see `Registry.release`. Does nothing in a forked child."""
        if self.is_ours:  # else the engine, and the lock of its registry, are the parent's
            self._registry.release(self, drain, timeout)

    def abandon(self) -> None:
        """`release` for finalizers: takes no lock and waits for nobody."""
        if self.is_ours:
            # Bounded: what hangs in a runtime or in a callback must not keep the keeper from the others for ever.
            self._registry.later(functools.partial(self.release, timeout=ABANDON_PATIENCE_S))


class Lease:
    """One handle's claim on an engine that is open. `release` gives it back, once.

    So does the garbage collector: a lease that nobody has got, because Ctrl-C came in between, is given back too.

    Thread safety: any number of threads.
    """

    def __init__(self, claim: Claim, engine: Engine) -> None:
        self._claim = claim
        self.engine = engine
        self._once = Once()
        self._finalizer = weakref.finalize(self, claim.abandon)
        self._finalizer.atexit = False  # the registry closes the engines then

    def release(self, drain: bool = False, timeout: float | None = None) -> None:
        """Give the claim back; the engine closes when it was the last, before this returns. See `Engine.close`."""
        self._once.take()
        self._claim.release(drain, timeout)
        self._finalizer.detach()

    def abandon(self) -> None:
        """`release` for finalizers: takes no lock and waits for nobody."""
        self._once.take()
        self._claim.abandon()

    @property
    def is_ours(self) -> bool:
        """Whether it is this process's, and not a copy of its parent's."""
        return self._claim.is_ours

    @property
    def is_held(self) -> bool:
        """Whether it is this process's, and was not given back."""
        return self.is_ours and not self._once.taken


class Pending(Future[Engine]):
    """An engine that is open, or is being built for `builder` and all who wait.

    Thread safety: any number of threads.
    """

    def __init__(self, builder: Claim) -> None:
        super().__init__()
        self.builder = builder


class Registry:
    """The engines of a process.

    Ctrl-C may strike at any line. What was begun by then is undone with the claim, which is noted before all else.

    Thread safety: any number of threads.
    """

    def __init__(self) -> None:
        # Guards all that follows. Never held while an engine is built or closed.
        self._lock = threading.Lock()
        self._engines: dict[Key, Pending] = {}
        self._claims: dict[Key, frozenset[Claim]] = {}
        # All that may have threads: open, being built, or closed in too little time. The end waits for these too.
        self._living: list[Engine] = []
        self._exiting = False
        self._keeper: ThreadPool | None = None  # there while an engine is
        self._retired: list[ThreadPool] = []  # keepers that may still be closing the last engine

    def claim(self, key: Key, build: Callable[[], Engine]) -> Lease:
        """Lease the engine of `key`. The first to ask builds it, the others wait; all get its error.

        build: makes an engine that is not started yet.
        """
        claim = Claim(self, key)
        try:
            pending = self._pending(claim)
            if pending.builder is claim:
                self._build(pending, claim.key, build)
            return Lease(claim, pending.result())
        except BaseException:
            self._take_back(claim)
            raise

    def _pending(self, claim: Claim) -> Pending:
        """The engine that is claimed, which the claim's owner must build when it is the first."""
        key = claim.key
        with self._lock:
            if self._exiting:  # nobody would end its threads
                raise EngineClosed("no model can be opened any more: the interpreter ends.")
            # Claimed before there is anything to claim: a handle that is closed meanwhile ends the engine only when
            # this one has no claim on it either.
            self._claims[key] = self._claims.get(key, frozenset()) | {claim}
            self._have_keeper()  # before anything is promised: it may fail
            pending = self._engines.get(key)
            if pending is None:
                pending = self._engines[key] = Pending(claim)
            return pending

    def _build(self, pending: Pending, key: Key, build: Callable[[], Engine]) -> None:
        _settle(pending, build, self._note)
        if pending.exception() is not None:  # whoever comes next tries again, though others may still hear of this one
            with self._lock:
                if self._engines.get(key) is pending:
                    del self._engines[key]
            self._forget_ended()

    def _note(self, engine: Engine) -> None:
        """Know an engine until its threads have ended."""
        with self._lock:
            self._living.append(engine)

    def _forget_ended(self) -> None:
        """Let go of engines that are closed and have no thread any more, and with them of their weights."""
        with self._lock:
            self._living = [engine for engine in self._living if not engine.is_closed or engine.threads_alive()]

    def _take_back(self, claim: Claim) -> None:
        """Undo a claim that ended in an error, or in the middle of any line."""
        with self._lock:
            pending = self._engines.get(claim.key)
        if pending is not None and pending.builder is claim and not pending.done():
            # Or those who wait would wait for ever.
            pending.set_exception(EngineClosed("opening the model was interrupted in another thread; open it again."))
        self.release(claim)

    def release(self, claim: Claim, drain: bool = False, timeout: float | None = None) -> None:
        """Give a claim back, if it is there. Closes the engine when it was the last."""
        pending = None
        try:
            with self._lock:
                claims = self._claims.get(claim.key, frozenset())
                if claim not in claims:
                    return
                if claims != {claim}:
                    self._claims[claim.key] = claims - {claim}
                    return
                pending = self._engines.get(claim.key)
                self._engines.pop(claim.key, None)
                del self._claims[claim.key]
            # Out of the table under the lock, closed without it: who opens the file now gets a new engine, and waits
            # neither for this one's drain nor for its threads.
            _close(pending, drain, timeout)
        except BaseException:  # Ctrl-C while it drains: nobody else can end this engine any more
            _close(pending, timeout=0)
            raise
        finally:
            self._forget_ended()
            self._dismiss_keeper()

    def later(self, chore: Chore) -> None:
        """Have the keeper do a finalizer's work. Takes no lock; without engines there is nothing left to do."""
        # A finalizer runs in any thread, at any line, also where this registry's lock is held: it must not ask for it.
        keeper = self._keeper
        if keeper is not None:
            keeper.later(chore)

    def engines(self) -> list[Engine]:
        """List the engines that are open now."""
        with self._lock:
            settled = [pending for pending in self._engines.values() if pending.done()]
        return [pending.result() for pending in settled if pending.exception() is None]

    def close_all(self) -> None:
        """Close every engine, at the end of the interpreter. Its handles answer EngineClosed from then on."""
        patience = TimeLimit(EXIT_PATIENCE_S)
        with self._lock:
            self._exiting = True
            engines = list(self._living)
            self._take_keeper()
            retired = list(self._retired)
        for left, engine in zip(range(len(engines), 0, -1), engines, strict=True):
            # Once more also those whose `close` was interrupted, or ran out of time. One that hangs leaves time for the
            # others.
            engine.close(timeout=(patience.left or 0.0) / left)
        # A keeper may be closing the engine of a handle that was collected a moment ago.
        for keeper in retired:
            keeper.stop(patience)
        # Last of all, as every other call has its error by now: those that open, decode, or make results in threads of
        # the user's.
        wait_for_calls(patience)

    def _have_keeper(self) -> None:
        if self._keeper is not None:
            return
        keeper = ThreadPool(1, "yoloom-keeper")
        try:
            keeper.start()
            self._keeper = keeper
        except BaseException:
            self._keeper = None
            keeper.stop()
            raise

    def _dismiss_keeper(self) -> None:
        """Without engines there is nothing for it to do. Waits for it, and not for those that retired before."""
        with self._lock:
            if self._claims or self._engines:
                return
            keeper = self._take_keeper()
            retired = list(self._retired)
        for crew in retired:
            crew.stop(TimeLimit(ABANDON_PATIENCE_S if crew is keeper else 0))

    def _take_keeper(self) -> ThreadPool | None:
        keeper = self._keeper
        if keeper is not None:
            self._retired = [crew for crew in self._retired if crew.is_alive and crew is not keeper] + [keeper]
            self._keeper = None
        return keeper


def _settle(pending: Pending, build: Callable[[], Engine], note: Callable[[Engine], None]) -> None:
    engine = None
    try:
        engine = build()
        note(engine)
        engine.start()
        pending.set_result(engine)
    except BaseException as error:
        if engine is not None and not pending.done():
            engine.close(timeout=0)  # a lane may have been started before
        if not isinstance(error, Exception):  # Ctrl-C is for this thread alone
            raise
        pending.set_exception(error)  # all who wait for this engine must hear of it


def _close(pending: Pending | None, drain: bool = False, timeout: float | None = None) -> None:
    if pending is not None and pending.exception() is None:
        pending.result().close(drain, timeout)


_registry = Registry()


def registry() -> Registry:
    """Find the registry of this process."""
    return _registry


@after_fork_in_child
def _reset_after_fork() -> None:
    # The child has none of the parent's threads, and the lock may have been held when it was copied.
    global _registry
    _registry = Registry()


@finish_at_exit
def _close_at_exit() -> None:
    _registry.close_all()  # looked up then: a forked child has a registry of its own
