"""The protobuf wire format, written: messages that hold large arrays by reference, or make them when they are written.

Format: https://protobuf.dev/programming-guides/encoding
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from yoloom.formats.protobuf import BYTES, FIXED32, VARINT

Chunk = bytes | memoryview
"""What is written at once."""


@dataclass(frozen=True, eq=False)
class Deferred:
    """`size` bytes that are made when they are written, so that a file of many needs the memory of one."""

    size: int
    make: Callable[[], Chunk]

    def __len__(self) -> int:
        return self.size


class Message:
    """A message that grows field by field. One thread at a time."""

    def __init__(self) -> None:
        self._chunks: list[Chunk | Deferred] = []
        self.size = 0

    def integer(self, number: int, value: int) -> Message:
        return self._append(_key(number, VARINT) + _varint(value))

    def integers(self, number: int, values: tuple[int, ...]) -> Message:
        for value in values:
            self.integer(number, value)
        return self

    def real(self, number: int, value: float) -> Message:
        return self._append(_key(number, FIXED32) + struct.pack("<f", value))

    def text(self, number: int, value: str) -> Message:
        return self.data(number, value.encode())

    def data(self, number: int, value: Chunk | Deferred) -> Message:
        """Bytes, kept by reference: they must not change before `chunks` has come to them."""
        return self._append(_key(number, BYTES) + _varint(len(value)))._append(value)

    def message(self, number: int, inner: Message) -> Message:
        """A finished message inside this one."""
        self._append(_key(number, BYTES) + _varint(inner.size))
        self._chunks += inner._chunks
        self.size += inner.size
        return self

    def chunks(self) -> Iterator[Chunk]:
        """The message piece by piece. Raises ValueError for deferred bytes of another length than was said."""
        for chunk in self._chunks:
            yield _made(chunk) if isinstance(chunk, Deferred) else chunk

    def joined(self) -> bytes:
        return b"".join(self.chunks())

    def _append(self, chunk: Chunk | Deferred) -> Message:
        self._chunks.append(chunk)
        self.size += len(chunk)
        return self


def _made(deferred: Deferred) -> Chunk:
    chunk = deferred.make()
    if len(chunk) != deferred.size:
        raise ValueError(f"expected {deferred.size} bytes, got {len(chunk)}")
    return chunk


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
