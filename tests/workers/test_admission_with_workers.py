"""Who gets a place and whose turn it is, against worker processes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import test_admission
from worker_suite import taken_over, with_processes
from yoloom.engine.engine import Engine
from yoloom.testing import FakeBackend, fake_model

pytestmark = pytest.mark.slow

LEFT_OUT = {
    # Of options, which are checked before an engine is asked.
    "test_terms_that_are_none_are_refused",
    "test_sizes_that_are_none_are_refused",
    "test_a_queue_is_shared_and_has_one_size",
    "test_all_terms_give_the_same_bits",
    "test_threads_and_tasks_are_clients_by_default",
    "test_the_errors_of_a_queue_have_their_http_status",
    # A context that fails is replaced inside of its worker, which is not broken by it.
    "test_a_lane_that_can_not_be_replaced_fails_its_request_and_is_tried_again",
    # The runtime is the worker's: see test_workers_crash.py for those that can not open a model.
    "test_a_runtime_that_makes_no_context_is_told_as_a_typed_error",
    # A worker tries again by itself, and logs that nowhere.
    "test_a_log_handler_that_raises_changes_nothing",
    "test_a_log_handler_that_wants_to_exit_ends_no_lane",
    # Workers make no batches.
    "test_one_poisoned_image_fails_alone_in_its_batch",
}

globals().update(taken_over(test_admission, LEFT_OUT))


@pytest.fixture(autouse=True)
def _processes(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    yield from with_processes(test_admission, monkeypatch)


@pytest.fixture
def backend() -> FakeBackend:
    return FakeBackend(lanes=1)


@pytest.fixture
def engine(_processes: None, backend: FakeBackend) -> Iterator[Engine]:
    engine = test_admission.thread_engine(fake_model(), backend, threads=1, capacity=4)
    engine.start()
    yield engine
    engine.close()
