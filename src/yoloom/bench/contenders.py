"""The contenders of a benchmark: this package, and bare loops around the runtime, which are the ceiling.

A bare loop has no queue, no options, no copies and no Results.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yoloom.bench.callers import Sample, Seconds, Work, run_callers, spread
from yoloom.bench.rounds import Series, Turn, ratios
from yoloom.formats.model import Model
from yoloom.images.centre_crop import CentreCrop
from yoloom.images.letterbox import Placement, plan_letterbox, round_up_to_stride
from yoloom.options import PredictOptions
from yoloom.postprocess.detections import Detections, output_layout
from yoloom.postprocess.tasks import TASKS
from yoloom.runtime.plan import Plan
from yoloom.runtime.protocol import Backend, Context, Precision
from yoloom.yolo import YOLO

Image = NDArray[np.uint8]
DEFAULTS = PredictOptions()


class BareRuntime:
    """A network in both forms. Thread safety: one thread at a time; a turn has threads of its own."""

    def __init__(self, model: Model, backend: Backend, threads: int, precision: Precision = Precision.FP32) -> None:
        """Compile the network.

        Args:
            model: the network.
            backend: compiles and runs it.
            threads: the CPU budget.
            precision: of its arithmetic.

        Raises:
            InvalidModel: the graph is broken.
            UnsupportedModel: the backend can not run it.
        """
        self._model = model
        profiles = backend.profiles(model, threads, Plan())
        latency = backend.compile(model, profiles[0], precision)
        self._throughput = latency if len(profiles) == 1 else backend.compile(model, profiles[-1], precision)
        self._alone = latency.context()
        self._contexts: list[Context] = []

    @property
    def optimal(self) -> int:
        """Number of requests that the runtime calls optimal."""
        return max(1, self._throughput.lanes - 1)

    def turn(self, images: Sequence[Image], callers: int, seconds: float) -> Sample:
        """Take one turn of `callers` threads: one takes the LATENCY form, several THROUGHPUT."""
        while callers > 1 and len(self._contexts) < callers:
            self._contexts.append(self._throughput.context())
        contexts = [self._alone] if callers == 1 else self._contexts[:callers]
        loops = [functools.partial(bare_predict, self._model, context) for context in contexts]
        return run_callers([caller(loop, images, number) for number, loop in enumerate(loops)], seconds)


def bare_predict(model: Model, context: Context, image: Image) -> Detections:
    """Place, run and decode one image, (H, W, 3) uint8 BGR. Returns the detections in pixels of the source."""
    source_hw = (image.shape[0], image.shape[1])
    canvas_hw = model.input.hw or round_up_to_stride(model.imgsz_hw, model.stride)
    placed: Placement
    if model.task == "classify":
        placed = CentreCrop(source_hw, canvas_hw)
    else:
        placed = plan_letterbox(source_hw, canvas_hw, model.stride if model.input.hw is None else None)
    batch = np.empty((1, *placed.canvas_hw, 3), np.uint8)
    placed.draw(image, batch[0])
    outputs = tuple(output[0] for output in context.run(batch))
    head = output_layout(model, model.layout)
    return TASKS[model.task](outputs, head, placed, DEFAULTS, None)


def caller(predict: Callable[[Image], object], images: Sequence[Image], number: int) -> Work:
    """Make the work of one caller: the images in turn and endlessly, beginning with another one for each number."""
    start = number % len(images)
    turns = itertools.cycle([*images[start:], *images[:start]])
    return lambda: predict(next(turns))


def model_turn(model: YOLO, images: Sequence[Image], callers: int, seconds: float, own_seconds: Seconds) -> Sample:
    """Take one turn of `callers` threads that share `model`, each with options at their defaults."""
    predict = functools.partial(model.predict, verbose=False)
    return run_callers([caller(predict, images, number) for number in range(callers)], seconds, own_seconds)


def ours(callers: int) -> str:
    """Return the name of the shared model with so many callers."""
    return f"yoloom {callers}"


def bare(callers: int) -> str:
    """Return the name of the bare loop with so many callers."""
    return "bare latency 1" if callers == 1 else f"bare throughput {callers}"


def bare_turns(
    runtime: BareRuntime, images: Sequence[Image], callers: Sequence[int], seconds: float
) -> dict[str, Turn]:
    """Return the bare loops by name: with as many callers, with as many as the runtime calls optimal, and one more."""
    counts = {*callers} if set(callers) == {1} else {*callers, *_ceiling_counts(runtime.optimal)}
    return {bare(count): functools.partial(runtime.turn, images, count, seconds) for count in sorted(counts)}


def side_by_side(model_turns: Mapping[int, Turn], bare_loops: Mapping[str, Turn]) -> dict[str, Turn]:
    """Return all turns by name, rivals next to each other, in the same seconds."""
    turns: dict[str, Turn] = {}
    for count, turn in sorted(model_turns.items()):
        turns[ours(count)] = turn
        turns[bare(count)] = bare_loops[bare(count)]
    return {**turns, **{name: loop for name, loop in bare_loops.items() if name not in turns}}


def compare(series: Mapping[str, Series], callers: Sequence[int], optimal: int) -> dict[str, Any]:
    """Return by number of callers the ratio of ours to the ceiling, and to the bare loop with the same number."""
    compared = {}
    for count in callers:
        rivals = {bare(count)} if count == 1 else {bare(count), *map(bare, _ceiling_counts(optimal))}
        medians = {name: spread(series[name].rates)["median"] for name in sorted(rivals) if name in series}
        ceiling = max(medians, key=medians.__getitem__)
        compared[str(count)] = {
            "over_same_callers": ratios(series[ours(count)], series[bare(count)]),
            "ceiling": ceiling,
            "over_ceiling": ratios(series[ours(count)], series[ceiling]),
        }
    return compared


def _ceiling_counts(optimal: int) -> list[int]:
    return [count for count in (optimal, optimal + 1) if count > 1]
