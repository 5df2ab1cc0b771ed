"""A worker process: opens its model, says READY, and answers one question after the other until its parent ends.

```
parent ── open ──▶ libraries, model
parent ── compile ──▶ compiled, or taken from another worker; warmed up ── ready, or failed ──▶ parent
parent ── predict: image in the slot ──▶ decode, letterbox, run, judge ── found, or failed ──▶ parent
parent closes the channel, or dies ──▶ the process ends
```
"""

from __future__ import annotations

import faulthandler
import os
import socket
import sys
import threading
from dataclasses import asdict
from typing import Any, NoReturn

import cv2
import numpy as np
from numpy.typing import NDArray

from yoloom.engine.lanes.cpu_gate import cpu_gate
from yoloom.engine.lanes.lane import Slot, run_requests, warm_up
from yoloom.engine.pipeline import ImagePipeline, Ownership
from yoloom.engine.request import Request
from yoloom.engine.scheduling.client import RequestTerms
from yoloom.errors import RuntimeFailed
from yoloom.formats.model import Model
from yoloom.images.header import Encoded
from yoloom.options import PredictOptions
from yoloom.runtime.protocol import Form, Outputs, Setup
from yoloom.sync.clock import monotonic
from yoloom.workers.child.compile import compiled_for
from yoloom.workers.compile_sharing import CompileRole
from yoloom.workers.ipc.channel import Channel, ChannelClosed
from yoloom.workers.ipc.heartbeat import Doing, Heartbeat
from yoloom.workers.ipc.messages import Message
from yoloom.workers.ipc.remote_errors import described
from yoloom.workers.ipc.shared_memory import SharedMemory
from yoloom.workers.ipc.shared_weights import SharedNetwork
from yoloom.workers.recipe import Recipe

NO_MEMORY = 70
"""Exit status of a worker that has no memory left: a fresh one may have, and tries the image once more."""

BEAT_S = 0.25
"""Seconds between two signs of life."""


def main(channel: int, board: int, slot: int, network: int, generation: int) -> None:
    """Serve until the parent ends. The numbers are inherited descriptors. Never returns."""
    # A crash in native code says where, on the stderr of which the parent keeps the end.
    faulthandler.enable(all_threads=False)
    _leave_out_converters()
    channel_end = Channel(socket.socket(fileno=channel), generation)
    worker = Worker(channel_end, Heartbeat(SharedMemory(board)), SharedMemory(slot), SharedNetwork(network))
    try:
        worker.serve()
    except ChannelClosed:
        # Nothing here is worth a tidy end, and the runtime's own would take a tenth of a second.
        os._exit(0)


class Worker:
    """The whole life of a worker. One thread serves; one more shows signs of life."""

    def __init__(self, channel: Channel, board: Heartbeat, slot: SharedMemory, network: SharedNetwork) -> None:
        self._channel = channel
        self._board = board
        self._slot = slot
        self._network = network

    def serve(self) -> None:
        """Open, then answer until the channel ends. Raises ChannelClosed."""
        threading.Thread(target=self._beat, name="yoloom-beat", daemon=True).start()
        model = self._open()
        while True:
            self._board.doing = Doing.WAITING
            question = self._channel.receive()
            self._board.doing = Doing.PREPARING
            answer = self._answer(model, question)
            self._board.doing = Doing.ANSWERING
            self._channel.send(answer)

    def _open(self) -> LoadedModel:
        """Open, and say how that went. Raises ChannelClosed, also when it went wrong."""
        try:
            return self._opened()
        except ChannelClosed:
            raise
        except MemoryError as error:
            _out_of_memory(error)
        except Exception as error:
            self._channel.send(Message("failed", notes=described(error)))
            raise ChannelClosed("the model could not be opened") from error

    def _opened(self) -> LoadedModel:
        order = self._channel.receive().notes
        threads = order["threads"]
        cv2.setNumThreads(threads)
        opened = Recipe(order["opener"], order["arguments"]).open()
        setup = Setup(Form.LATENCY, threads, opened.precision)
        part = CompileRole(self._channel.receive().notes["part"])
        compiled, unshared = compiled_for(part, opened, setup, self._network)
        self._network.close()
        slot = _Watched(compiled, threads, self._board)
        warm_up(slot, opened.model)
        ready = {
            "guarantee": asdict(opened.backend.guarantee(opened.precision)),
            "splits_sums": compiled.splits_sums,
            "unshared": unshared,
        }
        self._channel.send(Message("ready", notes=ready))
        return LoadedModel(opened.model, slot)

    def _answer(self, model: LoadedModel, question: Message) -> Message:
        try:
            return model.answer(question, self._image(question.notes))
        except MemoryError as error:
            _out_of_memory(error)
        except Exception as error:  # noqa: BLE001  a fault of one image must not end the worker
            return Message("failed", question.request, described(error))

    def _image(self, notes: Any) -> NDArray[np.uint8] | Encoded:
        """What lies in the slot: pixels (H, W, 3), seen in place, or a copy of encoded bytes."""
        self._slot.follow(notes["slot"])
        pixels: NDArray[np.uint8] = self._slot.view(writable=False)[: notes["size"]]
        if notes["shape"] is None:
            return Encoded(pixels.tobytes(), notes["what"])
        image: NDArray[np.uint8] = pixels.reshape(notes["shape"])
        return image

    def _beat(self) -> None:
        pause = threading.Event()
        while not pause.wait(BEAT_S):
            self._board.beat()


class LoadedModel:
    """A compiled model that answers. One thread."""

    def __init__(self, model: Model, slot: Slot) -> None:
        self._model = model
        self._slot = slot

    def answer(self, question: Message, image: NDArray[np.uint8] | Encoded) -> Message:
        """What is found in one image. Raises what fails."""
        notes = question.notes
        examination = ImagePipeline(self._model, _options(notes["options"]), notes["max_pixels"])
        examination.keep_only(None if notes["keep"] is None else frozenset(notes["keep"]))
        examination.prepare(image, Ownership.OWNED)
        request = Request(question.request, RequestTerms(), _nobody)
        request.image = examination
        (outcome,) = run_requests(self._slot, [request], monotonic)
        if outcome.error is not None:
            return Message("failed", question.request, described(outcome.error) | {"retried": outcome.retried})
        judged = examination.judge(outcome.outputs, outcome.run_ms)
        arrays = {name: array for name, array in vars(judged.found).items() if array is not None}
        told = {"source_hw": examination.source_hw, "speed": judged.speed, "retried": outcome.retried}
        return Message("found", question.request, told, arrays)


class _Watched(Slot):
    """A slot that shows on the board when the network runs."""

    def __init__(self, compiled: Any, threads: int, board: Heartbeat) -> None:
        super().__init__(compiled, cpu_gate().share(threads), threads)
        self._board = board

    def run(self, batch: NDArray[np.uint8]) -> Outputs:
        self._board.doing = Doing.RUNNING
        try:
            return super().run(batch)
        except RuntimeFailed as error:
            if isinstance(error.__cause__, MemoryError):
                _out_of_memory(error.__cause__)
            raise


def _leave_out_converters() -> None:
    """OpenVINO goes without its tools for other frameworks' models when they can not be imported, in half the time."""
    sys.modules["openvino.tools"] = None  # type: ignore[assignment]


def _out_of_memory(error: MemoryError) -> NoReturn:
    os.write(2, f"out of memory: {error}\n".encode(errors="replace"))
    os._exit(NO_MEMORY)


def _options(notes: Any) -> PredictOptions:
    lists = {name: tuple(value) for name, value in notes.items() if isinstance(value, list)}
    return PredictOptions(**(notes | lists))


def _nobody(_: Request) -> None:
    """The answer is the message: nobody waits for the request."""
