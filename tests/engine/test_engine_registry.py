"""One engine for each file: races on opening, leases, finalizers."""

from __future__ import annotations

import contextlib
import functools
import gc
import itertools
import linecache
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import TypeVar

import pytest

import yoloom.engine.engine_registry as module
from yoloom.engine.engine import Engine, thread_engine
from yoloom.engine.engine_registry import Lease, Registry
from yoloom.errors import EngineClosed, InvalidModel
from yoloom.sync.thread_pool import ThreadPool
from yoloom.testing import FakeBackend, Gate, barrier_run, fake_model

T = TypeVar("T")


@pytest.fixture
def registry() -> Iterator[Registry]:
    registry = Registry()
    yield registry
    registry.close_all()


class Builder:
    """Builds engines and counts them."""

    def __init__(self, *steps: object) -> None:
        self.backend = FakeBackend()
        self.backend.script_compile(*steps)  # type: ignore[arg-type]
        self.engines: list[Engine] = []

    @property
    def built(self) -> int:
        return len(self.engines)

    def __call__(self) -> Engine:
        self.engines.append(thread_engine(fake_model(), self.backend, threads=1))
        return self.engines[-1]


def open_for_use(engine: Engine) -> bool:
    try:
        engine.on_helper(lambda: None)
    except EngineClosed:
        return False
    return True


def test_threads_that_open_the_same_file_at_once_share_one_engine(registry: Registry) -> None:
    """Seen to fail (2 to 64 builds) when `claim` looks up and inserts without the lock."""
    gate = Gate()
    build = Builder(gate)
    opener = threading.Thread(target=lambda: (gate.wait_for(), gate.open()))
    opener.start()
    leases = barrier_run(64, lambda _: registry.claim("a", build))
    opener.join()
    assert build.built == 1
    assert len({id(lease.engine) for lease in leases}) == 1
    for lease in leases:
        lease.release()


def test_the_engine_closes_with_its_last_lease(registry: Registry) -> None:
    build = Builder()
    first, second = registry.claim("a", build), registry.claim("a", build)
    engine = first.engine
    first.release()
    first.release()  # once is all it takes
    assert open_for_use(engine)
    second.release()
    assert not open_for_use(engine)


def test_a_file_that_was_closed_is_opened_anew(registry: Registry) -> None:
    build = Builder()
    registry.claim("a", build).release()
    lease = registry.claim("a", build)
    assert build.built == 2
    assert open_for_use(lease.engine)
    lease.release()


def test_different_files_have_different_engines(registry: Registry) -> None:
    build = Builder()
    first, second = registry.claim("a", build), registry.claim("b", build)
    assert first.engine is not second.engine
    first.release()
    assert open_for_use(second.engine)
    second.release()


def test_a_model_that_can_not_be_opened_says_so_to_all_and_can_be_tried_again(registry: Registry) -> None:
    gate = Gate()
    build = Builder(lambda: (gate(), (_ for _ in ()).throw(InvalidModel("torn file"))))

    def claim(_: int) -> str:
        try:
            return str(registry.claim("a", build))
        except InvalidModel as error:
            return str(error)

    def open_when_all_wait() -> None:
        gate.wait_for()
        while len(registry._claims["a"]) < 8:
            threading.Event().wait(0.001)
        gate.open()

    opener = threading.Thread(target=open_when_all_wait)
    opener.start()
    assert set(barrier_run(8, claim)) == {"torn file"}
    opener.join()
    registry.claim("a", build).release()


class Interrupt:
    """Ctrl-C at the n-th event (a call, a line, a return) of the registry's own code in this thread.

    Not at a `with`, at which it stops once more right before `__exit__`: CPython looks for signals nowhere there.
    """

    def __init__(self, event: int) -> None:
        self._left = event
        self.struck = False

    def __call__(self, frame: FrameType, event: str, _: object) -> Interrupt | None:
        if frame.f_code.co_filename != module.__file__:
            return None
        if event == "line" and linecache.getline(frame.f_code.co_filename, frame.f_lineno).lstrip().startswith("with "):
            return self
        self._left -= 1
        if self._left < 0 and not self.struck:
            self.struck = True
            raise KeyboardInterrupt
        return self

    def during(self, work: Callable[[], T]) -> T | None:
        usual = sys.gettrace()
        sys.settrace(self)
        try:
            return work()
        except KeyboardInterrupt:
            assert self.struck
            return None
        finally:
            sys.settrace(usual)


def assert_empty(registry: Registry, build: Builder) -> None:
    crews = [*registry._retired, *([registry._keeper] if registry._keeper is not None else [])]
    # A lease that nobody has got is given back by the keeper, and a close that was interrupted waits for no lane.
    keepers = [thread for crew in crews for thread in crew.threads]
    lanes = [thread for engine in build.engines for thread in engine.threads_alive()]
    for thread in [*keepers, *lanes]:
        thread.join(30)
        assert not thread.is_alive()
    assert (registry._engines, registry._claims) == ({}, {})


def test_ctrl_c_at_any_moment_of_a_claim_leaves_nothing_behind() -> None:
    """Seen to leave an engine that nobody could close, and one that all others waited for, for ever."""
    for event in itertools.count():
        registry, build, interrupt = Registry(), Builder(), Interrupt(event)
        lease = interrupt.during(functools.partial(registry.claim, "a", build))
        if lease is not None:
            lease.release()
        assert_empty(registry, build)
        registry.claim("a", build).release()
        assert_empty(registry, build)
        if not interrupt.struck:
            break
    assert event > 20


def test_ctrl_c_at_any_moment_of_a_claim_leaves_nobody_waiting() -> None:
    """Seen to leave the others waiting for ever, when it strikes before the engine is built."""
    for event in itertools.count():
        registry, build, interrupt = Registry(), Builder(), Interrupt(event)
        interrupt.during(functools.partial(_claim_beside_another, registry, build))
        assert_empty(registry, build)
        if not interrupt.struck:
            break


def _claim_beside_another(registry: Registry, build: Builder) -> None:
    """Two claims at once, this thread's first; the other is given back at once."""
    others: list[threading.Thread] = []

    def other() -> None:
        with contextlib.suppress(EngineClosed):
            registry.claim("a", build).release()

    def build_beside() -> Engine:
        others.append(threading.Thread(target=other))
        others[0].start()
        while len(registry._claims["a"]) < 2:
            threading.Event().wait(0.001)
        return build()

    try:
        registry.claim("a", build_beside).release()
    finally:
        for thread in others:
            thread.join(30)
            assert not thread.is_alive(), "it waits for what nobody builds"


def test_ctrl_c_at_any_moment_of_a_release_can_be_made_good_by_another() -> None:
    """Seen to leave an engine that nobody could close."""
    for event in itertools.count():
        registry, build, interrupt = Registry(), Builder(), Interrupt(event)
        lease = registry.claim("a", build)
        interrupt.during(lease.release)
        lease.release()
        assert_empty(registry, build)
        if not interrupt.struck:
            break


def test_a_lease_that_nobody_keeps_is_given_back(registry: Registry) -> None:
    build = Builder()
    registry.claim("a", build)
    assert_empty(registry, build)


def test_releases_and_claims_may_cross(registry: Registry) -> None:
    build = Builder()

    def work(_: int) -> None:
        for _ in range(30):
            lease = registry.claim("a", build)
            assert open_for_use(lease.engine)
            lease.release()

    barrier_run(8, work)


def test_an_abandoned_lease_is_released_by_the_keeper(registry: Registry) -> None:
    lease = registry.claim("a", Builder())
    engine, keeper = lease.engine, registry._keeper
    lease.abandon()
    assert keeper is not None
    keeper.threads[0].join(30)
    assert not open_for_use(engine)


def test_a_finalizer_may_run_while_its_thread_holds_the_registrys_lock(registry: Registry) -> None:
    """Seen to hang when `abandon` calls `release` itself: the garbage collector picks the moment, not we."""
    lease = registry.claim("a", Builder())
    keeper = registry._keeper
    with registry._lock:
        lease.abandon()
    assert keeper is not None
    keeper.threads[0].join(30)
    assert not open_for_use(lease.engine)


def test_close_all_closes_an_engine_whose_close_was_interrupted_again_and_again(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen to fail when only the engines in the table were closed: this one is in it no more."""
    lease = registry.claim("a", Builder())

    def interrupted(drain: bool = False, timeout: float | None = None) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(lease.engine, "close", interrupted)
        with pytest.raises(KeyboardInterrupt):
            lease.release()
    assert lease.engine.threads_alive()
    registry.close_all()
    assert not lease.engine.threads_alive()


def test_after_close_all_nothing_is_opened_any_more(registry: Registry) -> None:
    """An engine that is opened in an exit handler, or by a daemon thread, would have lanes when Python is gone."""
    registry.close_all()
    with pytest.raises(EngineClosed, match="interpreter ends"):
        registry.claim("a", Builder())
    registry.close_all()


def test_close_all_waits_for_a_model_that_another_thread_opens(registry: Registry) -> None:
    gate = Gate()
    build = Builder(gate)
    opened: list[object] = []
    opener = threading.Thread(target=lambda: opened.append(registry.claim("a", build)))
    opener.start()
    gate.wait_for()
    closer = threading.Thread(target=registry.close_all)
    closer.start()
    while not build.engines[0].is_closed:
        threading.Event().wait(0.001)
    assert closer.is_alive()
    gate.open()
    closer.join()
    opener.join()
    assert not build.engines[0].threads_alive()


def test_close_all_closes_engines_that_are_in_use(registry: Registry) -> None:
    lease = registry.claim("a", Builder())
    registry.close_all()
    assert not open_for_use(lease.engine)


def test_a_chore_that_fails_does_not_stop_the_crew(caplog: pytest.LogCaptureFixture) -> None:
    keeper = ThreadPool(1, "keeper")
    keeper.start()
    done: list[int] = []
    keeper.later(lambda: 1 // 0)
    keeper.later(lambda: done.append(1))
    keeper.stop()
    assert done == [1]
    assert "a chore failed" in caplog.text


def test_a_lease_of_another_process_is_not_released_here(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    lease: Lease = registry.claim("a", Builder())
    monkeypatch.setattr("os.getpid", lambda: -1)
    lease.release()
    monkeypatch.undo()
    assert open_for_use(lease.engine)
    lease.release()
    gc.collect()


def test_the_end_of_the_interpreter_waits_for_a_keeper_that_closes_an_engine(registry: Registry) -> None:
    """Seen to fail without that wait, and a program that ends so to abort, about once in twenty times."""
    closing, go_on = threading.Event(), threading.Event()

    engine = thread_engine(fake_model(), FakeBackend(), threads=1)
    close = engine.close

    def slowly(drain: bool = False, timeout: float | None = None) -> None:
        closing.set()
        go_on.wait(30)
        close(drain, timeout)

    engine.close = slowly  # type: ignore[method-assign]
    registry.claim("file", lambda: engine).abandon()
    assert closing.wait(30)
    ended = threading.Event()
    end = threading.Thread(target=lambda: (registry.close_all(), ended.set()))
    end.start()
    assert not ended.wait(0.1), "the interpreter went on while an engine was being closed"
    go_on.set()
    end.join(30)
    assert ended.is_set()


def test_who_tries_again_after_a_failure_gets_an_engine(registry: Registry) -> None:
    """Although others are still hearing of the failure. Seen to fail for as long as one of them holds its claim."""
    build = Builder(InvalidModel("it is being written"))
    failed = registry._pending(holding := module.Claim(registry, "key"))
    registry._build(failed, "key", build)
    assert isinstance(failed.exception(), InvalidModel)
    lease = registry.claim("key", build)
    assert (build.built, open_for_use(lease.engine)) == (2, True)
    lease.release()
    registry.release(holding)
