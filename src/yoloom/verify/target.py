"""Describes a model of any library, as a check sees it: its functions, and the options that it takes."""

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

_COMMON: Grid = {"conf": CONFIDENCES, "iou": OVERLAPS}


@dataclass(frozen=True)
class Target:
    """A model to check. Immutable; whether its functions can be shared is the question.

    Attributes:
        name: for the report.
        predict: takes a picture, (H, W, 3) uint8 BGR, and options.
        options: that it takes, each with values to draw from.
        tolerance: that its maker allows, see `Answer.difference`; 0 for bit for bit.
        submit: as `YOLO.submit`, where it has that.
        map: as `YOLO.map`, where it has that.
        predict_async: as `YOLO.predict_async`, where it has that.
        deadlines: whether all of these take `timeout=` seconds.
        facts: more about it, for the report.
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
        """Predict one image."""
        return self.predict(image, **options)


def target_of(model: Any) -> Target:
    """Describe a model as a target.

    Args:
        model: a `YOLO`, a `Target`, or any callable `predict(image, **options)`. A callable may have an attribute
            `options`, a mapping of option → values; without one it gets conf and iou, as far as its signature takes
            them. Its `submit`, `map` and `predict_async` are used where it has them.

    Returns:
        The target; a `Target` as it is.

    Raises:
        InvalidTarget: it can not be called, or its `options` are no such mapping.
    """
    if isinstance(model, Target):
        return model
    if isinstance(model, YOLO):
        return _describe_yolo(model)
    if not callable(model):
        raise InvalidTarget(f"a target must be callable as predict(image, **options), got {type(model).__name__}.")
    return Target(
        name=str(getattr(model, "name", None) or getattr(model, "__name__", None) or type(model).__name__),
        predict=model,
        options=_options_of_callable(model),
        submit=getattr(model, "submit", None),
        map=getattr(model, "map", None),
        predict_async=getattr(model, "predict_async", None),
    )


def _describe_yolo(model: YOLO) -> Target:
    promise = model.guarantee()
    tolerance = 0.0 if promise.bit_identical else promise.tolerance
    kept = "same bits" if promise.bit_identical else f"within {promise.tolerance:g}"
    return Target(
        name=repr(model),
        predict=model.predict,
        options=_options_of_model(model.model),
        tolerance=tolerance,
        submit=model.submit,
        map=model.map,
        predict_async=model.predict_async,
        deadlines=True,
        facts={
            "backend": f"{promise.backend} {promise.version}, {promise.device}, {promise.precision}",
            "promise": f"{kept}: {promise.because}",
        },
    )


def _options_of_model(model: Model) -> Grid:
    """Options that make a difference for this model. Values are few, so that callers often differ in one only."""
    sizes: Grid = {}
    if model.dynamic:
        height, width = model.imgsz_hw
        half = round_up_to_stride((height // 2, width // 2), model.stride)
        sizes = {"imgsz": ((height, width), half, (half[0], width))}
    if model.task == "classify":
        return sizes
    classes = list(model.names)
    return {
        "conf": CONFIDENCES,
        "iou": OVERLAPS,
        "max_det": (1, 5, 300),
        "agnostic_nms": (False, True),
        "classes": (None, classes[:1], classes[::2]) if len(classes) > 1 else (None,),
        **sizes,
    }


def _options_of_callable(model: Callable[..., Any]) -> Grid:
    own = getattr(model, "options", None)
    if own is not None:
        choices = own.values() if isinstance(own, Mapping) else [None]
        if not all(isinstance(values, (list, tuple)) and values for values in choices):
            raise InvalidTarget(f"a target's options must map names to lists of values, got {own!r}.")
        return {str(name): tuple(values) for name, values in own.items()}
    try:
        parameters = inspect.signature(model).parameters
    except (TypeError, ValueError):  # built-in functions need not have one
        return {}
    takes_any = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
    return {name: values for name, values in _COMMON.items() if takes_any or name in parameters}
