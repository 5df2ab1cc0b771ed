"""What a caller may ask of one prediction: checked and frozen when the call is made."""

from __future__ import annotations

import difflib
import functools
import math
import operator
from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import dataclass, fields
from types import NoneType
from typing import Any, SupportsFloat, SupportsIndex

import numpy as np

from yoloom.errors import InvalidOption, UnknownClass, UnknownDevice, UnknownOption, UnsupportedOption

MAX_IMGSZ = 8192
"""Longest side that a network input may have, in pixels: beyond it one request could take all memory."""


@dataclass(frozen=True)
class PredictOptions:
    """How one image is judged. Immutable: shared freely.

    conf: keep scores above it, 0 to 1. iou: NMS drops a box that overlaps a better one by more, 0 to 1.
    imgsz: height and width of the network input in pixels, None for the model's own. rect: pad to the smallest
    rectangle where the model allows it. max_det: most boxes for one image. classes: class ids or names to keep,
    None for all. agnostic_nms: boxes of different classes suppress each other. retina_masks: masks as large as the
    source, not as the network input.
    """

    conf: float = 0.25
    iou: float = 0.7
    imgsz: tuple[int, int] | None = None
    rect: bool = True
    max_det: int = 300
    classes: tuple[int | str, ...] | None = None
    agnostic_nms: bool = False
    retina_masks: bool = False


@dataclass(frozen=True)
class SaveOptions:
    """What one call writes to disk or draws on a screen beside its results. Immutable: shared freely."""

    save: bool = False
    save_txt: bool = False
    save_conf: bool = False
    save_crop: bool = False
    show: bool = False
    show_labels: bool = True
    show_conf: bool = True
    show_boxes: bool = True
    line_width: int | None = None
    project: str | None = None
    name: str | None = None
    exist_ok: bool = False

    @property
    def writes(self) -> bool:
        return self.save or self.save_txt or self.save_crop


# Options of Ultralytics that mean nothing here: the engine plans its own batches, and logging has its own switch.
_ACCEPTED_AND_IDLE = frozenset({"batch", "verbose", "stream_buffer", "dnn", "compile", "channels_last", "data"})
# Options of Ultralytics that yoloom does not have, with the values that ask for nothing, as None does.
_NEUTRAL: Mapping[str, tuple[Any, ...]] = {
    "augment": (False,),
    "embed": (),
    "half": (False,),
    "quantize": (),
    "save_frames": (False,),
    "vid_stride": (1,),
    "visualize": (False,),
}
# Which head judges is part of the opened model; each option with the value of `nms` that its True stands for.
_HEAD_NAMES: Mapping[str, bool] = {"nms": True, "end2end": False}
WAITING = frozenset({"client", "priority", "on_full"})
"""Options of a call that say how it waits, and not how an image is judged."""

_NUMBERS = frozenset({bool, int, float, NoneType})
"""Types of values that stay what they are, and run no code of the caller's when they are compared."""

_SAVE_NAMES = frozenset(field.name for field in fields(SaveOptions))
_PREDICT_NAMES = frozenset(field.name for field in fields(PredictOptions))
_ALL_NAMES = (
    _PREDICT_NAMES
    | _SAVE_NAMES
    | _ACCEPTED_AND_IDLE
    | _NEUTRAL.keys()
    | _HEAD_NAMES.keys()
    | WAITING
    | {"device", "stream", "source", "timeout"}
)


def parse_options(given: Mapping[str, Any], nms: Set[bool] = frozenset()) -> tuple[PredictOptions, SaveOptions]:
    """Check the keyword arguments of one call. None asks for the default. nms: what of it the opened model answers to.

    Raises UnknownOption (with the nearest name), UnsupportedOption, UnknownDevice or InvalidOption.
    """
    if _NUMBERS.issuperset(map(type, given.values())):
        return _parsed_before(frozenset(nms), **given)
    return _parsed(given, nms)


# Most callers ask for the same few things again and again. Typed, since True, 1 and 1.0 are equal and not the same.
@functools.lru_cache(maxsize=256, typed=True)
def _parsed_before(nms: frozenset[bool], /, **given: float | None) -> tuple[PredictOptions, SaveOptions]:
    return _parsed(given, nms)


def _parsed(given: Mapping[str, Any], nms: Set[bool]) -> tuple[PredictOptions, SaveOptions]:
    for name, value in given.items():
        _refuse_what_is_not_here(name, value)
        _refuse_other_heads(name, value, nms)
    asked = {name: _CHECKS[name](name, value) for name, value in given.items() if name in _CHECKS and value is not None}
    return (
        PredictOptions(**{name: value for name, value in asked.items() if name in _PREDICT_NAMES}),
        SaveOptions(**{name: value for name, value in asked.items() if name in _SAVE_NAMES}),
    )


def class_ids(classes: tuple[int | str, ...] | None, names: Mapping[int, str]) -> frozenset[int] | None:
    """The ids of the classes that were asked for by id or name. Raises UnknownClass."""
    if classes is None:
        return None
    return frozenset(index for wanted in classes for index in _ids_of(wanted, names))


def _ids_of(wanted: int | str, names: Mapping[int, str]) -> list[int]:
    if isinstance(wanted, int) and (wanted in names or not names):  # a file may not say which classes it has
        return [wanted]
    found = [index for index, name in names.items() if name == wanted]
    if found:
        return found
    near = difflib.get_close_matches(str(wanted), names.values(), n=1)
    hint = f"; did you mean {near[0]!r}?" if near else "."
    some = ", ".join(f"{index} {name}" for index, name in list(names.items())[:8]) or "ask by number"
    more = ", ..." if len(names) > 8 else "."
    raise UnknownClass(f"the model has no class {wanted!r}{hint} It names {len(names)}: {some}{more}")


def _refuse_what_is_not_here(name: str, value: Any) -> None:
    if name not in _ALL_NAMES:
        near = difflib.get_close_matches(name, _ALL_NAMES, n=1)
        hint = f"Did you mean {near[0]!r}?" if near else f"Known: {', '.join(sorted(_ALL_NAMES))}."
        raise UnknownOption(f"there is no option {name!r}. {hint}")
    if value is None:
        return
    if name == "device" and not _is_cpu(value):
        raise UnknownDevice(f"device={shown(value)} is chosen once, when the model is opened: YOLO(path, device=...).")
    if name in _NEUTRAL and not _is_one_of(value, _NEUTRAL[name]):
        raise UnsupportedOption(f"{name}={shown(value)} is not available in yoloom; leave {name!r} out.")


def _refuse_other_heads(name: str, value: Any, nms: Set[bool]) -> None:
    if name not in _HEAD_NAMES or value is None:
        return
    wanted = flag(name, value) == _HEAD_NAMES[name]
    if wanted not in nms:
        raise UnsupportedOption(f"{name}={value} is chosen once, when the model is opened: YOLO(path, nms={wanted}).")


def _is_cpu(device: object) -> bool:
    try:
        return str(device).lower() in ("", "cpu", "cpu:0")
    except Exception:  # noqa: BLE001  its words are the caller's code
        return False


def shown(value: object) -> str:
    """`value` in a message, also when it can not say what it is: an integer of 5000 digits, say."""
    try:
        return repr(value)
    except Exception:  # noqa: BLE001  its words are the caller's code
        return f"a value of type {type(value).__name__}"


def _is_one_of(value: Any, allowed: tuple[Any, ...]) -> bool:
    try:
        return value in allowed
    except Exception:  # noqa: BLE001  an array of several values can not be compared; other classes have errors of their own
        return False


def number(name: str, value: Any) -> float:
    """`value` as a float, which may be infinite or NaN. Raises InvalidOption."""
    try:
        if _is_real(value):
            return float(value)
    except Exception:  # noqa: BLE001  an array of several, an integer beyond all floats, or whatever the caller's class raises
        raise InvalidOption(f"{name} must be a number, got {shown(value)}.") from None
    raise InvalidOption(f"{name} must be a number, got {shown(value)}.")


def positive_seconds(timeout: Any) -> float | None:
    """A time to wait, None for no limit. Raises InvalidOption."""
    if timeout is None:
        return None
    seconds = number("timeout", timeout)
    if not 0 < seconds < math.inf:
        raise InvalidOption(
            f"timeout must be a positive number of seconds, or None for no limit, got {shown(timeout)}."
        )
    return seconds


def _is_real(value: Any) -> bool:
    if type(value) in (int, float):  # nearly all; asking a protocol takes 20 times as long
        return True
    # bool and str convert to float without complaint, which hides swapped arguments.
    if isinstance(value, (bool, np.bool_, str)) or getattr(value, "dtype", None) == np.bool_:
        return False
    return isinstance(value, (SupportsFloat, SupportsIndex))


def _fraction(name: str, value: Any) -> float:
    fraction = number(name, value)
    if not 0.0 <= fraction <= 1.0:  # false for NaN too
        raise InvalidOption(f"{name} must be between 0 and 1, got {shown(value)}.")
    return fraction


def _integer(name: str, value: Any) -> int:
    try:
        if _is_real(value):
            return operator.index(value)
    except Exception:  # noqa: BLE001  no integer: 3.0 is one too, and what can not be converted is told below
        real = number(name, value)
        if real.is_integer():
            return int(real)
    raise InvalidOption(f"{name} must be a whole number, got {shown(value)}.")


def positive(name: str, value: Any) -> int:
    """`value` as a whole number of at least 1. Raises InvalidOption."""
    whole = _integer(name, value)
    if whole < 1:
        raise InvalidOption(f"{name} must be at least 1, got {shown(value)}.")
    return whole


def flag(name: str, value: Any) -> bool:
    """`value` as True or False. Raises InvalidOption."""
    if not _is_one_of(value, (True, False)):
        raise InvalidOption(f"{name} must be True or False, got {shown(value)}.")
    return _is_one_of(value, (True,))


def size_hw(name: str, value: Any) -> tuple[int, int]:
    """`value`, one size or two, as height and width in pixels. Raises InvalidOption."""
    sides = _listed(name, value)
    if len(sides) == 1:
        sides = [sides[0], sides[0]]
    if len(sides) != 2:
        raise InvalidOption(f"{name} must be one size or (height, width) in pixels, got {shown(value)}.")
    height, width = (positive(name, side) for side in sides)
    if max(height, width) > MAX_IMGSZ:
        raise InvalidOption(f"{name} must be at most {MAX_IMGSZ} pixels, got {shown(value)}.")
    return height, width


def _classes(name: str, value: Any) -> tuple[int | str, ...]:
    return tuple(item if isinstance(item, str) else _integer(name, item) for item in _listed(name, value))


def _listed(name: str, value: Any) -> list[Any]:
    """The items of a list, an array, a set, ...; anything else is a list of one."""
    if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
        return [value]
    try:
        return list(value)
    except TypeError:  # an array without axes
        return [value]
    except Exception:  # noqa: BLE001  an iterator of the caller
        raise InvalidOption(f"{name} must be readable as a list, got {shown(value)}.") from None


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str) and not hasattr(value, "__fspath__"):
        raise InvalidOption(f"{name} must be a text or a path, got {shown(value)}.")
    try:
        return str(value)
    except Exception:  # noqa: BLE001  its words are the caller's code
        raise InvalidOption(f"{name} must be a text or a path, got {shown(value)}.") from None


_CHECKS: Mapping[str, Callable[[str, Any], Any]] = {
    "conf": _fraction,
    "iou": _fraction,
    "imgsz": size_hw,
    "rect": flag,
    "max_det": positive,
    "classes": _classes,
    "agnostic_nms": flag,
    "retina_masks": flag,
    "save": flag,
    "save_txt": flag,
    "save_conf": flag,
    "save_crop": flag,
    "show": flag,
    "show_labels": flag,
    "show_conf": flag,
    "show_boxes": flag,
    "line_width": positive,
    "project": _text,
    "name": _text,
    "exist_ok": flag,
}
