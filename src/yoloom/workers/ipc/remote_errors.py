"""Errors on their way from a worker: their class by its name, their words, and what caused them in words."""

from __future__ import annotations

from typing import Any

from yoloom import errors
from yoloom.errors import RuntimeFailed, YoloomError


class RemoteCause(Exception):
    """What caused an error in a worker process: its class and its words."""


def described(error: BaseException) -> dict[str, Any]:
    """An error as plain values."""
    cause = error.__cause__
    if not isinstance(error, YoloomError):
        return {"error": "RuntimeFailed", "text": f"the worker raised {_named(error)}", "cause": _named(error)}
    return {
        "error": type(error).__name__,
        "text": str(error),
        "cause": None if cause is None else _named(cause),
    }


def rebuilt(notes: Any) -> YoloomError:
    """The error that was described. Only classes of yoloom are made."""
    found = getattr(errors, str(notes["error"]), None)
    is_ours = isinstance(found, type) and issubclass(found, YoloomError) and found is not errors.PartialFailure
    error = found(notes["text"]) if is_ours and found is not None else RuntimeFailed(notes["text"])
    if notes["cause"] is not None:
        error.__cause__ = RemoteCause(notes["cause"])
    return error


def _named(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"
