"""Failures for want of memory or threads, told from all others, and the limits that stand in the way.

Runtimes say it in words of their own, if at all. So a failure counts as one of these when its text says so, or when
the process has come close to a limit of its own.
"""

from __future__ import annotations

import contextlib
import errno
import mmap
import re
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

from yoloom.errors import RuntimeFailed, YoloomError
from yoloom.system.cgroups import group_folders, read_limit
from yoloom.system.memory import MIB, available_memory_bytes

_WORDS = re.compile(
    r"bad_alloc|can(no|')?t alloc|(can ?not|unable to|failed to|could not) (allocate|map segment|reserve)|"
    r"(out of|not enough|insufficient) memory|resource temporarily unavailable|start new thread|broken promise",
    re.IGNORECASE,
)
_CLOSE = 0.8
"""A guess: a process that has come so far towards a limit may have met it with its next request."""


@contextlib.contextmanager
def naming_limits(what: str) -> Iterator[None]:
    """Raise RuntimeFailed, which names the limits, for what fails inside for want of memory or threads.

    All other errors pass, and so do those that are typed already, unless a MemoryError made them: what is too large
    for a limit is no fault of a file.

    Args:
        what: The beginning of the message: what could not be done.
    """
    try:
        yield
    except YoloomError as error:
        limited = _limit("RLIMIT_AS") is not None or _limit("RLIMIT_DATA") is not None
        if isinstance(error, RuntimeFailed) or not (limited and isinstance(error.__cause__, MemoryError)):
            raise
        raise RuntimeFailed(f"{what} for want of memory ({error}). {limits_in_words()}") from error
    except Exception as error:
        if not is_shortage(error):
            raise
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise RuntimeFailed(f"{what} for want of memory or threads ({lines[-1][:300]}). {limits_in_words()}") from error


def check_room(nbytes: int) -> None:
    """Raise MemoryError unless there is so much address space left. Nothing is kept, and no memory is touched.

    Where the last of it is used up, native code can fail in ways that nobody can catch: glibc ends the process when a
    thread finds no memory for its variables.
    """
    if sys.platform != "linux":
        return
    try:
        mmap.mmap(-1, nbytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, prot=0).close()
    except OSError as error:
        raise MemoryError(f"{nbytes // MIB} MiB of address space are not there: {error.strerror}") from error


def explained(error: BaseException, words: str = "") -> str:
    """Return the words of an error, its own or others, with the limits for want of memory or threads."""
    words = words or str(error).strip() or type(error).__name__
    return f"{words}. {limits_in_words()}" if is_shortage(error) else words


def is_shortage(error: BaseException | None = None) -> bool:
    """Tell whether an error, or what went wrong without one, may come of want of memory or threads."""
    if isinstance(error, OSError):
        return error.errno in (errno.ENOMEM, errno.EAGAIN)
    if isinstance(error, MemoryError) or (error is not None and _WORDS.search(str(error))):
        return True
    limit = _limit("RLIMIT_AS")
    return limit is not None and _peak_bytes() >= _CLOSE * limit


def limits_in_words() -> str:
    """Name the limits of this process, and what to do."""
    limits = []
    address_space, data, threads = _limit("RLIMIT_AS"), _limit("RLIMIT_DATA"), _limit("RLIMIT_NPROC")
    if address_space is not None:
        used = _peak_bytes() // MIB
        limits.append(f"{address_space // MIB} MiB of address space (ulimit -v), of which {used} were in use")
    if data is not None:
        limits.append(f"{data // MIB} MiB of data (ulimit -d)")
    memory = available_memory_bytes()
    if memory is not None and memory not in (address_space, data):
        limits.append(f"{memory // MIB} MiB of memory")
    if threads is not None:
        limits.append(f"{threads} threads of its user (ulimit -u)")
    pids = [words[0] for folder in group_folders("pids") if (words := read_limit(folder / "pids.max"))]
    limits += [f"{pids} processes and threads in its control group" for pids in pids if pids.isdecimal()][:1]
    may = f"This process may have {'; '.join(limits)}" if limits else "No limit of this process is known"
    return f"{may}; it has {threading.active_count()} Python threads. Raise the limit, or ask for less at once."


def _limit(name: str) -> int | None:
    try:
        import resource  # not there on Windows
    except ImportError:
        return None
    if not hasattr(resource, name):
        return None
    limit = resource.getrlimit(getattr(resource, name))[0]
    return None if limit == resource.RLIM_INFINITY else limit


def _peak_bytes() -> int:
    """The most address space that this process ever had, 0 where the system does not tell."""
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return 0
    peak = re.search(r"^VmPeak:\s+(\d+) kB", status, re.MULTILINE)
    return int(peak[1]) * 1024 if peak else 0
