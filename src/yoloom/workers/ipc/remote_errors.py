"""Errors on their way from a worker to its parent: the class by its name, the message, and the cause as text."""

from __future__ import annotations

from typing import Any

from yoloom import errors
from yoloom.errors import RuntimeFailed, YoloomError


class RemoteCause(Exception):
    """The cause of an error in a worker process: its class and its message."""


def described(error: BaseException) -> dict[str, Any]:
    """Convert an error to JSON values. One that is not the package's own becomes a RuntimeFailed."""
    if not isinstance(error, YoloomError):
        name = _named(error)
        return {"error": "RuntimeFailed", "text": f"the worker raised {name}", "cause": name}
    cause = error.__cause__
    return {"error": type(error).__name__, "text": str(error), "cause": None if cause is None else _named(cause)}


def rebuilt(notes: Any) -> YoloomError:
    """Build the error that `described` has converted. Only classes of the package are ever made."""
    # The name comes from another process: it must not be able to name any other class, let alone a function. A
    # PartialFailure takes more than a message, and no worker raises it.
    declared = getattr(errors, str(notes["error"]), None)
    is_ours = isinstance(declared, type) and issubclass(declared, YoloomError) and declared is not errors.PartialFailure
    error = declared(notes["text"]) if is_ours and declared is not None else RuntimeFailed(notes["text"])
    if notes["cause"] is not None:
        error.__cause__ = RemoteCause(notes["cause"])
    return error


def _named(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"
