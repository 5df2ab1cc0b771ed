"""A lane whose place to run is a worker process.

```
request ─▶ slot ─▶ asked ─▶ findings
                     │ the process ends: once more, on the next one
                     └▶ that one ends too: WorkerCrashed, and never again
```
"""

from __future__ import annotations

from collections.abc import Sequence

from yoloom.engine.lanes.lane import Outcome
from yoloom.engine.request import Request
from yoloom.errors import RuntimeFailed, WorkerCrashed, YoloomError
from yoloom.sync.clock import Clock
from yoloom.system.safe_log import SafeLogger
from yoloom.workers.current_worker import CurrentWorker
from yoloom.workers.exit_report import WorkerExit
from yoloom.workers.ipc.channel import ChannelClosed
from yoloom.workers.ipc.heartbeat import Doing
from yoloom.workers.ipc.messages import Message
from yoloom.workers.ipc.remote_errors import rebuilt
from yoloom.workers.process import WorkerProcess
from yoloom.workers.remote_prediction import RemotePrediction

log = SafeLogger("yoloom.workers")

TRIES = 2
"""So many processes may end over one image."""

CHANCES = 6
"""And so many in all, those that ended before they had begun with it included."""


class WorkerLane:
    """One lane. One thread at a time."""

    def __init__(self, post: CurrentWorker) -> None:
        self._post = post

    @property
    def broken(self) -> bool:
        """Never: the supervisor tells how its worker is."""
        return False

    def serve(self, requests: Sequence[Request], clock: Clock) -> list[Outcome]:
        """Have the worker answer one after the other. Raises nothing."""
        return [self._served(request, clock) for request in requests]

    def _served(self, request: Request, clock: Clock) -> Outcome:
        deaths: list[WorkerExit] = []
        try:
            for _ in range(CHANCES):
                outcome = self._tried(request, deaths, clock)
                if outcome is not None:
                    return outcome._replace(retried=outcome.retried or bool(deaths))
        except YoloomError as error:
            return Outcome(error=error, retried=bool(deaths))
        except Exception as error:  # a fault of ours must not end the lane
            log.exception("a lane failed")
            return Outcome(error=RuntimeFailed(f"the lane failed: {type(error).__name__}: {error}"))
        return Outcome(error=_crashed(deaths), retried=True)

    def _tried(self, request: Request, deaths: list[WorkerExit], clock: Clock) -> Outcome | None:
        """One try; None when the process ended and another one may be asked."""
        late = deaths and request.terms.deadline <= clock()
        process = None if late else self._post.begin(request.terms.deadline, clock)
        if process is None:
            return Outcome(late=True)
        served = False
        try:
            outcome = _asked(process, request)
            served = True
            return outcome
        except ChannelClosed as closed:
            log.debug("request %d lost its worker: %s", request.id, closed)
            self._post.vacate(process)
            deaths.append(process.death())
            if sum(death.doing != Doing.WAITING.words for death in deaths) >= TRIES:
                return Outcome(error=_crashed(deaths))
            return None
        finally:
            self._post.end(process, served)


def _asked(process: WorkerProcess, request: Request) -> Outcome:
    prediction = request.image
    if not isinstance(prediction, RemotePrediction):
        raise RuntimeFailed("a lane of worker processes got an image that was prepared for another one")
    answer: Message = process.ask(prediction.question(request.id))
    retried = bool(answer.notes.get("retried", False))
    if answer.kind == "failed":
        return Outcome(error=rebuilt(answer.notes), retried=retried)
    judged = prediction.take_answer(answer)
    return Outcome((), judged.speed["inference"], retried=retried)


def _crashed(deaths: list[WorkerExit]) -> WorkerCrashed:
    return WorkerCrashed(
        f"{len(deaths)} worker processes ended over this image, which is not tried again: "
        f"{', '.join(map(str, deaths))}.{deaths[-1].quoted}",
        [death.exit_code for death in deaths],
    )
