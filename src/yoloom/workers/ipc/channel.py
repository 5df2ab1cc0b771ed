"""The message pipe between a parent and one generation of one worker: never shared, never re-used."""

from __future__ import annotations

import socket

from yoloom.workers.ipc.messages import BadMessage, Decoder, Message, encode

TOGETHER = 2**16
"""Bytes up to which the parts of a message are joined and sent in one call."""


class ChannelClosed(Exception):
    """The other side has ended, or has sent something that is no message. Nothing more comes."""


class Channel:
    """Messages of one generation over one end of a socket pair.

    Nothing but whole messages of this generation comes out: one that was cut short by the end of the other side never
    shows, and an answer that was meant for an earlier generation can not arrive, because that one had another socket.

    Thread safety: one thread at a time sends, and one receives; `shut` may be called by any thread and wakes both.
    """

    def __init__(self, end: socket.socket, generation: int) -> None:
        self._end = end
        self._generation = generation
        self._decoder = Decoder(generation)

    def fileno(self) -> int:
        """Return the descriptor to poll for incoming messages."""
        return self._end.fileno()

    def send(self, message: Message) -> None:
        """Send a message. Raises ChannelClosed; the other side may then have got a part, and does not use it."""
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
        while (message := self._receive(0)) is None:
            continue  # without MSG_DONTWAIT it waits; a signal may cut that short
        return message

    def receive_now(self) -> Message | None:
        """Return the next message if all of it is there, else None. Raises ChannelClosed."""
        return self._receive(socket.MSG_DONTWAIT)

    def _receive(self, flags: int) -> Message | None:
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
        """End both directions, which wakes whoever waits here or on the other side. Idempotent; any thread."""
        # The descriptor stays open until `close`: were its number given to another file now, a thread that is about to
        # read from this channel would read from that file.
        try:
            self._end.shutdown(socket.SHUT_RDWR)
        except OSError:  # it was shut before, or the other side is gone
            return

    def close(self) -> None:
        """Give the descriptor back, once no thread sends or receives."""
        self._end.close()
