"""Reads the answers of any target as named arrays that can be compared bit for bit.

Anything that results are made of is read without asking for its class: members such as `boxes` with their `data`
(ours, Ultralytics'), tensors and arrays of any library, numbers, and lists, tuples, mappings and dataclasses of them.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yoloom.errors import InvalidTarget

MEMBERS = ("boxes", "masks", "probs", "keypoints", "obb")
SHOWN_ROWS = 6
SHOWN_TEXT = 40  # characters of a text that is no answer

NamedArray = tuple[str, NDArray[Any]]

_EXPECTED = (
    "an answer must be a Results (ours or Ultralytics'), an array, a number, or a tuple, list, mapping or dataclass of "
    "them"
)


@dataclasses.dataclass(frozen=True)
class Answer:
    """Copies of all arrays in a result, in a fixed order. Immutable: shared freely.

    Attributes:
        arrays: with their names, such as "boxes".
        digest: 16 bytes that stand for their names, dtypes, shapes and bytes.
    """

    arrays: tuple[NamedArray, ...]
    digest: bytes

    def is_same(self, other: Answer, tolerance: float) -> bool:
        """Compare bit for bit, or for a tolerance above 0 within it: see `difference`."""
        return self.digest == other.digest or (tolerance > 0 and self.difference(other) <= tolerance)

    def difference(self, other: Answer) -> float:
        """Return the largest |a - b| / max(1, |b|) over all values: relative above 1, absolute below.

        Infinite where names, shapes or dtypes differ, or values that are no floats.
        """
        if [(name, array.shape, array.dtype) for name, array in self.arrays] != [
            (name, array.shape, array.dtype) for name, array in other.arrays
        ]:
            return np.inf
        largest = 0.0
        for (_, a), (_, b) in zip(self.arrays, other.arrays, strict=True):
            if a.dtype.kind != "f" or not a.size:
                largest = max(largest, 0.0 if np.array_equal(a, b) else np.inf)
                continue
            with np.errstate(invalid="ignore", over="ignore"):
                apart = np.abs(a.astype(np.float64) - b) / np.maximum(1.0, np.abs(b.astype(np.float64)))
            equal = (a == b) | (np.isnan(a) & np.isnan(b))
            largest = max(largest, float(np.nan_to_num(np.where(equal, 0.0, apart), nan=np.inf, posinf=np.inf).max()))
        return largest

    def describe(self) -> str:
        """Return the arrays as text, with their first rows."""
        lines = []
        for name, array in self.arrays:
            lines.append(f"{name or 'array'} {array.dtype} {array.shape}")
            if array.dtype == np.uint8 and array.ndim != 2:  # pixels, or a text
                continue
            rows = np.atleast_1d(array)
            text = np.array2string(
                rows[:SHOWN_ROWS], precision=6, suppress_small=True, threshold=60, edgeitems=3, max_line_width=110
            )
            lines.append(f"{text}{' ...' * (len(rows) > SHOWN_ROWS)}")
        return "\n".join(lines) or "nothing"


def answer_of(value: Any) -> Answer:
    """Copy everything that can be compared out of a target's return value. Raises InvalidTarget."""
    arrays = tuple(_arrays("", value))
    if not arrays:
        raise InvalidTarget(f"{_EXPECTED}, got one of the class {_kind(value)} that holds none of these.")
    digest = hashlib.blake2b(digest_size=16)
    for name, array in arrays:
        digest.update(f"{name}|{array.dtype.str}|{array.shape}|".encode())
        digest.update(array.tobytes())
    return Answer(arrays, digest.digest())


def _arrays(name: str, value: Any) -> Iterator[NamedArray]:
    """Yield a value's arrays, and those of everything in it."""
    if isinstance(value, (bool, int, float, complex, np.generic)):
        yield name, _copied(value)
    elif isinstance(value, (list, tuple, Mapping)) and not value:  # says that nothing was detected
        yield name, np.zeros(0)
    elif (items := _items(value)) is not None:
        for part, item in items:
            yield from _arrays(f"{name}.{part}" if name and part else name or part, item)
    elif isinstance(value, (str, bytes)) or value is None:
        if not name:
            raise InvalidTarget(f"{_EXPECTED}, got {_kind(value)}.")
        # Labels and missing members, beside others.
        text = b"" if value is None else value if isinstance(value, bytes) else value.encode()
        yield name, np.frombuffer(text, np.uint8).copy()
    else:
        for method in ("detach", "cpu", "numpy"):  # of a tensor, to make it an array
            if callable(getattr(value, method, None)) and not isinstance(value, np.ndarray):
                value = getattr(value, method)()
        array = _copied(value)
        if array.dtype.hasobject:
            raise InvalidTarget(f"{_EXPECTED}, got {_kind(value)}{f' as {name}' if name else ''}.")
        yield name, array


def _items(value: Any) -> list[tuple[str, Any]] | None:
    """Return the named parts of a container, None for anything else. The only item of a list has no name."""
    if isinstance(value, (list, tuple)):
        return [(str(index) if len(value) > 1 else "", item) for index, item in enumerate(value)]
    if isinstance(value, Mapping):
        return [
            (str(key if isinstance(key, (str, int)) else index), item)
            for index, (key, item) in enumerate(value.items())
        ]
    members: dict[str, Any] = {member: getattr(value, member, None) for member in MEMBERS}
    present = [(name, member.data) for name, member in members.items() if hasattr(member, "data")]
    if present:  # a `Results` of ours or Ultralytics': the members that its task has
        return present
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return [(field.name, getattr(value, field.name)) for field in dataclasses.fields(value)]
    return None


def _copied(value: Any) -> NDArray[Any]:
    return np.array(value, order="C", copy=True, subok=False)


def _kind(value: object) -> str:
    kind = type(value)
    if isinstance(value, (str, bytes)):
        return f"the {kind.__name__} {value[:SHOWN_TEXT]!r}"
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    return "None" if value is None else name
