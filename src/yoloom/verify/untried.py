"""Says what a check has not tried: a pass is no promise about that."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from yoloom.verify.answer import ABOUT, MEMBERS

if TYPE_CHECKING:
    from yoloom.verify.check_settings import CheckSettings
    from yoloom.verify.target import Target

LEAST_LAPS_FOR_LATE = 2


def find_untried(
    target: Target, settings: CheckSettings, instances: int, new_sizes: int, laps: int, judged: bool
) -> Iterator[str]:
    """Yield what was not tried, most of it because the target or the caller of the check did not offer it.

    Args:
        target: that was checked.
        settings: of the check.
        instances: fresh ones that were asked at once; 1 for the one that was given.
        new_sizes: that many callers asked for at once, for the first time.
        laps: of concurrent callers.
        judged: whether there were laps enough to tell a leak.
    """
    if max(settings.threads) < 2:
        yield "anything at once: there was one caller"
    elif instances < 2:
        yield "first calls of other instances than this one: give fresh=, a function that makes one"
    if not new_sizes:
        yield "sizes that are new to a warm target, at once: there was no time, or no second caller"
    if not target.options:
        yield "options: it says none that it takes"
    if target.predict_async is None or not settings.asyncio:
        yield "asyncio tasks" + ("" if target.predict_async is None else ": ask with asyncio")
    missing = [name for name, has in (("submit", target.submit), ("map", target.map)) if has is None]
    if missing:
        yield f"futures, streams and cancellations, as far as they need {' and '.join(missing)}"
    if not target.deadlines:
        yield "deadlines"
    if laps < LEAST_LAPS_FOR_LATE:
        yield "answers that come late: too few laps"
    if not judged:
        yield "leaks: too few laps"
    yield f"more than {max(settings.threads)} callers, and longer than this"
    yield "pictures as paths, bytes or streams of frames: each came as an array (H, W, 3) uint8 BGR"
    yield f"members of results beside {', '.join((*MEMBERS, *ABOUT))}, if it gives results with members"
    yield "signals, forks, the end of the process, closing or replacing the model meanwhile, want of memory"
