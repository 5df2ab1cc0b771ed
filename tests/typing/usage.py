"""Programs as users write them, and the types that their editors know. Checked by mypy and pyright, never run."""

from __future__ import annotations

from concurrent.futures import Future
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from typing_extensions import assert_type

import yoloom
from yoloom import YOLO, Boxes, Client, Frame, QueuePolicy, Results, ResultStream, YoloomError


def calls(model: YOLO) -> None:
    """Each way to ask has a type of its own."""
    assert_type(model("a.jpg"), list[Results])
    assert_type(model.predict(Path("a.jpg"), conf=0.4, classes=[0, "dog"], imgsz=(320, 640)), list[Results])
    assert_type(model("a.jpg", stream=True), ResultStream[Results])
    assert_type(model.predict("folder", True), ResultStream[Results])
    assert_type(model(["a.jpg"], errors="return"), list[Results | YoloomError])
    assert_type(model.predict("folder", stream=True, errors="return"), ResultStream[Results | YoloomError])
    assert_type(model.submit("a.jpg", timeout=1, client=Client("door", 2), on_full="latest"), Future[Results])
    assert_type(model.map(iter([Frame("a.jpg", "door")])), ResultStream[Results])
    assert_type(model.map([], errors="return"), ResultStream[Results | YoloomError])
    for result in model("folder", stream=True):
        assert_type(result, Results)
    with model.map(["a.jpg"]) as stream:
        assert_type(next(stream), Results)


async def tasks(model: YOLO) -> None:
    """A task awaits one result."""
    assert_type(await model.predict_async("a.jpg", conf=0.4, save=True, project=Path("runs")), Results)


def members(model: YOLO, result: Results) -> None:
    """Members of the model and of results."""
    assert_type(model.task, str)
    assert_type(model.names[0], str)
    assert_type(model.device.type, str)
    assert_type(model.to("cpu"), YOLO)
    assert_type(model.half(), YOLO)
    assert_type(model.overrides["conf"], Any)
    assert_type(YOLO("best.pt", queue=QueuePolicy(size=64), workers=2), YOLO)
    boxes: Boxes = result.boxes
    plain: NDArray[Any] = boxes.xyxy.numpy()
    assert_type(len(plain), int)
    assert_type(result.path, str)
    assert_type(yoloom.__version__, str)


def mistakes(model: YOLO) -> None:
    """Mistakes that a checker finds: each line would be an error of its own without the comment."""
    model("a.jpg", confidence=0.4)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    model("a.jpg", conf="high")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    model.submit("a.jpg", on_full="drop")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    model.train(data="coco8.yaml")  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
    yoloom.nonsense  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]  # noqa: B018
