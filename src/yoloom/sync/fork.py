"""Resetting state in a forked child: threads are not copied by a fork, but the locks that they hold are."""

from __future__ import annotations

import os
from collections.abc import Callable


def after_fork_in_child(reset: Callable[[], None]) -> Callable[[], None]:
    """Register a function that every child forked from this process calls first, and return it (a decorator).

    A lock that another thread held at the moment of the fork stays taken in the child for ever, because its owner does
    not exist there. The function must therefore replace such locks and never wait for one.
    """
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=reset)
    return reset
