"""What must be made anew in a forked child: threads are not copied, but the locks that they hold are."""

from __future__ import annotations

import os
from collections.abc import Callable


def after_fork_in_child(begin_again: Callable[[], None]) -> Callable[[], None]:
    """Decorates what each child that this process forks does first. It may not wait for a lock that was there before.

    A lock that another thread held at the fork stays taken in the child for ever.
    """
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=begin_again)
    return begin_again
