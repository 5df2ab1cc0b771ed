"""A lane that runs its requests in a worker process.

```
request ─▶ image in the slot ─▶ worker ─▶ detections
                                  │ the process ends: once more, on the next one
                                  └▶ that one ends too: WorkerCrashed, and never again
```
"""

from __future__ import annotations

from collections.abc import Sequence

from yoloom.engine.request import Outcome, Request
from yoloom.errors import RuntimeFailed, WorkerCrashed, YoloomError
from yoloom.sync.clock import Clock
from yoloom.system.safe_log import SafeLogger
from yoloom.workers.current_worker import CurrentWorker
from yoloom.workers.exit_report import WorkerExit
from yoloom.workers.ipc.channel import ChannelClosed
from yoloom.workers.ipc.heartbeat import WORDS, Doing
from yoloom.workers.ipc.messages import rebuilt
from yoloom.workers.process import WorkerProcess
from yoloom.workers.remote_job import RemoteImageJob

log = SafeLogger("yoloom.workers")

TRIES = 2
"""Processes that may end while they work on one image."""

CHANCES = 6
"""Processes that one image may be given to in all, those included that ended before they had begun with it."""


class WorkerLane:
    """One lane. Thread safety: one thread at a time."""

    broken = False  # ever: the supervisor reports the state of the worker

    def __init__(self, current: CurrentWorker) -> None:
        self._current = current

    def serve(self, requests: Sequence[Request], clock: Clock) -> list[Outcome]:
        """Have the worker answer one after the other. Raises nothing."""
        return [self._serve(request, clock) for request in requests]

    def _serve(self, request: Request, clock: Clock) -> Outcome:
        exits: list[WorkerExit] = []
        try:
            for _ in range(CHANCES):
                outcome = self._try(request, exits, clock)
                if outcome is not None:
                    return outcome._replace(retried=outcome.retried or bool(exits))
        except YoloomError as error:
            # No worker is left, the model is closed, or the image has no room: another try would end in the same way.
            return Outcome(error=error, retried=bool(exits))
        except Exception as error:  # a fault of ours must not end the lane
            log.exception("a lane failed")
            return Outcome(error=RuntimeFailed(f"the lane failed: {type(error).__name__}: {error}"))
        return Outcome(error=_crashed(exits), retried=True)

    def _try(self, request: Request, exits: list[WorkerExit], clock: Clock) -> Outcome | None:
        """Try once; None when the process ended and another one may get the image."""
        # The first try is not checked: the engine has just looked. After a crash, a late image is not worth a worker.
        late = exits and request.terms.deadline <= clock()
        process = None if late else self._current.acquire(request.terms.deadline, clock)
        if process is None:
            return Outcome(late=True)
        # From `acquire` to `release` the process belongs to this lane, also if it is replaced or ends meanwhile.
        served = False
        try:
            outcome = _predict(process, request)
            served = True
            return outcome
        except ChannelClosed as closed:
            log.debug("request %d lost its worker: %s", request.id, closed)
            # At once, not when the supervisor notices: the next try must not get the same process again.
            self._current.vacate(process)
            exits.append(process.exit_report())
            # A process that ended while it waited for work had not begun with this image, which is not to blame.
            if sum(report.doing != WORDS[Doing.WAITING] for report in exits) >= TRIES:
                return Outcome(error=_crashed(exits))
            return None
        finally:
            self._current.release(process, served)


def _predict(process: WorkerProcess, request: Request) -> Outcome:
    """Have a worker run one image. Raises ChannelClosed when it ends meanwhile."""
    job = request.image
    if not isinstance(job, RemoteImageJob):
        raise RuntimeFailed("a lane of worker processes got an image that was prepared for another one")
    answer = process.predict(job.to_request(request.id))
    retried = bool(answer.notes.get("retried", False))
    if answer.kind == "failed":
        return Outcome(error=rebuilt(answer.notes), retried=retried)
    return Outcome((), job.take_answer(answer), retried=retried)


def _crashed(exits: list[WorkerExit]) -> WorkerCrashed:
    return WorkerCrashed(
        f"{len(exits)} worker processes ended over this image, which is not tried again: "
        f"{', '.join(map(str, exits))}.{exits[-1].quote}",
        [report.exit_code for report in exits],
    )
