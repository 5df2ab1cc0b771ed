"""A model of anybody's, as the checks see it: what can be called, and what it takes."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from yoloom.errors import InvalidTarget
from yoloom.formats.model import Model
from yoloom.images.letterbox import round_up_to_stride
from yoloom.verify.cases import Grid
from yoloom.yolo import YOLO

CONFIDENCES = (0.05, 0.1, 0.25, 0.4, 0.6)
OVERLAPS = (0.3, 0.5, 0.7, 0.9)


@dataclass(frozen=True)
class Target:
    """What is checked. Immutable; whether its functions can be shared is the question.

    predict: takes a picture, (H, W, 3) uint8 BGR, and options. options: what it takes, with values to draw from.
    tolerance: what its maker allows, see `Answer.difference`. submit, map, predict_async: as in `YOLO`, where it has
    them. deadlines: whether all of these take `timeout=` seconds. facts: more to say about it in a report.
    """

    name: str
    predict: Callable[..., Any]
    options: Grid = field(default_factory=dict)
    tolerance: float = 0.0
    submit: Callable[..., Any] | None = None
    map: Callable[..., Iterable[Any]] | None = None
    predict_async: Callable[..., Awaitable[Any]] | None = None
    deadlines: bool = False
    facts: Mapping[str, str] = field(default_factory=dict)

    def __call__(self, image: Any, **options: Any) -> Any:
        return self.predict(image, **options)


def target_of(model: Any) -> Target:
    """A `YOLO`, a `Target`, or any callable `predict(image, **options)` as a target.

    A callable may have an attribute `options`, a mapping of option -> values. Without one it gets conf and iou, as far
    as its signature takes them. `submit` and `predict_async` are used where it has them.

    Raises InvalidTarget.
    """
    if isinstance(model, Target):
        return model
    if isinstance(model, YOLO):
        return _ours(model)
    if not callable(model):
        raise InvalidTarget(f"a target must be callable as predict(image, **options), got {type(model).__name__}.")
    return Target(
        name=str(getattr(model, "name", None) or getattr(model, "__name__", None) or type(model).__name__),
        predict=model,
        options=_grid(model),
        submit=getattr(model, "submit", None),
        predict_async=getattr(model, "predict_async", None),
    )


def _ours(model: YOLO) -> Target:
    promise = model.guarantee()
    held = "same bits" if promise.bit_identical else f"within {promise.tolerance:g}"
    return Target(
        name=repr(model),
        predict=model.predict,
        options=_options_of(model.model),
        tolerance=0.0 if promise.bit_identical else promise.tolerance,
        submit=model.submit,
        map=model.map,
        predict_async=model.predict_async,
        deadlines=True,
        facts={
            "backend": f"{promise.backend} {promise.version}, {promise.device}, {promise.precision}",
            "promise": f"{held}: {promise.because}",
        },
    )


def _options_of(model: Model) -> Grid:
    """Options that make a difference for this model. Values are few, so that callers often differ in one only."""
    if model.task == "classify":
        return _sizes(model)
    classes = list(model.names)
    return {
        "conf": CONFIDENCES,
        "iou": OVERLAPS,
        "max_det": (1, 5, 300),
        "agnostic_nms": (False, True),
        "classes": (None, classes[:1], classes[::2]) if len(classes) > 1 else (None,),
        **_sizes(model),
    }


def _sizes(model: Model) -> Grid:
    if not model.dynamic:
        return {}
    height, width = model.imgsz_hw
    half = round_up_to_stride((height // 2, width // 2), model.stride)
    return {"imgsz": ((height, width), half, (half[0], width))}


def _grid(model: Callable[..., Any]) -> Grid:
    own = getattr(model, "options", None)
    if own is None:
        return {name: values for name, values in _COMMON.items() if _takes(model, name)}
    if not isinstance(own, Mapping) or not all(_is_choice(values) for values in own.values()):
        raise InvalidTarget(f"a target's options must map names to lists of values, got {own!r}.")
    return {str(name): tuple(values) for name, values in own.items()}


_COMMON: Grid = {"conf": CONFIDENCES, "iou": OVERLAPS}


def _is_choice(values: Any) -> bool:
    return isinstance(values, (list, tuple)) and len(values) > 0


def _takes(model: Callable[..., Any], name: str) -> bool:
    try:
        parameters = inspect.signature(model).parameters
    except (TypeError, ValueError):  # built-in functions need not have one
        return False
    return name in parameters or any(one.kind is one.VAR_KEYWORD for one in parameters.values())
