"""Resetting state in a forked child: threads are not copied by a fork, but the locks that they hold are."""

from __future__ import annotations

import ctypes
import os
import weakref
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")

_natives: weakref.WeakValueDictionary[int, Any] = weakref.WeakValueDictionary()  # by id: not all can be hashed


def after_fork_in_child(reset: Callable[[], None]) -> Callable[[], None]:
    """Register a function that every child forked from this process calls first, and return it (a decorator).

    A lock that another thread held at the moment of the fork stays taken in the child for ever, because its owner does
    not exist there. The function must therefore replace such locks and never wait for one.
    """
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=reset)
    return reset


def undestroyed_in_child(native: T) -> T:
    """Keep a forked child from destroying its copy of a runtime's object, also at its end, and return the object.

    The destructor would wait for threads that exist in the parent only, or crash over what they were in the middle of.
    Nothing that the child needs is lost: it can not use the object, and its memory goes with the process.
    """
    _natives[id(native)] = native
    return native


@after_fork_in_child
def _hold_natives() -> None:
    for native in list(_natives.values()):
        # One reference that nobody holds: whatever does is taken down with the interpreter, and its references with it.
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(native))
