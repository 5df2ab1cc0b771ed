"""Results that a program hands to JSON are numbers, or an error that says what to send: never an empty object.

FastAPI answered `{"boxes": r.boxes.xyxy}` with 200 and `{"boxes": {}}`: it takes `dict(...)`, then `vars(...)`, of what
it does not know, and both of them took the array.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from yoloom import Boxes, Masks, Results
from yoloom.results.arrays import frozen

PICTURE = np.zeros((8, 10, 3), np.uint8)
ROWS = np.array([[1, 2, 3, 4, 0.5, 0], [5, 6, 7, 8, 0.25, 1]], np.float32)


def results(rows: np.ndarray) -> Results:
    return Results(PICTURE.copy(), "a.jpg", {0: "cat", 1: "dog"}, boxes=rows)


THINGS = {
    "array": frozen(ROWS),
    "array of pairs, of which dict() makes keys": frozen(ROWS[:, :2]),
    "array of nothing": frozen(ROWS[:0]),
    "one value": frozen(ROWS[0, 4]),
    "boxes": Boxes(ROWS, (8, 10)),
    "no boxes": Boxes(ROWS[:0], (8, 10)),
    "plain boxes": Boxes(ROWS, (8, 10)).numpy(),
    "masks": Masks(np.ones((2, 8, 10)), (8, 10)),
    "results": results(ROWS),
    "results of nothing": results(ROWS[:0]),
}
every_thing = pytest.mark.parametrize("thing", THINGS.values(), ids=THINGS)


def sent(thing: Any) -> Any:
    return {"found": thing}


@every_thing
@pytest.mark.parametrize("convert", [dict, vars, json.dumps])
def test_nothing_is_made_of_it_silently(convert: Callable[[Any], Any], thing: Any) -> None:
    if convert is vars and isinstance(thing, Results):
        assert vars(thing)["boxes"] is thing.boxes  # programs read `result.__dict__["boxes"]`
        return
    with pytest.raises(TypeError):
        convert(thing)


@every_thing
def test_fastapi(thing: Any) -> None:
    encoders = pytest.importorskip("fastapi.encoders")
    with pytest.raises(ValueError, match=r"tolist\(\)|summary\(\)"):
        encoders.jsonable_encoder(sent(thing))


@every_thing
def test_flask(thing: Any) -> None:
    flask = pytest.importorskip("flask")
    with flask.Flask("app").app_context(), pytest.raises(TypeError, match="not JSON serializable"):
        flask.jsonify(sent(thing))


@every_thing
@pytest.mark.parametrize("library", ["msgspec", "orjson"])
def test_fast_encoders(library: str, thing: Any) -> None:
    module = pytest.importorskip(library)
    encode = module.json.encode if library == "msgspec" else module.dumps
    with pytest.raises(TypeError, match=type(thing).__name__):
        encode(sent(thing))


@every_thing
def test_pydantic(thing: Any) -> None:
    pydantic = pytest.importorskip("pydantic")
    model = pydantic.create_model("Answer", found=(Any, ...))
    with pytest.raises(ValueError, match="serialize"):
        model(found=thing).model_dump_json()


def test_pydantic_takes_the_rows_of_an_array_for_lists_of_numbers() -> None:
    pydantic = pytest.importorskip("pydantic")
    model = pydantic.create_model("Answer", found=(list[list[float]], ...))
    assert json.loads(model(found=THINGS["array"]).model_dump_json()) == {"found": ROWS.tolist()}


@pytest.mark.parametrize("rows", [ROWS, ROWS[:0]])
def test_what_the_errors_name_is_json(rows: np.ndarray) -> None:
    found = results(rows)
    assert json.loads(json.dumps(found.boxes.xyxy.tolist())) == rows[:, :4].tolist()
    assert [row["name"] for row in json.loads(json.dumps(found.summary()))] == [
        ["cat", "dog"][int(c)] for c in rows[:, 5]
    ]
