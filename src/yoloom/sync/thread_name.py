"""The names of threads, by their idents."""

from __future__ import annotations

import threading


def thread_name(ident: int) -> str:
    """The name of a thread, or its number when it is none of Python's, or has ended."""
    return next((thread.name for thread in threading.enumerate() if thread.ident == ident), str(ident))
