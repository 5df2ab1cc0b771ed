"""The first lines of a worker process, run as a script, before the package and its libraries are there.

Nothing but the interpreter's own modules is imported until the worker is bound to its parent's life.
"""

import sys

# First of all: a file in the working folder or in this one must not stand in for a module.
sys.path[:] = sys.argv[7:]

import ctypes  # noqa: E402
import os  # noqa: E402
import signal  # noqa: E402

PR_SET_PDEATHSIG = 1


def bind_to_parent(parent: int) -> None:
    """Have the kernel end this process with its parent's thread that started it, even while it is stopped (Linux).

    Elsewhere it ends when the channel does.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    # The parent may have ended before the line above, and then no signal ever comes.
    if os.getppid() != parent:
        os._exit(0)


if __name__ == "__main__":
    # Ctrl-C is for the parent, which ends its workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent, channel, heartbeat, slot, network, generation = map(int, sys.argv[1:7])
    bind_to_parent(parent)
    sys.yoloom_worker = True  # type: ignore[attr-defined]  # the package then imports nothing by itself

    from yoloom.workers.child.worker import main

    main(channel, heartbeat, slot, network, generation)
