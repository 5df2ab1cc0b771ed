"""A worker process: opens its model, reports that it is ready, and answers requests until its parent ends.

```
parent ── open ──▶ libraries, model
parent ── compile ──▶ compiled, or imported from another worker; warmed up ── ready, or failed ──▶ parent
parent ── predict: image in the slot ──▶ decode, letterbox, run, post-process ── detections, or failed ──▶ parent
parent closes the channel, or dies ──▶ the process ends
```
"""

from __future__ import annotations

import faulthandler
import os
import socket
import threading
from dataclasses import asdict
from typing import NoReturn

import cv2
import numpy as np
from numpy.typing import NDArray

from yoloom.engine.lanes.form import Form, WarmUp
from yoloom.engine.lanes.gate import OpenGate
from yoloom.engine.lanes.lane import ContextSlot
from yoloom.engine.pipeline import ImagePipeline, Ownership
from yoloom.errors import RuntimeFailed, YoloomError
from yoloom.formats.model import Layout, Model
from yoloom.images.header import Encoded
from yoloom.options import PredictOptions
from yoloom.runtime.plan import Plan
from yoloom.runtime.protocol import Measured, OwnRows, RawOutputs, Spacious, promised
from yoloom.sync.clock import monotonic
from yoloom.system.safe_log import SafeLogger
from yoloom.system.shortage import check_room, naming_limits
from yoloom.workers.child.compile import compiled_for
from yoloom.workers.compile_sharing import CompileRole
from yoloom.workers.ipc.channel import Channel, ChannelClosed
from yoloom.workers.ipc.heartbeat import Doing, Heartbeat
from yoloom.workers.ipc.messages import Message, described
from yoloom.workers.ipc.shared_memory import SharedMemory, SharedNetwork
from yoloom.workers.recipe import Recipe

log = SafeLogger("yoloom.engine")

NO_MEMORY = 70
"""Exit status of a worker that has no memory left: a fresh one may have, and tries the image once more."""

BEAT_S = 0.25
"""Seconds between two signs of life."""


def main(channel: int, heartbeat: int, slot: int, network: int, generation: int) -> None:
    """Serve until the parent ends. The numbers are inherited descriptors. Never returns."""
    # A crash in native code prints its stack to stderr, the end of which the parent keeps.
    faulthandler.enable(all_threads=False)
    channel_end = Channel(socket.socket(fileno=channel), generation)
    worker = Worker(channel_end, Heartbeat(SharedMemory(heartbeat)), SharedMemory(slot), SharedNetwork(network))
    try:
        worker.serve()
    except ChannelClosed:
        # Nothing here is worth a tidy end, and the runtime's own would take a tenth of a second.
        os._exit(0)


class Worker:
    """The whole life of a worker: one thread serves, one more beats.

    Thread safety: owned by the main thread of the worker process.
    """

    def __init__(self, channel: Channel, heartbeat: Heartbeat, slot: SharedMemory, network: SharedNetwork) -> None:
        self._channel = channel
        self._heartbeat = heartbeat
        self._slot = slot
        self._network = network

    def serve(self) -> None:
        """Open the model, then answer until the channel ends. Raises ChannelClosed."""
        try:
            with naming_limits("a worker can not open the model"):
                threading.Thread(target=self._beat, name="yoloom-beat", daemon=True).start()
                model = self._open()
        except ChannelClosed:
            raise
        except Exception as error:
            if isinstance(error.__cause__, MemoryError):  # a fresh process may have some
                _out_of_memory(error)
            # Told, not crashed: the parent raises this error, and counts an ended process like any other.
            self._channel.send(Message("failed", notes=described(error)))
            raise ChannelClosed("the model could not be opened") from error
        while True:
            # Set before each part begins: after a crash it tells the parent whether the image had been begun.
            self._heartbeat.doing = Doing.WAITING
            request = self._channel.receive()
            self._heartbeat.doing = Doing.PREPARING
            answer = self._answer(model, request)
            self._heartbeat.doing = Doing.ANSWERING
            self._channel.send(answer)

    def _open(self) -> LoadedModel:
        order = self._channel.receive().notes
        threads = order["threads"]
        cv2.setNumThreads(threads)
        opened = Recipe(order["opener"], order["arguments"]).open()
        # A worker takes one image at a time.
        profile = opened.backend.profiles(opened.model, threads, Plan(batch=1))[0]
        # Opening is done by all workers at once; compiling waits here until the parent has given the role.
        role = CompileRole(self._channel.receive().notes["role"])
        if isinstance(opened.backend, Spacious):
            check_room(opened.backend.compiling_bytes)
        compiled, unshared = compiled_for(role, opened, profile, self._network)
        self._network.close()  # what is imported stays mapped
        form = Form(
            compiled,
            lambda: opened.backend.compile(opened.model, profile, opened.precision),
            WarmUp(opened.model, opened.backend.guarantee(opened.precision).bit_identical),
        )
        slot = _ReportingSlot(form, self._heartbeat)
        slot.warm_up()
        ready = {
            "guarantee": asdict(
                compiled.guarantee
                if isinstance(compiled, Measured)
                else promised(opened.backend, opened.model, opened.precision)
            ),
            "precision": opened.precision.value,
            "splits_sums": compiled.splits_sums,
            "unshared": unshared,
        }
        self._channel.send(Message("ready", notes=ready))
        return LoadedModel(opened.model, slot, compiled.layout if isinstance(compiled, OwnRows) else None)

    def _answer(self, model: LoadedModel, request: Message) -> Message:
        notes = request.notes
        try:
            self._slot.follow(notes["slot"])
            pixels: NDArray[np.uint8] = self._slot.view(writable=False)[: notes["size"]]
            if notes["shape"] is None:
                return model.answer(request, Encoded(pixels.tobytes(), notes["source_name"]))
            # Seen in place, without a copy: the parent writes nothing here until it has the answer.
            return model.answer(request, pixels.reshape(notes["shape"]))
        except MemoryError as error:
            _out_of_memory(error)
        except Exception as error:  # noqa: BLE001  a fault of one image must not end the worker
            return Message("failed", request.request, described(error))

    def _beat(self) -> None:
        # A thread of its own: it stops when the process is stopped, or one thread keeps the interpreter for itself.
        pause = threading.Event()
        while not pause.wait(BEAT_S):
            self._heartbeat.beat()


class LoadedModel:
    """A compiled model that answers requests. Thread safety: one thread at a time."""

    def __init__(self, model: Model, slot: ContextSlot, layout: Layout | None) -> None:
        self._model = model
        self._layout = layout  # of raw outputs that are not as the file says
        self._slot = slot

    def answer(self, message: Message, image: NDArray[np.uint8] | Encoded) -> Message:
        """Predict one image: (H, W, 3) uint8 BGR, or encoded bytes. Raises what fails."""
        notes = message.notes
        lists = {name: tuple(value) for name, value in notes["options"].items() if isinstance(value, list)}
        options = PredictOptions(**(notes["options"] | lists))
        pipeline = ImagePipeline(self._model, options, notes["max_pixels"], self._layout)
        pipeline.keep_only(None if notes["keep"] is None else frozenset(notes["keep"]))
        pipeline.prepare(image, Ownership.OWNED)
        retried = False
        try:
            outputs, run_ms = self._run(pipeline)
        except MemoryError:
            raise
        except Exception:  # once more, on a new context
            log.warning("a run failed, the image is tried again", exc_info=True)
            retried = True
            try:
                outputs, run_ms = self._run(pipeline)
            except MemoryError:
                raise
            except Exception as error:  # noqa: BLE001  a fault of one image must not end the worker
                known = isinstance(error, YoloomError)
                failure = error if known else RuntimeFailed(f"the image failed: {type(error).__name__}: {error}")
                return Message("failed", message.request, described(failure) | {"retried": True})
        detections = pipeline.postprocess(outputs, run_ms)
        arrays = {name: array for name, array in vars(detections).items() if array is not None}
        answer = {"source_hw": pipeline.source_hw, "speed": pipeline.speed, "retried": retried}
        return Message("detections", message.request, answer, arrays)

    def _run(self, pipeline: ImagePipeline) -> tuple[RawOutputs, float]:
        """Return the raw outputs of the image, and the milliseconds in the runtime."""
        batch = np.empty((1, *pipeline.canvas_hw, 3), np.uint8)
        pipeline.draw(batch[0])
        started = monotonic()
        outputs = self._slot.run(batch, pipeline.lowest_score)
        return tuple(output[0] for output in outputs), (monotonic() - started) * 1e3


class _ReportingSlot(ContextSlot):
    """A slot that shows in the heartbeat when the network runs."""

    def __init__(self, form: Form, heartbeat: Heartbeat) -> None:
        super().__init__(form, OpenGate())  # nobody else computes in this process
        self._heartbeat = heartbeat

    def run(self, batch: NDArray[np.uint8], lowest_score: float = 0.0) -> RawOutputs:
        """Run, and end the process when there is no memory: a fresh one may have some."""
        self._heartbeat.doing = Doing.RUNNING
        try:
            return super().run(batch, lowest_score)
        except RuntimeFailed as error:
            if isinstance(error.__cause__, MemoryError):
                _out_of_memory(error.__cause__)
            raise


def _out_of_memory(error: Exception) -> NoReturn:
    # By `_exit`: to raise it further would need memory, and a process in this state answers nobody well.
    os.write(2, f"out of memory: {error}\n".encode(errors="replace"))
    os._exit(NO_MEMORY)
