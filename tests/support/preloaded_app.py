"""A service that opens its model before the server forks (gunicorn --preload), which none of its processes can use."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from yoloom import YOLO, YoloomError

model = YOLO(os.environ["YOLOOM_TEST_MODEL"], **json.loads(os.environ["YOLOOM_TEST_ARGUMENTS"]))
image = np.zeros((64, 64, 3), np.uint8)
model.predict(image)


def wsgi(environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
    try:
        body = b"%d" % len(model.predict(image))
    except YoloomError as error:
        body = type(error).__name__.encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
