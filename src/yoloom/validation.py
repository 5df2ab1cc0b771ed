"""Checks of values that come from a caller: each returns the value in a plain type, or raises InvalidOption.

A value may be an object of any class, whose methods are the caller's code: whatever they raise becomes InvalidOption.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable
from typing import Any, SupportsFloat, SupportsIndex

import numpy as np

from yoloom.errors import InvalidOption, shortened

MAX_IMGSZ = 8192
"""Longest side that a network input may have, in pixels: beyond it one request could take all memory."""


def shown(value: object) -> str:
    """Return `repr(value)` for a message, shortened, or its type where that fails: an integer of 5000 digits, say."""
    try:
        return shortened(repr(value), 200)
    except Exception:  # noqa: BLE001  the caller's code
        return f"a value of type {type(value).__name__}"


def is_one_of(value: Any, allowed: tuple[Any, ...]) -> bool:
    """Return whether `value` equals one of `allowed`; False where it can not be compared."""
    try:
        return value in allowed
    except Exception:  # noqa: BLE001  an array of several values can not be compared; other classes have errors of their own
        return False


def number(name: str, value: Any) -> float:
    """Return `value` as a float, which may be infinite or NaN. Raises InvalidOption."""
    try:
        if _is_real(value):
            return float(value)
    except Exception:  # noqa: BLE001  an array of several, an integer beyond all floats, or an error of the caller's class
        raise InvalidOption(f"{name} must be a number, got {shown(value)}.") from None
    raise InvalidOption(f"{name} must be a number, got {shown(value)}.")


def fraction(name: str, value: Any) -> float:
    """Return `value` as a float from 0 to 1. Raises InvalidOption."""
    share = number(name, value)
    if not 0.0 <= share <= 1.0:  # false for NaN too
        raise InvalidOption(f"{name} must be between 0 and 1, got {shown(value)}.")
    return share


def integer(name: str, value: Any) -> int:
    """Return `value` as an int; 3.0 is one too. Raises InvalidOption."""
    try:
        if _is_real(value):
            return operator.index(value)
    except Exception:  # noqa: BLE001  a float, or a value that `number` refuses below
        real = number(name, value)
        if real.is_integer():
            return int(real)
    raise InvalidOption(f"{name} must be a whole number, got {shown(value)}.")


def positive(name: str, value: Any) -> int:
    """Return `value` as an int of at least 1. Raises InvalidOption."""
    whole = integer(name, value)
    if whole < 1:
        raise InvalidOption(f"{name} must be at least 1, got {shown(value)}.")
    return whole


def positive_seconds(timeout: Any) -> float | None:
    """Return a time to wait in seconds; None stands for no limit. Raises InvalidOption."""
    if timeout is None:
        return None
    seconds = number("timeout", timeout)
    if not 0 < seconds < math.inf:
        raise InvalidOption(
            f"timeout must be a positive number of seconds, or None for no limit, got {shown(timeout)}."
        )
    return seconds


def flag(name: str, value: Any) -> bool:
    """Return `value` as True or False. Raises InvalidOption."""
    if not is_one_of(value, (True, False)):
        raise InvalidOption(f"{name} must be True or False, got {shown(value)}.")
    return is_one_of(value, (True,))


def text(name: str, value: Any) -> str:
    """Return a string, or a path as a string. Raises InvalidOption."""
    try:
        if isinstance(value, str) or hasattr(value, "__fspath__"):
            return str(value)
    except Exception:  # noqa: BLE001  the caller's code
        raise InvalidOption(f"{name} must be a text or a path, got {shown(value)}.") from None
    raise InvalidOption(f"{name} must be a text or a path, got {shown(value)}.")


def listed(name: str, value: Any) -> list[Any]:
    """Return the items of a list, an array, a set, ...; anything else is a list of one. Raises InvalidOption."""
    if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
        return [value]
    try:
        return list(value)
    except TypeError:  # an array without axes
        return [value]
    except Exception:  # noqa: BLE001  an iterator of the caller
        raise InvalidOption(f"{name} must be a list, got {shown(value)}.") from None


def size_hw(name: str, value: Any) -> tuple[int, int]:
    """Return one size or two as (height, width) in pixels, at most MAX_IMGSZ. Raises InvalidOption."""
    sides = listed(name, value)
    if len(sides) == 1:
        sides = [sides[0], sides[0]]
    if len(sides) != 2:
        raise InvalidOption(f"{name} must be one size or (height, width) in pixels, got {shown(value)}.")
    height, width = (positive(name, side) for side in sides)
    if max(height, width) > MAX_IMGSZ:
        raise InvalidOption(f"{name} must be at most {MAX_IMGSZ} pixels, got {shown(value)}.")
    return height, width


def _is_real(value: Any) -> bool:
    if type(value) in (int, float):  # nearly all; `isinstance` with a protocol takes 20 times as long
        return True
    # bool and str convert to float without complaint, which hides swapped arguments.
    if isinstance(value, (bool, np.bool_, str)) or getattr(value, "dtype", None) == np.bool_:
        return False
    return isinstance(value, (SupportsFloat, SupportsIndex))
