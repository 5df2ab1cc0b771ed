"""What a target answered, as named arrays that can be compared bit for bit.

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

Named = tuple[str, NDArray[Any]]


@dataclasses.dataclass(frozen=True)
class Answer:
    """Copies of all arrays in a result, in a fixed order, and a digest of their names, dtypes, shapes and bytes.

    Immutable: shared freely.
    """

    arrays: tuple[Named, ...]
    digest: bytes

    def is_same(self, other: Answer, tolerance: float) -> bool:
        """Bit for bit, or for a tolerance above 0 within it: see `difference`."""
        return self.digest == other.digest or (tolerance > 0 and self.difference(other) <= tolerance)

    def difference(self, other: Answer) -> float:
        """The largest of |a - b| / max(1, |b|) over all values; infinite where shapes or anything but floats differ."""
        if [(name, array.shape, array.dtype) for name, array in self.arrays] != [
            (name, array.shape, array.dtype) for name, array in other.arrays
        ]:
            return np.inf
        return max((_distance(a, b) for (_, a), (_, b) in zip(self.arrays, other.arrays, strict=True)), default=0.0)

    def describe(self) -> str:
        """The arrays in words, with their first rows."""
        return "\n".join(_described(name, array) for name, array in self.arrays) or "nothing"


def answer_of(value: Any) -> Answer:
    """Copy everything that can be compared out of what a target returned. Raises InvalidTarget."""
    arrays = tuple(_arrays("", value))
    if not arrays:
        raise InvalidTarget(f"{_EXPECTED}, got one of the class {_kind(value)} that holds none of these.")
    return Answer(arrays, digest_of(arrays))


def digest_of(arrays: tuple[Named, ...]) -> bytes:
    """16 bytes that stand for names, dtypes, shapes and bytes."""
    digest = hashlib.blake2b(digest_size=16)
    for name, array in arrays:
        digest.update(f"{name}|{array.dtype.str}|{array.shape}|".encode())
        digest.update(array.tobytes())
    return digest.digest()


_EXPECTED = (
    "an answer must be a Results (ours or Ultralytics'), an array, a number, or a tuple, list, mapping or dataclass of "
    "them"
)


def _arrays(name: str, value: Any) -> Iterator[Named]:
    if isinstance(value, (bool, int, float, complex, np.generic)):
        yield name, _copied(value)
    elif isinstance(value, (list, tuple)):
        yield from _of_sequence(name, value)
    elif isinstance(value, Mapping):
        yield from _of_mapping(name, value)
    elif members := _members(value):
        for member, data in members.items():
            yield from _arrays(_joined(name, member), data)
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        for field in dataclasses.fields(value):
            yield from _arrays(_joined(name, field.name), getattr(value, field.name))
    else:
        yield from _leaf(name, value)


def _of_sequence(name: str, items: list[Any] | tuple[Any, ...]) -> Iterator[Named]:
    if not items:  # an empty list says that nothing was found
        yield name, np.zeros(0)
    for index, item in enumerate(items):
        yield from _arrays(_joined(name, index) if len(items) > 1 else name, item)


def _of_mapping(name: str, items: Mapping[Any, Any]) -> Iterator[Named]:
    if not items:
        yield name, np.zeros(0)
    for index, (key, item) in enumerate(items.items()):
        yield from _arrays(_joined(name, key if isinstance(key, (str, int)) else index), item)


def _members(value: Any) -> dict[str, Any]:
    """What a `Results` of ours or Ultralytics' holds: the data of each member that its task has."""
    found: dict[str, Any] = {member: getattr(value, member, None) for member in MEMBERS}
    return {name: member.data for name, member in found.items() if hasattr(member, "data")}


def _leaf(name: str, value: Any) -> Iterator[Named]:
    if isinstance(value, (str, bytes)) or value is None:
        if name:  # labels and missing members, beside others
            text = "" if value is None else value
            yield name, np.frombuffer(text if isinstance(text, bytes) else text.encode(), np.uint8).copy()
            return
        raise InvalidTarget(f"{_EXPECTED}, got {_kind(value)}.")
    array = _copied(_on_cpu(value))
    if array.dtype.hasobject:
        raise InvalidTarget(f"{_EXPECTED}, got {_kind(value)}{f' as {name}' if name else ''}.")
    yield name, array


def _on_cpu(value: Any) -> Any:
    """A tensor as an array; all else as it is."""
    for method in ("detach", "cpu", "numpy"):
        if callable(getattr(value, method, None)) and not isinstance(value, np.ndarray):
            value = getattr(value, method)()
    return value


def _copied(value: Any) -> NDArray[Any]:
    return np.array(value, order="C", copy=True, subok=False)


def _joined(name: str, part: object) -> str:
    return f"{name}.{part}" if name else str(part)


def _kind(value: object) -> str:
    kind = type(value)
    if isinstance(value, (str, bytes)):
        return f"the {kind.__name__} {value[:SHOWN_TEXT]!r}"
    named = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    return "None" if value is None else named


def _distance(a: NDArray[Any], b: NDArray[Any]) -> float:
    if a.dtype.kind != "f" or not a.size:
        return 0.0 if np.array_equal(a, b) else np.inf
    with np.errstate(invalid="ignore", over="ignore"):
        apart = np.abs(a.astype(np.float64) - b) / np.maximum(1.0, np.abs(b.astype(np.float64)))
    equal = (a == b) | (np.isnan(a) & np.isnan(b))
    return float(np.nan_to_num(np.where(equal, 0.0, apart), nan=np.inf, posinf=np.inf).max())


def _described(name: str, array: NDArray[Any]) -> str:
    head = f"{name or 'array'} {array.dtype} {array.shape}"
    if array.dtype == np.uint8 and array.ndim != 2:
        return head
    rows = np.atleast_1d(array)[:SHOWN_ROWS]
    text = np.array2string(rows, precision=6, suppress_small=True, threshold=60, edgeitems=3, max_line_width=110)
    return f"{head}\n{text}{' ...' * (len(np.atleast_1d(array)) > SHOWN_ROWS)}"
