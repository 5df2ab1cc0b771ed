"""Openers for worker processes that fail on purpose: at a certain step, in a certain way, so many times."""

from __future__ import annotations

import os
import resource
import signal
import threading
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yoloom.errors import InvalidModel
from yoloom.formats.model import Model
from yoloom.runtime.protocol import Batch, Compiled, Precision, Profile, RawOutputs
from yoloom.testing import FakeBackend, FakeCompiled, fake_model
from yoloom.workers.ipc.channel import Channel
from yoloom.workers.ipc.messages import Message, encode
from yoloom.workers.recipe import WorkerModel

POISON = (1, 2, 3)
"""The first pixel of an image that ends whoever runs it."""


def strike(how: str) -> None:
    """End this process, or silence it."""
    if how == "exit":
        os._exit(3)
    if how == "memory":
        resource.setrlimit(resource.RLIMIT_AS, (2**20, resource.RLIM_INFINITY))
        np.ones(2**32, np.uint8)
    os.kill(os.getpid(), getattr(signal, how))


def open_faulty(step: str, how: str, times: int, folder: str, together: bool = False) -> WorkerModel:
    """step: "starting", "waiting", "running", "writing" or "half-way". folder: remembers how often it has happened.

    together: as many workers as `times` come to this step before it happens to all of them.
    """
    plan = Plan(step, how, times, Path(folder), together)
    if step == "starting":
        plan.strike_if("starting")
    if step == "waiting":
        threading.Timer(0.5, plan.strike_if, ["waiting"]).start()
    if step in ("writing", "half-way"):
        _patch_sending(plan)
    return WorkerModel(fake_model(), FaultyBackend(plan))


class Plan:
    """When this worker strikes. Counted over all workers, by files."""

    def __init__(self, step: str, how: str, times: int, folder: Path, together: bool = False) -> None:
        self.step, self.how, self.times, self.folder = step, how, times, folder
        self.together = together

    def strike_if(self, step: str) -> None:
        if step == self.step and self.is_due():
            strike(self.how)

    def is_due(self) -> bool:
        for number in range(self.times):
            try:
                (self.folder / f"strike-{number}").touch(exist_ok=False)
            except FileExistsError:
                continue
            while self.together and len(list(self.folder.glob("strike-*"))) < self.times:
                threading.Event().wait(0.005)
            return True
        return False


class FaultyBackend(FakeBackend):
    def __init__(self, plan: Plan) -> None:
        super().__init__(lanes=1)
        self._plan = plan
        self._warm = False

    def execute(self, model: Model, batch: Batch) -> RawOutputs:
        if self._warm and (self._plan.step != "poison" or tuple(batch[0, 8, 0]) == POISON):
            self._plan.strike_if("poison" if self._plan.step == "poison" else "running")
        self._warm = True
        return super().execute(model, batch)


def _patch_sending(plan: Plan) -> None:
    usual = Channel.send

    def send(self: Any, message: Message) -> None:
        if message.kind == "detections" and plan.is_due():
            if plan.step == "half-way":
                data = b"".join(map(bytes, encode(message, self._generation)))
                self._end.sendall(data[: len(data) // 2])
            strike(plan.how)
        usual(self, message)

    Channel.send = send  # type: ignore[method-assign]


def open_broken() -> WorkerModel:
    raise InvalidModel("broken.onnx is broken.") from ValueError("in its heart")


def open_talkative() -> WorkerModel:
    """Writes more than a pipe holds, to both streams."""
    for stream in (1, 2):
        os.write(stream, b"x" * 300_000)
    os.write(2, b"the last words")
    return WorkerModel(fake_model(), FakeBackend(lanes=1))


def open_faulty_when_folder(folder: str, **plan: Any) -> WorkerModel:
    """Faulty only once the folder is there."""
    if Path(folder).exists():
        return open_faulty(folder=folder, **plan)
    return WorkerModel(fake_model(), FakeBackend(lanes=1))


def open_sharing(step: str, how: str, times: int, folder: str) -> WorkerModel:
    """step: "compiling", "exporting", "sealed" or "taking", where `how` may also be "raise"; or "other bits"."""
    return WorkerModel(fake_model(), SharingBackend(Plan(step, how, times, Path(folder))))


class SharingBackend(FakeBackend):
    """Its compiled networks are handed over as a few bytes."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(lanes=1)
        self._plan = plan
        self._gives = False

    def compile(self, model: Model, profile: Profile, precision: Precision = Precision.FP32) -> FakeCompiled:
        self._gives = True
        self._strike_if("compiling")
        return super().compile(model, profile, precision)

    def exported(self, compiled: Compiled) -> memoryview:
        self._strike_if("exporting")
        return memoryview(b"network" * 1000)

    def imported(
        self, model: Model, profile: Profile, data: NDArray[np.uint8], precision: Precision = Precision.FP32
    ) -> FakeCompiled:
        self._strike_if("sealed" if self._gives else "taking")
        if data.tobytes() != b"network" * 1000:
            raise InvalidModel("what was handed over is not whole")
        return (OtherBits(1) if self._plan.step == "other bits" else super()).compile(model, profile, precision)

    def _strike_if(self, step: str) -> None:
        if step == self._plan.step and self._plan.is_due():
            if self._plan.how == "raise":
                raise InvalidModel("it can not be handed over")
            strike(self._plan.how)


class OtherBits(FakeBackend):
    def execute(self, model: Model, batch: Batch) -> RawOutputs:
        return tuple(output + 1 for output in super().execute(model, batch))
