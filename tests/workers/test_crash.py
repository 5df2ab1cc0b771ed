"""Workers that end or fall silent at every step: no request is lost or doubled, nothing hangs, nothing is left."""

from __future__ import annotations

import os
import resource
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import wait
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from yoloom.engine.futures import ResultFuture, predict_later, predict_now
from yoloom.engine.insight.statistics import WorkerStatistics
from yoloom.engine.scheduling.request_terms import RequestTerms
from yoloom.errors import DeadlineExceeded, EngineClosed, InvalidModel, WorkerCrashed, WorkersUnavailable
from yoloom.options import PredictOptions
from yoloom.sync.clock import monotonic
from yoloom.testing import fake_model
from yoloom.workers.process import WorkerProcess
from yoloom.workers.process_lanes import worker_engine
from yoloom.workers.recipe import Recipe
from yoloom.workers.settings import Workers

pytestmark = pytest.mark.slow

QUIET_S = 2.0  # silence that ends a worker in these tests: beats come four times a second
WAYS = ("SIGKILL", "SIGSEGV", "exit", "memory", "SIGSTOP")


def picture(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(10, 256, (64, 64, 3), np.uint8)


def poison() -> np.ndarray:
    image = picture(99)
    image[8, 0] = (1, 2, 3)
    return image


@contextmanager
def opened(recipe: Recipe, count: int = 2, **more: Any) -> Iterator[worker_engine]:
    workers = Workers(count, silence_s=QUIET_S, **({"restarts": 50} | more))
    engine = worker_engine(fake_model(), recipe, workers, threads=count, capacity=64)
    engine.start()
    try:
        yield engine
    finally:
        engine.close()


@pytest.fixture
def faulty(tmp_path: Path) -> Callable[..., Recipe]:
    def recipe(step: str = "never", how: str = "exit", times: int = 1, together: bool = False) -> Recipe:
        plan = {"step": step, "how": how, "times": times, "folder": str(tmp_path), "together": together}
        return Recipe("worker_faults:open_faulty", plan)

    return recipe


def later(engine: worker_engine, image: np.ndarray, deadline: float = np.inf) -> ResultFuture:
    return predict_later(
        engine, engine.lanes.new_job(engine.model, PredictOptions(), "a.jpg"), image, RequestTerms(deadline)
    )


def now(engine: worker_engine, image: np.ndarray) -> bytes:
    prediction = engine.lanes.new_job(engine.model, PredictOptions(), "a.jpg")
    return bytes(predict_now(engine, prediction, image, RequestTerms()).boxes.data.tobytes())


@pytest.fixture(scope="module")
def expected() -> list[bytes]:
    with opened(
        Recipe("worker_faults:open_faulty", {"step": "never", "how": "", "times": 0, "folder": ""}), 1
    ) as engine:
        return [now(engine, picture(seed)) for seed in range(12)]


def answers(engine: worker_engine, count: int = 12) -> list[bytes]:
    futures = [later(engine, picture(seed)) for seed in range(count)]
    return [bytes(future.result(60).boxes.data.tobytes()) for future in futures]


def crew(engine: worker_engine) -> tuple[WorkerStatistics, ...]:
    return engine.statistics().workers


def until(condition: Callable[[], object]) -> None:
    for _ in range(6000):
        if condition():
            return
        threading.Event().wait(0.01)
    raise TimeoutError("it did not come to be")


def all_ready(engine: worker_engine) -> bool:
    return all(worker.state == "ready" for worker in crew(engine))


# ---- At every step: one worker, and all of them at once


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize("step", ["running", "writing", "half-way"])
def test_a_worker_that_ends_at_work_is_replaced_and_its_request_done_once_more(
    faulty: Callable[..., Recipe], expected: list[bytes], step: str, how: str, count: int
) -> None:
    with opened(faulty(step, how, count, together=True)) as engine:
        assert answers(engine) == expected
        numbers = engine.statistics()
        assert (numbers.admitted, numbers.succeeded, numbers.retried) == (12, 12, count)
        assert [worker.restarts for worker in numbers.workers if worker.restarts] == [1] * count
        until(lambda: all_ready(engine))


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("how", WAYS)
def test_a_worker_that_ends_while_it_starts_is_started_again(
    faulty: Callable[..., Recipe], expected: list[bytes], how: str, count: int
) -> None:
    with opened(faulty("starting", how, count, together=True)) as engine:
        assert answers(engine) == expected
        assert [worker.restarts for worker in crew(engine) if worker.restarts] == [1] * count


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("how", WAYS)
def test_a_worker_that_ends_by_itself_while_it_waits_is_replaced(
    faulty: Callable[..., Recipe], expected: list[bytes], how: str, count: int
) -> None:
    """One that has no memory any more notices that with its next image."""
    with opened(faulty("waiting", how, count, together=True)) as engine:
        until(lambda: how == "memory" or sum(worker.restarts for worker in crew(engine)) == count)
        threading.Event().wait(1.0 if how == "memory" else 0)  # for a limit that shows nowhere else
        assert answers(engine) == expected
        assert engine.statistics().failed == 0
        until(lambda: sum(worker.restarts for worker in crew(engine)) == count)
        until(lambda: all_ready(engine))


@pytest.mark.parametrize("how", ["SIGKILL", "SIGSEGV", "SIGTERM", "SIGSTOP"])
def test_a_worker_that_is_killed_while_it_waits_for_work_is_replaced(
    faulty: Callable[..., Recipe], expected: list[bytes], how: str
) -> None:
    """The fault that leaves a shared queue's lock taken for ever: here each generation has a channel of its own.

    All workers at once, so that none of the old ones could serve.
    """
    with opened(faulty()) as engine:
        before = {worker.pid for worker in crew(engine)}
        for pid in before:
            os.kill(pid or 0, getattr(signal, how))
        assert answers(engine) == expected
        assert engine.statistics().failed == 0
        until(lambda: all_ready(engine))
        assert not before & {worker.pid for worker in crew(engine)}


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("how", ["SIGKILL", "SIGSEGV", "SIGTERM", "SIGSTOP", "memory"])
def test_a_worker_that_ends_while_an_image_is_copied_in_costs_nothing(
    faulty: Callable[..., Recipe], expected: list[bytes], how: str, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual, together = WorkerProcess._put_image, threading.Barrier(count)
    turns = iter(range(count))

    def put(self: WorkerProcess, request: Any) -> None:
        usual(self, request)
        if next(turns, None) is None:
            return
        together.wait(30)
        if how == "memory":
            resource.prlimit(self.pid, resource.RLIMIT_AS, (2**20, resource.RLIM_INFINITY))
        else:
            os.kill(self.pid, getattr(signal, how))

    with opened(faulty()) as engine:
        monkeypatch.setattr(WorkerProcess, "_put_image", put)
        assert answers(engine) == expected
        assert engine.statistics().failed == 0


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("how", WAYS)
def test_a_worker_that_ends_during_a_drain_is_replaced_first(
    faulty: Callable[..., Recipe], how: str, count: int
) -> None:
    with opened(faulty("running", how, count, together=True)) as engine:
        futures = [later(engine, picture(seed)) for seed in range(12)]
        engine.close(drain=True)
        assert [future.exception(60) for future in futures] == [None] * 12


def test_one_that_is_killed_while_it_is_being_replaced(faulty: Callable[..., Recipe], expected: list[bytes]) -> None:
    """The first two of three processes end over nothing, the second while it starts."""
    with opened(faulty(), 1) as engine:
        os.kill(crew(engine)[0].pid or 0, signal.SIGKILL)
        until(lambda: crew(engine)[0].state == "starting")
        os.kill(crew(engine)[0].pid or 0, signal.SIGKILL)
        assert answers(engine) == expected
        assert crew(engine)[0].restarts == 2


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("how", WAYS)
def test_a_replacement_that_ends_while_it_starts_is_replaced(
    tmp_path: Path, expected: list[bytes], how: str, count: int
) -> None:
    plan = {"step": "starting", "how": how, "times": count, "folder": str(tmp_path / "now"), "together": True}
    with opened(Recipe("worker_faults:open_faulty_when_folder", plan)) as engine:
        (tmp_path / "now").mkdir()
        for worker in crew(engine)[:count]:
            os.kill(worker.pid or 0, signal.SIGKILL)
        assert answers(engine) == expected
        until(lambda: all_ready(engine))
        assert [worker.restarts for worker in crew(engine) if worker.restarts] == [2] * count


@pytest.mark.parametrize("how", WAYS)
def test_an_heir_that_ends_while_it_starts_is_replaced(tmp_path: Path, expected: list[bytes], how: str) -> None:
    """The one whose place it is to take goes on meanwhile."""
    plan = {"step": "starting", "how": how, "times": 1, "folder": str(tmp_path / "now")}
    with opened(Recipe("worker_faults:open_faulty_when_folder", plan)) as engine:
        before = [worker.pid for worker in crew(engine)]
        (tmp_path / "now").mkdir()
        resized = threading.Thread(target=engine.lanes.resize, args=(1,))  # the first gets both CPUs, by an heir
        resized.start()
        until((tmp_path / "now" / "strike-0").exists)
        assert answers(engine) == expected
        resized.join(60)
        assert [worker.threads for worker in crew(engine)] == [2]
        assert crew(engine)[0].pid not in before
        assert answers(engine) == expected


@pytest.mark.parametrize("how", ["SIGKILL", "SIGSEGV", "SIGTERM", "SIGSTOP"])
def test_one_that_is_killed_while_its_heir_starts_loses_nothing(
    tmp_path: Path, expected: list[bytes], how: str
) -> None:
    plan = {"step": "starting", "how": "SIGSTOP", "times": 1, "folder": str(tmp_path / "now")}
    with opened(Recipe("worker_faults:open_faulty_when_folder", plan)) as engine:
        (tmp_path / "now").mkdir()
        resized = threading.Thread(target=engine.lanes.resize, args=(1,))
        resized.start()
        until((tmp_path / "now" / "strike-0").exists)  # the heir is stopped: there is time
        os.kill(crew(engine)[0].pid or 0, getattr(signal, how))
        assert answers(engine) == expected
        resized.join(60)
        assert [worker.threads for worker in crew(engine)] == [2]
        assert engine.statistics().failed == 0


def test_all_workers_fall_silent_at_once_and_again(faulty: Callable[..., Recipe], expected: list[bytes]) -> None:
    with opened(faulty()) as engine:
        for _ in range(2):
            until(lambda: all_ready(engine))
            for worker in crew(engine):
                os.kill(worker.pid or 0, signal.SIGSTOP)
            assert answers(engine) == expected


def test_a_close_does_not_wait_for_a_stopped_worker(faulty: Callable[..., Recipe]) -> None:
    with opened(faulty("running", "SIGSTOP")) as engine:
        future = later(engine, picture(0))
        until(lambda: any(worker.served or worker.state == "ready" for worker in crew(engine)))
        engine.close()
        assert isinstance(future.exception(30), (type(None), EngineClosed))


# ---- Images that kill


@pytest.mark.parametrize("how", ["SIGSEGV", "exit", "memory"])
def test_an_image_that_ends_two_workers_is_not_tried_again_and_the_others_go_on(
    faulty: Callable[..., Recipe], expected: list[bytes], how: str
) -> None:
    with opened(faulty("poison", how, times=1000)) as engine:
        futures = [later(engine, picture(seed)) for seed in range(6)]
        bad = later(engine, poison())
        futures += [later(engine, picture(seed)) for seed in range(6, 12)]
        error = bad.exception(60)
        assert isinstance(error, WorkerCrashed)
        code = {"SIGSEGV": -signal.SIGSEGV, "exit": 3, "memory": 70}[how]
        assert error.exits == (code, code)
        assert {"SIGSEGV": "SIGSEGV", "exit": "exit status 3", "memory": "out of memory"}[how] in str(error)
        assert "ran the network" in str(error)
        assert [future.result(60).boxes.data.tobytes() for future in futures] == expected
        numbers = engine.statistics()
        assert (numbers.succeeded, numbers.failed) == (12, 1)
        # The second may not have been replaced yet: the worker that is left may have run all that waited.
        until(lambda: sum(worker.restarts for worker in crew(engine)) == 2)


def test_the_last_words_of_a_crash_are_told(faulty: Callable[..., Recipe]) -> None:
    with opened(faulty("poison", "SIGSEGV", times=1000), 1) as engine:
        error = str(later(engine, poison()).exception(60))
        assert "Segmentation fault" in error
        assert "in strike" in error


def test_a_deadline_ends_the_wait_for_the_next_worker(faulty: Callable[..., Recipe]) -> None:
    with opened(faulty("running", "exit", times=1000), 1) as engine:
        assert isinstance(later(engine, picture(0), monotonic() + 0.1).exception(60), DeadlineExceeded)
        until(lambda: engine.statistics().expired == 1)  # counted when its lane lets go of it


# ---- The budget


def test_a_crash_loop_ends_in_an_error_that_says_so(faulty: Callable[..., Recipe]) -> None:
    with opened(faulty("running", "exit", times=1000), restarts=3) as engine:
        errors = [later(engine, picture(seed)).exception(60) for seed in range(6)]
        assert {type(error) for error in errors} == {WorkerCrashed, WorkersUnavailable}
        error = errors[-1]
        assert isinstance(error, WorkersUnavailable)
        assert "more than 3 ended within 60 seconds" in str(error)
        assert "exit status 3" in str(error)
        assert sum(worker.restarts for worker in crew(engine)) == 3
        assert {worker.state for worker in crew(engine)} == {"spent"}


def test_a_spent_budget_leaves_the_work_to_those_that_live(
    faulty: Callable[..., Recipe], expected: list[bytes]
) -> None:
    """Seen to fail requests at random when the lane without a worker stays in use: it is always free."""
    with opened(faulty(), restarts=0) as engine:
        os.kill(crew(engine)[0].pid or 0, signal.SIGKILL)
        until(lambda: crew(engine)[0].state == "spent")
        assert answers(engine) == expected


def test_workers_come_back_when_the_time_of_the_budget_has_passed(
    faulty: Callable[..., Recipe], expected: list[bytes]
) -> None:
    with opened(faulty(), 1, restarts=1, within_s=3.0) as engine:
        for _ in range(2):
            until(lambda: all_ready(engine))
            os.kill(crew(engine)[0].pid or 0, signal.SIGKILL)
            until(lambda: not all_ready(engine))
        until(lambda: crew(engine)[0].state == "spent")
        assert isinstance(later(engine, picture(0)).exception(60), WorkersUnavailable)
        until(lambda: all_ready(engine))
        assert answers(engine) == expected


def test_a_model_that_no_worker_can_open_says_why() -> None:
    """Its error arrives with its cause, at once, and nothing is left of the workers."""
    with (
        pytest.raises(InvalidModel, match=r"broken\.onnx is broken") as caught,
        opened(Recipe("worker_faults:open_broken", {})),
    ):
        pass
    assert "ValueError: in its heart" in str(caught.value.__cause__)


def test_workers_that_crash_from_the_start_are_not_started_for_ever(faulty: Callable[..., Recipe]) -> None:
    with (
        pytest.raises(WorkersUnavailable, match="SIGKILL"),
        opened(faulty("starting", "SIGKILL", times=1000), restarts=2),
    ):
        pass


def test_a_worker_may_write_what_it_likes(capfd: pytest.CaptureFixture[str]) -> None:
    with opened(Recipe("worker_faults:open_talkative", {}), 1) as engine:
        assert len(now(engine, picture(0)))
    assert capfd.readouterr() == ("", "")


# ---- Resize


def test_resize_changes_the_number_of_workers_and_refuses_nobody(
    faulty: Callable[..., Recipe], expected: list[bytes]
) -> None:
    workers = Workers(2, silence_s=QUIET_S)
    engine = worker_engine(fake_model(), faulty(), workers, threads=4, capacity=64)
    engine.start()
    stop, wrong = threading.Event(), []

    def caller() -> None:
        while not stop.is_set():
            wrong.extend(seed for seed in range(12) if now(engine, picture(seed)) != expected[seed])

    callers = [threading.Thread(target=caller) for _ in range(3)]
    for thread in callers:
        thread.start()
    shares = []
    for count in (4, 1, 3):
        engine.lanes.resize(count)
        shares.append([worker.threads for worker in crew(engine)])
    stop.set()
    for thread in callers:
        thread.join(60)
    numbers = engine.statistics()
    engine.close()
    assert shares == [[1, 1, 1, 1], [4], [1, 1, 1]]
    assert not wrong
    assert (numbers.failed, numbers.refused, numbers.retried) == (0, 0, 0)
    assert numbers.admitted == numbers.succeeded


@pytest.mark.parametrize("how", ["SIGKILL", "SIGSTOP"])
def test_a_worker_that_ends_while_workers_become_fewer_loses_nothing(
    faulty: Callable[..., Recipe], expected: list[bytes], how: str
) -> None:
    """Its lane is wanted no longer, and still has a request to do once more. Seen to wait for ever without a worker."""
    with opened(faulty("running", how, times=2)) as engine:
        futures = [later(engine, picture(seed)) for seed in range(12)]
        engine.lanes.resize(1)
        assert [future.result(60).boxes.data.tobytes() for future in futures] == expected
        assert len(crew(engine)) == 1


def test_a_resize_that_can_not_be_done_changes_nothing(tmp_path: Path, expected: list[bytes]) -> None:
    plan = {"step": "starting", "how": "exit", "times": 1000, "folder": str(tmp_path / "not-yet")}
    workers = Workers(1, silence_s=QUIET_S, restarts=2)
    engine = worker_engine(fake_model(), Recipe("worker_faults:open_faulty_when_folder", plan), workers, threads=2)
    engine.start()
    (tmp_path / "not-yet").mkdir()
    with pytest.raises(WorkersUnavailable):
        engine.lanes.resize(2)
    assert now(engine, picture(3)) == expected[3]
    assert len(crew(engine)) == 1
    engine.close()


# ---- Memory and descriptors


def test_nothing_grows_with_the_workers_that_have_gone(faulty: Callable[..., Recipe]) -> None:
    with opened(faulty(), 1, restarts=1000) as engine:
        counts = []
        for _ in range(6):
            until(lambda: all_ready(engine))
            now(engine, picture(0))
            counts.append(psutil.Process().num_fds())
            os.kill(crew(engine)[0].pid or 0, signal.SIGKILL)
            until(lambda: not all_ready(engine))
        assert counts[-1] <= counts[1]


def test_futures_that_wait_end_when_the_engine_closes_while_no_worker_lives(faulty: Callable[..., Recipe]) -> None:
    with opened(faulty("running", "exit", times=1000), 1, restarts=1, within_s=1000.0) as engine:
        futures = [later(engine, picture(seed)) for seed in range(4)]
        engine.close()
        wait(futures, 30)
        assert all(
            isinstance(future.exception(0), (WorkerCrashed, WorkersUnavailable, EngineClosed)) for future in futures
        )
