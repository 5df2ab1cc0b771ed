"""The notes that Ultralytics leaves in an export: every key may be missing, every value may be wrong."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from yoloom.errors import InvalidModel

T = TypeVar("T")

_DEEP = 90
"""Brackets in a text that Python's parser may take for too deep."""


@dataclass(frozen=True)
class Metadata:
    """The statements of a file about itself; None where it makes none.

    Attributes:
        task: "detect", or any other text.
        head: The class name of the head, such as "Detect".
        stride: Largest stride in pixels.
        imgsz_hw: Height and width of the input in pixels.
        channels: Channels of the input.
        names: Class id -> name.
        kpt_shape: Keypoints and values of each.
        suppressed: Whether the graph ends with its own selection of boxes.
    """

    task: str | None = None
    head: str | None = None
    stride: int | None = None
    imgsz_hw: tuple[int, int] | None = None
    channels: int | None = None
    names: Mapping[int, str] | None = None
    kpt_shape: tuple[int, int] | None = None
    suppressed: bool | None = None


def parse_metadata(notes: Mapping[str, Any], *overridden: str) -> Metadata:
    """Parse `notes`: texts holding Python literals (ONNX), or plain values (YAML). Raises InvalidModel.

    Args:
        notes: The file's own words.
        overridden: Keys that may be wrong, because the caller has said better.
    """
    kept = {key: value for key, value in notes.items() if key not in overridden}
    for key in notes.keys() & set(overridden):
        with suppress(ValueError, TypeError, OverflowError):  # left out where it can not be read
            (parse_names if key == "names" else str)(parse_literal(notes[key]))
            kept[key] = notes[key]
    args: Mapping[str, Any] = _parse(kept, "args", dict) or {}
    end2end, nms = _parse(kept, "end2end", _flag), args.get("nms")
    return Metadata(
        task=_parse(kept, "task", str),
        head=_parse(kept, "head", str),
        stride=_parse(kept, "stride", _positive),
        imgsz_hw=_parse(kept, "imgsz", lambda value: _pair([value, value] if isinstance(value, int) else value)),
        channels=_parse(kept, "channels", _positive),
        names=_parse(kept, "names", parse_names),
        kpt_shape=_parse(kept, "kpt_shape", _pair),
        # `nms` in an export's arguments is True, False, or None for "neither stated".
        suppressed=None if end2end is None and nms is None else bool(end2end) or nms is True,
    )


def parse_names(value: Any) -> dict[int, str]:
    """Return class names as {id: name}, from a dict or a list. Raises ValueError, TypeError or OverflowError."""
    if isinstance(value, (str, bytes)):
        raise ValueError("expected a list or a dict of names, got one text")
    pairs = value.items() if isinstance(value, Mapping) else enumerate(value)
    names = {int(index): str(name) for index, name in pairs}
    if not names or sorted(names) != list(range(len(names))):
        raise ValueError(f"class ids must run from 0 without gaps, got {sorted(names)[:10]}")
    return dict(sorted(names.items()))


def parse_literal(value: Any) -> Any:
    """Return the Python literal that a text holds; a plain word, such as detect, and other values as they are."""
    if not isinstance(value, str):
        return value
    try:
        return ast.literal_eval(value)
    except (ValueError, SyntaxError, RecursionError):
        return value
    except MemoryError:
        # Of the parser, for what is nested too deep; anything else is short of memory, and was not read.
        if sum(map(value.count, "([{")) < _DEEP:
            raise
        return value


def _parse(notes: Mapping[str, Any], key: str, convert: Callable[[Any], T]) -> T | None:
    if notes.get(key) is None:
        return None
    try:
        return convert(parse_literal(notes[key]))
    except (ValueError, TypeError, OverflowError) as error:
        text = repr(notes[key])
        raise InvalidModel(
            f"the model's metadata says {key}={text if len(text) < 80 else text[:80] + '...'}, which can not be read: "
            f"{error}. Export the model again, or remove that key."
        ) from error


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("expected True or False")
    return value


def _positive(value: Any) -> int:
    number = int(value)
    if not 0 < number < 2**16:
        raise ValueError("expected a positive number below 65536")
    return number


def _pair(value: Any) -> tuple[int, int]:
    first, second = value
    return _positive(first), _positive(second)
