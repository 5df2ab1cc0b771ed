"""Messages between a parent and a worker: whole or not at all, of this generation or not at all."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from yoloom.workers.ipc.channel import Channel, ChannelClosed
from yoloom.workers.ipc.messages import MAGIC, PREFIX, BadMessage, Decoder, Message, encode

ARRAYS = {"boxes": np.arange(12, dtype=np.float32).reshape(2, 6), "masks": np.ones((2, 3, 5), np.uint8)}


def fed(decoder: Decoder, data: bytes, cuts: list[int]) -> list[Message]:
    """What comes out when the bytes come in pieces of these sizes, and then in the largest that fit."""
    found = []
    pieces = iter(cuts)
    while data:
        count = min(len(decoder.space), len(data), next(pieces, len(data)))
        decoder.space[:count] = data[:count]
        message = decoder.filled(count)
        if message is not None:
            found.append(message)
        data = data[count:]
    return found


def same(one: Message, other: Message) -> bool:
    arrays = one.arrays.keys() == other.arrays.keys() and all(
        np.array_equal(array, other.arrays[name]) and array.dtype == other.arrays[name].dtype
        for name, array in one.arrays.items()
    )
    return arrays and (one.kind, one.request, one.notes) == (other.kind, other.request, other.notes)


MESSAGES = [
    Message("ready"),
    Message("found", 7, {"speed": {"inference": 1.25}, "path": "käse\udcff"}, ARRAYS),
    Message("found", 2**40, {}, {"boxes": np.empty((0, 6), np.float32)}),
]


@given(st.lists(st.integers(1, 40), max_size=200))
def test_messages_come_out_whole_however_their_bytes_are_cut(cuts: list[int]) -> None:
    data = b"".join(bytes(part) for message in MESSAGES for part in encode(message, 3))
    decoder = Decoder(3)
    found = fed(decoder, data, cuts)
    assert len(found) == len(MESSAGES)
    assert all(map(same, found, MESSAGES))
    assert not decoder.is_half_way


@given(st.integers(1, 150))
def test_a_message_that_is_cut_short_never_comes_out(kept: int) -> None:
    data = b"".join(map(bytes, encode(MESSAGES[1], 3)))
    decoder = Decoder(3)
    assert not fed(decoder, data[: min(kept, len(data) - 1)], [])
    assert decoder.is_half_way


def test_arrays_are_aligned_and_not_views_of_each_other() -> None:
    data = b"".join(map(bytes, encode(Message("found", arrays={"a": np.ones(3, np.uint8), **ARRAYS}), 1)))
    (message,) = fed(Decoder(1), data, [])
    assert all(array.flags.aligned for array in message.arrays.values())
    assert message.arrays["boxes"].tobytes() == ARRAYS["boxes"].tobytes()


@pytest.mark.parametrize(
    "data",
    [
        PREFIX.pack(b"none", 1, 2, 0) + b"[]",
        PREFIX.pack(MAGIC, 2, 2, 0) + b"[]",  # another generation
        PREFIX.pack(MAGIC, 1, 2**31, 0),
        PREFIX.pack(MAGIC, 1, 2, 2**60),
        PREFIX.pack(MAGIC, 1, 2, 0) + b"[]",
        PREFIX.pack(MAGIC, 1, 3, 0) + b"\xff\xfe\x00",
        PREFIX.pack(MAGIC, 1, 37, 16) + b'["found",1,{},[["a","object",[1, 1]]]]'[:37] + bytes(16),
        PREFIX.pack(MAGIC, 1, 32, 16) + b'["found",1,{},[["a","uint8",9]]]' + bytes(16),
        PREFIX.pack(MAGIC, 1, 37, 16) + b'["found",1,{},[["a","uint8",[99,99]]]' + bytes(16),
        PREFIX.pack(MAGIC, 1, 15, 16) + b'["found",1,{},[]]'[:15] + bytes(16),
    ],
)
def test_what_is_no_message_is_refused(data: bytes) -> None:
    with pytest.raises(BadMessage):
        fed(Decoder(1), data, [])


@given(st.binary(max_size=300))
def test_random_bytes_are_refused_or_wait_for_more(data: bytes) -> None:
    try:
        assert fed(Decoder(1), data, []) == []
    except BadMessage:
        return


@pytest.mark.slow
@given(st.integers(0, PREFIX.size + 60), st.integers(0, 255))
def test_a_changed_byte_makes_no_crash(position: int, value: int) -> None:
    data = bytearray(b"".join(map(bytes, encode(MESSAGES[1], 3))))
    data[position % len(data)] = value
    try:
        fed(Decoder(3), bytes(data), [])
    except BadMessage:
        return


# ---- Over a socket


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    mine, theirs = socket.socketpair()
    with mine, theirs:
        yield mine, theirs


def test_a_channel_delivers_what_was_sent(ends: tuple[socket.socket, socket.socket]) -> None:
    mine, theirs = Channel(ends[0], 5), Channel(ends[1], 5)
    assert mine.receive_now() is None
    theirs.send(MESSAGES[1])
    assert same(mine.receive(), MESSAGES[1])
    theirs.send(MESSAGES[0])
    found = mine.receive_now()
    assert found is not None
    assert found.kind == "ready"


def test_a_half_written_message_is_told_from_an_end(ends: tuple[socket.socket, socket.socket]) -> None:
    mine = Channel(ends[0], 5)
    ends[1].sendall(b"".join(map(bytes, encode(MESSAGES[1], 5)))[:-3])
    assert mine.receive_now() is None
    ends[1].close()
    with pytest.raises(ChannelClosed, match="half-way"):
        mine.receive()


def test_nothing_of_an_earlier_generation_is_delivered(ends: tuple[socket.socket, socket.socket]) -> None:
    mine = Channel(ends[0], 6)
    Channel(ends[1], 5).send(MESSAGES[1])
    with pytest.raises(ChannelClosed, match="generation"):
        mine.receive()


def test_an_answer_that_came_before_the_end_is_still_delivered(ends: tuple[socket.socket, socket.socket]) -> None:
    mine, theirs = Channel(ends[0], 5), Channel(ends[1], 5)
    theirs.send(MESSAGES[1])
    theirs.shut()
    mine.shut()  # what a supervisor does that sees the process end
    assert same(mine.receive(), MESSAGES[1])
    with pytest.raises(ChannelClosed):
        mine.receive()
    with pytest.raises(ChannelClosed):
        mine.send(MESSAGES[0])


def test_large_arrays_go_through(ends: tuple[socket.socket, socket.socket]) -> None:
    import threading

    mine, theirs = Channel(ends[0], 5), Channel(ends[1], 5)
    masks = np.random.default_rng(1).integers(0, 2, (40, 480, 640), np.uint8)
    sender = threading.Thread(target=theirs.send, args=(Message("found", 1, arrays={"masks": masks}),))
    sender.start()
    assert np.array_equal(mine.receive().arrays["masks"], masks)
    sender.join()


def test_the_prefix_has_no_padding() -> None:
    assert PREFIX.size == struct.calcsize("<4s") + 8 + 4 + 8
