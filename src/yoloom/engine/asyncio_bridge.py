"""A future of the engine, awaited by a task of an event loop."""

from __future__ import annotations

import asyncio
import functools
import math
from concurrent.futures import Future

from yoloom.engine.futures import ResultFuture
from yoloom.results.results import Results
from yoloom.system.safe_log import SafeLogger

log = SafeLogger("yoloom.engine")


async def awaited(future: ResultFuture, seconds: float) -> Results:
    """The future's result, awaited for so many seconds at the most: then it ends with DeadlineExceeded.

    A task that is cancelled takes the request back. `asyncio.wrap_future` does neither count a deadline as one, nor
    does it work without a thread for callbacks in between.
    """
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    future.add_quick_callback(functools.partial(_wake, loop, ended))
    timer = None if seconds == math.inf else loop.call_later(seconds, future.expire)
    try:
        await ended.wait()
        return future.result()
    except asyncio.CancelledError:
        future.cancel()
        raise
    finally:
        if timer is not None:
            timer.cancel()


def _wake(loop: asyncio.AbstractEventLoop, ended: asyncio.Event, _: Future[Results]) -> None:
    try:
        loop.call_soon_threadsafe(ended.set)
    except RuntimeError:  # the loop was closed, and whoever waited in it is gone
        log.debug("an event loop was closed before its result came")
