"""The protobuf wire format, read and written without a schema.

Reading finds the small messages in a file that is mostly weights, in place: nothing is copied but what is asked for, so
a file of any size costs what its declarations cost. Writing holds large arrays by reference, or makes them when they
are written.

Format: https://protobuf.dev/programming-guides/encoding
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5

Field = tuple[int, int, "int | memoryview"]
"""Field number, wire type, and the value: a number, or the bytes of a text or an inner message."""

Chunk = bytes | memoryview
"""Bytes that are written at once."""


# ---- Reading


def mapped(path: Path) -> memoryview:
    """Map the bytes of a file: they are read when they are looked at. Raises ValueError for an empty file, OSError."""
    with path.open("rb") as file:
        # Unmapped when the last slice of it is gone: closing by hand fails while an error still holds one.
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


def forget(data: memoryview) -> None:
    """Give back the memory of the parts of a `mapped` file that were looked at; they are read again when needed."""
    if isinstance(data.obj, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        data.obj.madvise(mmap.MADV_DONTNEED)


def fields(message: memoryview) -> Iterator[Field]:
    """Yield the fields of one message, in file order.

    Raises:
        ValueError: The bytes are no message, or end too early.
    """
    at, end = 0, len(message)
    while at < end:
        # Nearly all keys and lengths are one byte, and a file has ten thousands of them.
        key, at = (message[at], at + 1) if message[at] < 0x80 else _read_varint(message, at)
        number, wire_type = key >> 3, key & 7  # a key is (number << 3) | wire type
        if wire_type == VARINT:
            value, at = _read_varint(message, at)
            yield number, wire_type, value
            continue
        if wire_type == BYTES:
            short = at < end and message[at] < 0x80
            length, at = (message[at], at + 1) if short else _read_varint(message, at)
        elif wire_type in (FIXED64, FIXED32):
            length = 8 if wire_type == FIXED64 else 4
        else:
            raise ValueError(f"wire type {wire_type} does not exist")
        if number == 0 or at + length > end:
            raise ValueError(f"field {number} needs {length} bytes, {max(end - at, 0)} are left")
        yield number, wire_type, message[at : at + length]
        at += length


def messages(message: memoryview, number: int) -> Iterator[memoryview]:
    """Yield the values of every field `number` that holds bytes: texts or inner messages."""
    return (value for field, _, value in fields(message) if field == number and isinstance(value, memoryview))


def text(message: memoryview, number: int) -> str:
    """Return the last text of field `number`, "" when there is none."""
    value = ""
    for data in messages(message, number):
        value = str(data, "utf-8")
    return value


def unpacked(data: memoryview) -> list[int]:
    """Return the numbers of a packed field, negative ones too. Raises ValueError."""
    numbers, at = [], 0
    while at < len(data):
        number, at = _read_varint(data, at)
        numbers.append(number - (1 << 64) if number >= 1 << 63 else number)
    return numbers


def _read_varint(message: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):  # seven bits in each byte, the lowest first; the eighth says that more follow
        if at >= len(message):
            raise ValueError("the bytes end inside a number")
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ValueError("a number of more than ten bytes")


# ---- Writing


@dataclass(frozen=True, eq=False)
class Deferred:
    """Bytes that are made when they are written, so that a file of many arrays needs the memory of one.

    Attributes:
        size: How many bytes `make` returns.
        make: Makes them.
    """

    size: int
    make: Callable[[], Chunk]

    def __len__(self) -> int:
        return self.size


class ProtoMessage:
    """A message that grows field by field. Thread safety: one thread at a time.

    Attributes:
        size: Bytes of the message so far.
    """

    def __init__(self) -> None:
        """Begin an empty message."""
        self._chunks: list[Chunk | Deferred] = []
        self.size = 0

    def integer(self, number: int, value: int) -> ProtoMessage:
        """Append an integer, negative ones as their two's complement of 64 bits."""
        return self._append(_key(number, VARINT) + _varint(value))

    def integers(self, number: int, values: tuple[int, ...]) -> ProtoMessage:
        """Append a field for each of the integers."""
        for value in values:
            self.integer(number, value)
        return self

    def real(self, number: int, value: float) -> ProtoMessage:
        """Append a float of 32 bits."""
        return self._append(_key(number, FIXED32) + struct.pack("<f", value))

    def text(self, number: int, value: str) -> ProtoMessage:
        """Append a text as UTF-8."""
        return self.data(number, value.encode())

    def data(self, number: int, value: Chunk | Deferred) -> ProtoMessage:
        """Append bytes, kept by reference: they must not change before `chunks` has come to them."""
        return self._append(_key(number, BYTES) + _varint(len(value)))._append(value)

    def message(self, number: int, inner: ProtoMessage) -> ProtoMessage:
        """Append a finished message."""
        self._append(_key(number, BYTES) + _varint(inner.size))
        self._chunks += inner._chunks
        self.size += inner.size
        return self

    def chunks(self) -> Iterator[Chunk]:
        """Yield the message piece by piece. Raises ValueError for deferred bytes of another length than declared."""
        for chunk in self._chunks:
            if not isinstance(chunk, Deferred):
                yield chunk
                continue
            created = chunk.make()
            if len(created) != chunk.size:
                raise ValueError(f"expected {chunk.size} bytes, got {len(created)}")
            yield created

    def joined(self) -> bytes:
        """Return the whole message."""
        return b"".join(self.chunks())

    def _append(self, chunk: Chunk | Deferred) -> ProtoMessage:
        self._chunks.append(chunk)
        self.size += len(chunk)
        return self


def _key(number: int, wire_type: int) -> bytes:
    return _varint(number << 3 | wire_type)


def _varint(value: int) -> bytes:
    if 0 <= value <= 0x7F:
        return bytes((value,))
    value &= (1 << 64) - 1  # a negative number is sent as its two's complement
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
