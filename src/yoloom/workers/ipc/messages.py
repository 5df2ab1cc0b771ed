"""Messages between a parent and a worker as bytes: JSON and plain arrays. Nothing is unpickled.

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

from yoloom import errors
from yoloom.errors import RuntimeFailed, YoloomError

PREFIX = struct.Struct("<4sQIQ")
MAGIC = b"ylm1"
ALIGNED = 16
MAX_HEADER = 2**26
MAX_BODY = 2**36
DTYPES = ("float32", "uint8")


class BadMessage(Exception):
    """Bytes that are no message of this channel: the other side is broken, and is not listened to any more."""


@dataclass(frozen=True)
class Message:
    """One message. Immutable. Thread safety: any number of threads.

    Attributes:
        kind: The name of the message: "open", "compile", "ready", "predict", "detections" or "failed".
        request: The id of the request that it belongs to, or -1.
        notes: Plain JSON values.
        arrays: Arrays of float32 or uint8, which belong to the message.
    """

    kind: str
    request: int = -1
    notes: Mapping[str, Any] = field(default_factory=dict)
    arrays: Mapping[str, NDArray[Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class PredictRequest:
    """One image on its way to a worker. Immutable; the pixels may be the caller's, who waits for the answer.

    Attributes:
        request: The request's id.
        pixels: (H, W, 3) uint8 BGR, or the bytes of an encoded image (N,) uint8.
        notes: The notes of the message that accompanies the pixels, but for the size of the slot.
    """

    request: int
    pixels: NDArray[np.uint8]
    notes: dict[str, Any]


def encode(message: Message, generation: int) -> list[bytes | memoryview]:
    """Return the bytes of a message, in parts to be sent one after the other."""
    plain = {name: np.ascontiguousarray(array) for name, array in message.arrays.items()}
    declared = [[name, array.dtype.name, list(array.shape)] for name, array in plain.items()]
    header = json.dumps([message.kind, message.request, message.notes, declared], separators=(",", ":")).encode()
    body = sum(_padded(array.nbytes) for array in plain.values())
    parts: list[bytes | memoryview] = [PREFIX.pack(MAGIC, generation, len(header), body) + header]
    for array in plain.values():
        parts += [array.reshape(-1).view(np.uint8).data, bytes(_padded(array.nbytes) - array.nbytes)]
    return [part for part in parts if len(part)]


class Decoder:
    """Turns bytes into messages of one generation. Thread safety: one thread at a time.

    ```
    while (message := decoder.filled(socket.recv_into(decoder.space))) is None: ...
    ```
    """

    def __init__(self, generation: int) -> None:
        self._generation = generation
        self._expect(PREFIX.size, self._take_prefix)

    @property
    def space(self) -> memoryview:
        """The room for the next bytes: never more than belong to the present message, so that none is read ahead."""
        return self._space[self._have :]

    @property
    def is_half_way(self) -> bool:
        """Whether a message has begun and not ended."""
        return self._take != self._take_prefix or self._have > 0

    def filled(self, count: int) -> Message | None:
        """Take the `count` bytes that were put into `space`. Return the message that they complete, if they do.

        Raises BadMessage.
        """
        # A loop, because a part may be empty: a body without arrays is complete as soon as its header is.
        self._have += count
        message = None
        while self._have == len(self._space) and message is None:
            message = self._take()
        return message

    def _expect(self, size: int, take: Callable[[], Message | None]) -> None:
        self._space, self._have = memoryview(bytearray(size)), 0
        self._take = take

    def _take_prefix(self) -> None:
        # Checked before anything is allocated: broken sizes must not take the parent's memory.
        magic, generation, header, self._body_size = PREFIX.unpack(self._space)
        if magic != MAGIC or header > MAX_HEADER or self._body_size > MAX_BODY:
            raise BadMessage("the bytes that came are no message")
        if generation != self._generation:
            raise BadMessage(f"expected a message of generation {self._generation}, got one of {generation}")
        self._expect(header, self._take_header)

    def _take_header(self) -> None:
        try:
            self._kind, self._request, self._notes, self._declared = json.loads(bytes(self._space))
        except (ValueError, TypeError) as error:
            raise BadMessage(f"the header of a message can not be read: {error}") from None
        self._expect(self._body_size, self._take_body)

    def _take_body(self) -> Message:
        arrays, offset = {}, 0
        try:
            for name, dtype, shape in self._declared:
                if dtype not in DTYPES:
                    raise BadMessage(f"an array of type {dtype!r} came")
                count = math.prod(shape)
                arrays[name] = np.frombuffer(self._space, dtype, count, offset).reshape(shape)
                offset += _padded(count * np.dtype(dtype).itemsize)
        except (ValueError, TypeError) as error:
            raise BadMessage(f"an array of a message can not be read: {error}") from None
        if offset != len(self._space):
            raise BadMessage(f"a message has {len(self._space)} bytes of arrays, and declares {offset}")
        # The arrays are views of this message's own bytes: the next one gets new ones.
        self._expect(PREFIX.size, self._take_prefix)
        return Message(self._kind, self._request, self._notes, arrays)


def _padded(size: int) -> int:
    return -(-size // ALIGNED) * ALIGNED


class RemoteCause(Exception):
    """The cause of an error in a worker process: its class and its message."""


def described(error: BaseException) -> dict[str, Any]:
    """Convert an error to JSON values. One that is not the package's own becomes a RuntimeFailed."""
    if not isinstance(error, YoloomError):
        name = f"{type(error).__name__}: {error}"
        return {"error": "RuntimeFailed", "text": f"the worker raised {name}", "cause": name}
    cause = error.__cause__
    reason = None if cause is None else f"{type(cause).__name__}: {cause}"
    return {"error": type(error).__name__, "text": str(error), "cause": reason}


def rebuilt(notes: Any) -> YoloomError:
    """Build the error that `described` has converted. Only classes of the package are ever made."""
    # The name comes from another process: it must not be able to name any other class, let alone a function. A
    # PartialFailure takes more than a message, and no worker raises it.
    declared = getattr(errors, str(notes["error"]), None)
    is_ours = isinstance(declared, type) and issubclass(declared, YoloomError) and declared is not errors.PartialFailure
    error = declared(notes["text"]) if is_ours and declared is not None else RuntimeFailed(notes["text"])
    if notes["cause"] is not None:
        error.__cause__ = RemoteCause(notes["cause"])
    return error
