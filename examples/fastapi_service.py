"""A FastAPI service on one shared model. Each client takes turns with the others; a full queue answers 429.

    pip install fastapi uvicorn python-multipart
    YOLO_MODEL=best.pt uvicorn examples.fastapi_service:app
    curl -F picture=@a.jpg localhost:8000/predict

Pictures come as bytes and are given to the model as bytes: a handler that passes a text on opens files for strangers.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import FastAPI, File, HTTPException, Request

from yoloom import YOLO, QueuePolicy, YoloomError


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    # Opened once, when the server starts; closed when what it has admitted is answered.
    with YOLO(os.environ["YOLO_MODEL"], queue=QueuePolicy(size=64)) as model:
        app.state.model = model
        yield


app = FastAPI(lifespan=lifespan)


@app.post("/predict")
async def predict(request: Request, picture: Annotated[bytes, File()], conf: float = 0.25) -> list[dict[str, Any]]:
    client = request.client.host if request.client else "unknown"
    try:
        result = await request.app.state.model.predict_async(
            picture, conf=conf, client=client, on_full="reject", timeout=10
        )
    except YoloomError as error:
        raise HTTPException(error.http_status, str(error)) from error
    return result.summary()  # plain numbers and texts


@app.get("/statistics")
async def statistics(request: Request) -> dict[str, Any]:
    return request.app.state.model.statistics().to_dict()
