"""One pipe between a parent and one generation of one worker: never shared, never re-used."""

from __future__ import annotations

import socket

from yoloom.workers.ipc.messages import BadMessage, Decoder, Message, encode

TOGETHER = 2**16
"""Bytes up to which the parts of a message are joined and sent in one call."""


class ChannelClosed(Exception):
    """The other side has ended, or said what is no message. Nothing more comes."""


class Channel:
    """Messages of one generation over one end of a socket pair.

    One thread at a time sends, and one receives; `shut` may be called by any thread, and wakes both. Nothing but whole
    messages of this generation comes out: a message that was cut short by the other side's end never shows.
    """

    def __init__(self, end: socket.socket, generation: int) -> None:
        self._end = end
        self._generation = generation
        self._decoder = Decoder(generation)

    def fileno(self) -> int:
        return self._end.fileno()

    def send(self, message: Message) -> None:
        """Raises ChannelClosed; the other side may then have got a part, which it does not take for a message."""
        parts = encode(message, self._generation)
        if sum(map(len, parts)) <= TOGETHER:
            parts = [b"".join(parts)]
        try:
            for part in parts:
                self._end.sendall(part)
        except OSError as error:
            raise ChannelClosed(f"the other side is gone: {error}") from error

    def receive(self) -> Message:
        """Wait for the next message. Raises ChannelClosed."""
        while (message := self._received(0)) is None:
            continue  # without MSG_DONTWAIT it waits; a signal may cut that short
        return message

    def receive_now(self) -> Message | None:
        """The next message if all of it is there. Raises ChannelClosed."""
        return self._received(socket.MSG_DONTWAIT)

    def _received(self, flags: int) -> Message | None:
        message = None
        while message is None:
            try:
                count = self._end.recv_into(self._decoder.space, 0, flags)
            except BlockingIOError:
                return None
            except OSError as error:
                raise ChannelClosed(f"the other side is gone: {error}") from error
            if not count:
                half = ", half-way through a message" if self._decoder.is_half_way else ""
                raise ChannelClosed(f"the other side is gone{half}")
            try:
                message = self._decoder.filled(count)
            except BadMessage as error:
                raise ChannelClosed(str(error)) from error
        return message

    def shut(self) -> None:
        """End both directions: whoever waits here or on the other side wakes up. Idempotent; any thread."""
        try:
            self._end.shutdown(socket.SHUT_RDWR)
        except OSError:  # it was shut before, or the other side is gone
            return

    def close(self) -> None:
        """Give the descriptor back, once nobody sends or receives."""
        self._end.close()
