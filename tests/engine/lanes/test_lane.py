"""Each request of a run gets its own outcome, whatever becomes of those beside it."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from forms import form_of
from yoloom.engine.lanes.gate import OpenGate
from yoloom.engine.lanes.lane import ContextSlot
from yoloom.engine.request import Outcome, Request
from yoloom.errors import RuntimeFailed
from yoloom.runtime.cpu import throughput_profile
from yoloom.testing import FakeBackend, fake_model

NOW = 100.0
GRAYS = (10, 90, 170, 250)


class Picture:
    """A canvas of one gray."""

    canvas_hw = (32, 32)
    lowest_score = 0.0

    def __init__(self, gray: int) -> None:
        self.gray = gray

    def draw(self, canvas: np.ndarray) -> None:
        if self.gray == GRAYS[3]:
            raise ValueError("it can not be drawn")
        canvas[...] = self.gray


def request(number: int, image: Picture | None, deadline: float = math.inf) -> Request:
    return cast("Request", SimpleNamespace(id=number, image=image, terms=SimpleNamespace(deadline=deadline)))


@pytest.fixture
def slot() -> ContextSlot:
    backend, model = FakeBackend(), fake_model()
    return ContextSlot(form_of(backend, model, throughput_profile(2, batch=4)), OpenGate())


def outputs_of(slot: ContextSlot, requests: list[Request]) -> list[Outcome]:
    return slot.serve(requests, lambda: NOW)


def rows(outcome: Outcome) -> Any:
    return outcome.outputs[0].tolist() if outcome.outputs else None


@pytest.mark.parametrize("gone", [0, 1, 2])
def test_a_request_without_an_image_shifts_nobody(slot: ContextSlot, gone: int) -> None:
    """Images were filtered once and outcomes paired by position: all behind the gap got their neighbour's."""
    alone = [rows(outputs_of(slot, [request(0, Picture(gray))])[0]) for gray in GRAYS[:3]]
    assert len({str(one) for one in alone}) == 3
    requests = [request(number, None if number == gone else Picture(GRAYS[number])) for number in range(3)]
    outcomes = outputs_of(slot, requests)
    assert isinstance(outcomes[gone].error, RuntimeFailed)
    for number in {0, 1, 2} - {gone}:
        assert rows(outcomes[number]) == alone[number]


@pytest.mark.parametrize("late", [{0}, {1}, {0, 2}, {0, 1, 2}])
def test_late_requests_shift_nobody(slot: ContextSlot, late: set[int]) -> None:
    alone = [rows(outputs_of(slot, [request(0, Picture(gray))])[0]) for gray in GRAYS[:3]]
    requests = [request(n, Picture(GRAYS[n]), NOW - 1 if n in late else math.inf) for n in range(3)]
    outcomes = outputs_of(slot, requests)
    assert [outcome.late for outcome in outcomes] == [number in late for number in range(3)]
    for number in {0, 1, 2} - late:
        assert rows(outcomes[number]) == alone[number]


@pytest.mark.parametrize("place", [0, 1, 2])
def test_an_image_that_can_not_be_drawn_fails_alone(slot: ContextSlot, place: int) -> None:
    grays = list(GRAYS[:2])
    alone = [rows(outputs_of(slot, [request(0, Picture(gray))])[0]) for gray in grays]
    grays.insert(place, GRAYS[3])
    alone.insert(place, None)
    outcomes = outputs_of(slot, [request(number, Picture(gray)) for number, gray in enumerate(grays)])
    assert isinstance(outcomes[place].error, RuntimeFailed)
    assert [rows(outcome) for outcome in outcomes] == alone
