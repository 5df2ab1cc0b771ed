"""A Flask service behind gunicorn: one model for each worker process, shared by its threads.

    pip install flask gunicorn
    YOLO_MODEL=best.pt gunicorn --threads 8 'examples.flask_service:create_app()'
    curl --data-binary @a.jpg localhost:8000/predict

Without --preload: a model that is open before the fork can not be used after it (ForkedEngine says so).
"""

from __future__ import annotations

import os
from typing import Any

from flask import Flask, request

from yoloom import YOLO, YoloomError


def create_app() -> Flask:
    app = Flask(__name__)
    model = YOLO(os.environ["YOLO_MODEL"])  # in the worker, whose threads share it; it ends with the worker
    app.extensions["yoloom"] = model

    @app.post("/predict")
    def predict() -> Any:
        try:
            (result,) = model(request.get_data(), conf=0.3, timeout=10)
        except YoloomError as error:
            return {"error": str(error)}, error.http_status
        return result.summary()

    return app
