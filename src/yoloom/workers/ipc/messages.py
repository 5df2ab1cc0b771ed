"""Messages between a parent and a worker as bytes: a JSON header and the raw bytes of arrays. Nothing is unpickled.

```
magic  generation  header size  body size │ header: kind, request, notes, arrays │ arrays, each at a multiple of 16
4      8           4            8           JSON
```

Pure: bytes in, messages out, however the bytes are cut.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

PREFIX = struct.Struct("<4sQIQ")
MAGIC = b"ylm1"
ALIGNED = 16
MAX_HEADER = 2**26
MAX_BODY = 2**36
DTYPES = ("float32", "uint8")


class BadMessage(Exception):
    """What came is no message of this channel: the other side is broken, and is not listened to any more."""


@dataclass(frozen=True)
class Message:
    """One message. Immutable: shared freely.

    request: the id of the request that it belongs to, or -1. notes: plain JSON values. arrays: float32 or uint8, which
    belong to the message.
    """

    kind: str
    request: int = -1
    notes: Mapping[str, Any] = field(default_factory=dict)
    arrays: Mapping[str, NDArray[Any]] = field(default_factory=dict)


def encode(message: Message, generation: int) -> list[bytes | memoryview]:
    """The bytes of a message, in parts that are sent one after the other."""
    plain = {name: np.ascontiguousarray(array) for name, array in message.arrays.items()}
    described = [[name, array.dtype.name, list(array.shape)] for name, array in plain.items()]
    header = json.dumps([message.kind, message.request, message.notes, described], separators=(",", ":")).encode()
    body = sum(map(_padded, (array.nbytes for array in plain.values())))
    parts: list[bytes | memoryview] = [PREFIX.pack(MAGIC, generation, len(header), body) + header]
    for array in plain.values():
        parts += [array.reshape(-1).view(np.uint8).data, bytes(_padded(array.nbytes) - array.nbytes)]
    return [part for part in parts if len(part)]


class Decoder:
    """Bytes → messages of one generation. One thread at a time.

    ```
    while (message := decoder.filled(socket.recv_into(decoder.space))) is None: ...
    ```
    """

    def __init__(self, generation: int) -> None:
        self._generation = generation
        self._begin()

    @property
    def space(self) -> memoryview:
        """Where the next bytes go: never more than belong to the present message, so that none is read ahead."""
        return self._space[self._have :]

    @property
    def is_half_way(self) -> bool:
        """Whether a message has begun and not ended."""
        return self._part != self._take_prefix or self._have > 0

    def filled(self, count: int) -> Message | None:
        """`count` bytes were put into `space`. Returns the message that they complete. Raises BadMessage."""
        self._have += count
        message = None
        while self._have == len(self._space) and message is None:
            message = self._part()
        return message

    def _begin(self) -> None:
        self._part: Callable[[], Message | None] = self._take_prefix
        self._ask(PREFIX.size)

    def _ask(self, size: int) -> None:
        self._space, self._have = memoryview(bytearray(size)), 0

    def _take_prefix(self) -> None:
        magic, generation, header, body = PREFIX.unpack(self._space)
        if magic != MAGIC or header > MAX_HEADER or body > MAX_BODY:
            raise BadMessage("what came is no message")
        if generation != self._generation:
            raise BadMessage(f"expected a message of generation {self._generation}, got one of {generation}")
        self._body = body
        self._part = self._take_header
        self._ask(header)

    def _take_header(self) -> Message | None:
        try:
            self._kind, self._request, self._notes, self._arrays = json.loads(bytes(self._space))
        except (ValueError, TypeError) as error:
            raise BadMessage(f"the header of a message can not be read: {error}") from None
        self._part = self._take_body
        self._ask(self._body)
        return None

    def _take_body(self) -> Message:
        message = Message(self._kind, self._request, self._notes, _arrays(self._arrays, self._space))
        self._begin()
        return message


def _arrays(described: Any, body: memoryview) -> dict[str, NDArray[Any]]:
    found, offset = {}, 0
    try:
        for name, dtype, shape in described:
            if dtype not in DTYPES:
                raise BadMessage(f"an array of type {dtype!r} came")
            count = math.prod(shape)
            found[name] = np.frombuffer(body, dtype, count, offset).reshape(shape)
            offset += _padded(count * np.dtype(dtype).itemsize)
    except (ValueError, TypeError) as error:
        raise BadMessage(f"an array of a message can not be read: {error}") from None
    if offset != len(body):
        raise BadMessage(f"a message has {len(body)} bytes of arrays, and describes {offset}")
    return found


def _padded(size: int) -> int:
    return -(-size // ALIGNED) * ALIGNED
