"""The protobuf wire format, read in place: enough to find the small messages in a file that is mostly weights.

Nothing is copied but what is asked for, so a file of any size costs what its declarations cost.
Format: https://protobuf.dev/programming-guides/encoding
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from pathlib import Path

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5

Field = tuple[int, int, "int | memoryview"]
"""Field number, wire type, and the value: a number, or the bytes of a text or an inner message."""


def mapped(path: Path) -> memoryview:
    """The bytes of a file, read when they are looked at. Raises ValueError for an empty file, OSError."""
    with path.open("rb") as file:
        # Unmapped when the last slice of it is gone: closing by hand fails while an error still holds one.
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


def forget(data: memoryview) -> None:
    """Give back the memory of what was looked at in a `mapped` file; it is read again when it is looked at again."""
    if isinstance(data.obj, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        data.obj.madvise(mmap.MADV_DONTNEED)


def fields(message: memoryview) -> Iterator[Field]:
    """The fields of one message, in file order. Raises ValueError where the bytes are no message, or end too early."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        number, wire_type = key >> 3, key & 7
        if wire_type == VARINT:
            value, at = _varint(message, at)
            yield number, wire_type, value
            continue
        length, at = _length(message, at, wire_type)
        if number == 0 or at + length > len(message):
            raise ValueError(f"field {number} needs {length} bytes, {max(len(message) - at, 0)} are left")
        yield number, wire_type, message[at : at + length]
        at += length


def messages(message: memoryview, number: int) -> Iterator[memoryview]:
    """The values of every field `number` that holds bytes: texts or inner messages."""
    return (value for found, _, value in fields(message) if found == number and isinstance(value, memoryview))


def text(message: memoryview, number: int) -> str:
    """The last text of field `number`, "" when there is none."""
    value = ""
    for found in messages(message, number):
        value = str(found, "utf-8")
    return value


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(message):
            raise ValueError("the bytes end inside a number")
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ValueError("a number of more than ten bytes")


def _length(message: memoryview, at: int, wire_type: int) -> tuple[int, int]:
    if wire_type == BYTES:
        return _varint(message, at)
    if wire_type in (FIXED64, FIXED32):
        return (8 if wire_type == FIXED64 else 4), at
    raise ValueError(f"wire type {wire_type} does not exist")
