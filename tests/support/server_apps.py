"""The same tiny service twice, for servers with several processes: each opens a model of its own, after the fork.

POST an encoded image; back come the pid and the bits of the boxes as hexadecimal digits. Imported by the servers only.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any

from yoloom import YOLO, Results

model = YOLO(os.environ["YOLOOM_TEST_MODEL"], workers=1, threads=1)


def answer(results: Results) -> bytes:
    return f"{os.getpid()} {results.boxes.data.tobytes().hex()}".encode()


def wsgi(environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
    image = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
    body = answer(model.predict(image)[0])
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]


async def asgi(scope: dict[str, Any], receive: Callable[..., Any], send: Callable[..., Any]) -> None:
    if scope["type"] == "lifespan":
        await lifespan(receive, send)
        return
    image, more = b"", True
    while more:
        message = await receive()
        image, more = image + message.get("body", b""), message.get("more_body", False)
    body = answer(await model.predict_async(image))
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


async def lifespan(receive: Callable[..., Any], send: Callable[..., Any]) -> None:
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    model.close()
    await send({"type": "lifespan.shutdown.complete"})
