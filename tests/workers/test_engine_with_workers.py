"""The behaviour suite of the engine, against worker processes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import test_engine
from worker_suite import taken_over, with_processes
from yoloom.engine.engine import Engine
from yoloom.formats.model import Model
from yoloom.testing import FakeBackend, fake_model

pytestmark = pytest.mark.slow

LEFT_OUT = {
    # There is one form, in the workers: none is compiled here, early or late.
    "test_one_caller_never_compiles_the_second_form",
    "test_requests_that_meet_bring_the_second_form_once",
    "test_the_first_form_serves_all_when_the_second_can_not_be_compiled",
    "test_a_file_that_changes_while_it_is_open_gets_no_second_form",
    "test_an_engine_whose_compiler_was_interrupted_closes",
    "test_a_closed_engine_compiles_nothing",
    # The picture goes to a worker, which copies it in any case.
    "test_callers_that_wait_behind_others_hold_one_copy_of_their_picture",
    # A precision is part of the recipe, and found in the worker.
    "test_both_forms_have_the_precision_of_the_engine",
    "test_precisions_differ_in_the_fake",
    "test_counts_add_up",  # of lanes, which are there from the start: see test_workers.py
}

globals().update(taken_over(test_engine, LEFT_OUT))


@pytest.fixture(autouse=True)
def _processes(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    yield from with_processes(test_engine, monkeypatch)


@pytest.fixture
def backend() -> FakeBackend:
    return FakeBackend(lanes=2)


@pytest.fixture
def model() -> Model:
    return fake_model()


@pytest.fixture
def engine(_processes: None, backend: FakeBackend, model: Model) -> Iterator[Engine]:
    engine = test_engine.thread_engine(model, backend, threads=2, capacity=4)
    engine.start()
    yield engine
    engine.close()
