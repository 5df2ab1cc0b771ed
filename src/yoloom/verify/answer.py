"""Reads the answers of any target as named arrays that can be compared bit for bit.

Anything that results are made of is read without asking for its class: members such as `boxes` with their `data`, the
picture and the names (ours, Ultralytics'), tensors and arrays of any library, numbers, and lists, tuples, mappings and
dataclasses of them.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yoloom.errors import InvalidTarget

MEMBERS = ("boxes", "masks", "probs", "keypoints", "obb")
ABOUT = ("orig_img", "orig_shape", "names")
"""Members of results that say what they are about, and not what was found. `path` is none of them: of a picture that
comes as an array, it is the place in the call."""

SHOWN_ROWS = 6
SHOWN_TEXT = 40  # characters of a text that is no answer
MOST_ROWS = 1000  # of an array, whose order is looked at

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
        if [name for name, _ in self.arrays] != [name for name, _ in other.arrays]:
            return np.inf
        pairs = zip(self.arrays, other.arrays, strict=True)
        return max((_difference(a, b) for (_, a), (_, b) in pairs), default=0.0)

    def wrong_arrays(self, expected: Answer, tolerance: float) -> list[str] | None:
        """Return the names of the arrays that differ; None where the names themselves do."""
        if [name for name, _ in self.arrays] != [name for name, _ in expected.arrays]:
            return None
        pairs = zip(self.arrays, expected.arrays, strict=True)
        return [name for (name, a), (_, b) in pairs if not _is_same(a, b, tolerance)]

    def shares(self, other: Answer, names: Sequence[str], tolerance: float) -> bool:
        """Return whether the arrays of these names are another answer's."""
        theirs = dict(other.arrays)
        chosen = [(name, array) for name, array in self.arrays if name in names]
        return all(name in theirs and _is_same(array, theirs[name], tolerance) for name, array in chosen)

    def has_rows_of(self, expected: Answer, tolerance: float) -> bool:
        """Return whether each array has rows of the expected one and no others, none of them twice."""
        if [name for name, _ in self.arrays] != [name for name, _ in expected.arrays]:
            return False
        pairs = zip(self.arrays, expected.arrays, strict=True)
        return all(_is_same(a, b, tolerance) or _are_rows_of(a, b, tolerance) for (_, a), (_, b) in pairs)

    @property
    def rows(self) -> int:
        """Number of rows of all arrays together."""
        return sum(len(_as_rows(array)) for _, array in self.arrays)

    @property
    def is_empty(self) -> bool:
        """Whether it says that nothing was found."""
        return not any(array.size for name, array in self.arrays if not is_about(name))

    @property
    def about(self) -> dict[str, bytes]:
        """Parts of the answer that say what it is about, where it says so."""
        return {name: array.tobytes() for name, array in self.arrays if is_about(name)}

    def describe(self) -> str:
        """Return the arrays as text, with their first rows."""
        lines = []
        for name, array in self.arrays:
            lines.append(f"{name or 'array'} {array.dtype} {array.shape}")
            if name.endswith("orig_img"):
                lines[-1] = f"{name} {array[:8].tobytes().hex()}"  # of its digest
            if array.dtype == np.uint8 and array.ndim != 2:  # pixels, a text or a digest
                continue
            rows = np.atleast_1d(array)
            text = np.array2string(
                rows[:SHOWN_ROWS], precision=6, suppress_small=True, threshold=60, edgeitems=3, max_line_width=110
            )
            lines.append(f"{text}{' ...' * (len(rows) > SHOWN_ROWS)}")
        return "\n".join(lines) or "nothing"


def _difference(a: NDArray[Any], b: NDArray[Any]) -> float:
    if a.shape != b.shape or a.dtype != b.dtype:
        return np.inf
    if a.dtype.kind != "f" or not a.size:
        return 0.0 if np.array_equal(a, b) else np.inf
    with np.errstate(invalid="ignore", over="ignore"):
        apart = np.abs(a.astype(np.float64) - b) / np.maximum(1.0, np.abs(b.astype(np.float64)))
    equal = (a == b) | (np.isnan(a) & np.isnan(b))
    return float(np.nan_to_num(np.where(equal, 0.0, apart), nan=np.inf, posinf=np.inf).max())


def _is_same(a: NDArray[Any], b: NDArray[Any], tolerance: float) -> bool:
    """Compare bit for bit, or for a tolerance above 0 within it."""
    if tolerance > 0:
        return _difference(a, b) <= tolerance
    return a.shape == b.shape and a.dtype == b.dtype and a.tobytes() == b.tobytes()


def _as_rows(array: NDArray[Any]) -> NDArray[Any]:
    """Return (N, values of one row). The batch of one that runtimes put in front is no row."""
    while array.ndim > 2 and len(array) == 1:
        array = array[0]
    rows: NDArray[Any] = array.reshape(len(array), -1) if array.size and array.ndim else np.zeros((0, 0), array.dtype)
    return rows


def _are_rows_of(came: NDArray[Any], expected: NDArray[Any], tolerance: float) -> bool:
    """Return whether each row that came is an expected one, and none is there more often than expected."""
    rows, left = _as_rows(came), list(_as_rows(expected))
    if not MOST_ROWS >= len(left) >= len(rows) > 0 or came.dtype != expected.dtype:
        return False
    for row in rows:
        place = next((place for place, other in enumerate(left) if _is_same(row, other, tolerance)), None)
        if place is None:
            return False
        del left[place]
    return True


def is_about(name: str) -> bool:
    """Return whether an array of this name says what an answer is about, and not what was found."""
    return any(part in ABOUT for part in name.split("."))


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
        yield name, _copied(value, name)
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
        array = _copied(value, name)
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
        about = {name: getattr(value, name) for name in ABOUT if getattr(value, name, None) is not None}
        names = about.get("names")
        if isinstance(names, Mapping):  # as one text, because there may be a thousand
            about["names"] = repr(list(names.items()))
        return [*present, *about.items()]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return [(field.name, getattr(value, field.name)) for field in dataclasses.fields(value)]
    return None


def _copied(value: Any, name: str) -> NDArray[Any]:
    """Copy an array; of a picture its digest, as it would be most of an answer's memory and is compared exactly."""
    if not name.endswith("orig_img"):
        return np.array(value, order="C", copy=True, subok=False)
    pixels = np.ascontiguousarray(value)
    digest = hashlib.blake2b(f"{pixels.dtype.str}|{pixels.shape}|".encode(), digest_size=16)
    digest.update(pixels.tobytes() if pixels.dtype.hasobject else pixels.data)
    return np.array(list(digest.digest()), np.uint8)


def _kind(value: object) -> str:
    kind = type(value)
    if isinstance(value, (str, bytes)):
        return f"the {kind.__name__} {value[:SHOWN_TEXT]!r}"
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    return "None" if value is None else name
