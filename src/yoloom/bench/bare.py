"""The bare runtime: a context for each thread, and what a network can not do without, in a straight line.

No queue, no options, no copies, no Results. It is the ceiling that an engine is held against.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from yoloom.bench.callers import Sample, Work, run_callers
from yoloom.formats.model import Layout, Model
from yoloom.images.centre_crop import CentreCrop
from yoloom.images.letterbox import Placement, plan_letterbox, round_up_to_stride
from yoloom.options import PredictOptions
from yoloom.postprocess.detections import Detections, OutputLayout
from yoloom.postprocess.tasks import TASKS
from yoloom.runtime.protocol import Backend, Compiled, Context, Form, Precision, Setup

Image = NDArray[np.uint8]
DEFAULTS = PredictOptions()


class BareRuntime:
    """A network in both forms. One thread at a time calls it; a turn has threads of its own."""

    def __init__(self, model: Model, backend: Backend, threads: int, precision: Precision = Precision.FP32) -> None:
        """Raises InvalidModel or UnsupportedModel. threads: the CPU budget."""
        self._model = model
        latency, self._throughput = (backend.compile(model, Setup(form, threads, precision)) for form in Form)
        self._alone = latency.context()
        self._contexts: list[Context] = []

    @property
    def optimal(self) -> int:
        """How many requests the runtime thinks best."""
        return max(1, self._throughput.lanes - 1)

    def turn(self, images: Sequence[Image], callers: int, seconds: float) -> Sample:
        """One turn of `callers` threads: one takes the LATENCY form, several THROUGHPUT."""
        contexts = [self._alone] if callers == 1 else self._for(callers)
        works = [_work(self._model, context, images, number) for number, context in enumerate(contexts)]
        return run_callers(works, seconds)

    def _for(self, callers: int) -> list[Context]:
        self._contexts += _new(self._throughput, callers - len(self._contexts))
        return self._contexts[:callers]


def bare_predict(model: Model, context: Context, image: Image) -> Detections:
    """Place, run, head: what is found, in pixels of the source."""
    placed = _placement(model, (image.shape[0], image.shape[1]))
    batch = np.empty((1, *placed.canvas_hw, 3), np.uint8)
    placed.draw(image, batch[0])
    outputs = tuple(output[0] for output in context.run(batch))
    head = OutputLayout(model.layout is Layout.END2END, len(model.names) or None, model.kpt_shape)
    return TASKS[model.task](outputs, head, placed, DEFAULTS, None)


def in_turns(images: Sequence[Image], number: int) -> itertools.cycle[Image]:
    """The images over and over, from another one for each caller."""
    start = number % len(images)
    return itertools.cycle([*images[start:], *images[:start]])


def _placement(model: Model, source_hw: tuple[int, int]) -> Placement:
    canvas_hw = model.input.hw or round_up_to_stride(model.imgsz_hw, model.stride)
    if model.task == "classify":
        return CentreCrop(source_hw, canvas_hw)
    return plan_letterbox(source_hw, canvas_hw, model.stride if model.input.hw is None else None)


def _work(model: Model, context: Context, images: Sequence[Image], number: int) -> Work:
    turns = in_turns(images, number)
    return lambda: bare_predict(model, context, next(turns))


def _new(compiled: Compiled, count: int) -> list[Context]:
    return [compiled.context() for _ in range(count)]
