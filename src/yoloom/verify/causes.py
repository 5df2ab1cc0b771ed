"""An error of somebody else's in one line, with what it came from."""

from __future__ import annotations

MAX_CAUSES = 4


def told_with_causes(error: BaseException) -> str:
    """ "RuntimeError: no device, because of OSError: libcuda.so.1: no such file"."""
    told = [_told(error)]
    cause = error.__cause__ or error.__context__
    while cause is not None and len(told) <= MAX_CAUSES:
        told.append(_told(cause))
        cause = cause.__cause__ or cause.__context__
    return ", because of ".join(told)


def _told(error: BaseException) -> str:
    try:
        words = " ".join(str(error).split())
    except Exception:  # noqa: BLE001  its words are somebody's code
        words = ""
    return f"{type(error).__name__}: {words}".rstrip(": ")
