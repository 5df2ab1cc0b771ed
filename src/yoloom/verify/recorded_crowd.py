"""Runs callers whose answers are compared later, because the right ones are not known yet.

So a target can be asked for the first time by many at once: whoever asked it alone before would have warmed it up.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from yoloom.verify.answer import Answer, answer_of
from yoloom.verify.answer_check import AnswerCheck, check_unchanged
from yoloom.verify.caller import Caller
from yoloom.verify.crowd import Crowd, Hang, Watch
from yoloom.verify.in_flight import InFlight
from yoloom.verify.reference import Expected, Raised, References
from yoloom.verify.schedule import CallerStep, RequestKind

if TYPE_CHECKING:
    from yoloom.verify.cases import Case
    from yoloom.verify.journal import Journal
    from yoloom.verify.target import Target


class AnswerRecorder:
    """Keeps the answers of one caller, and reads each again after the next one.

    Thread safety: owned by its caller.

    Attributes:
        answers: by case.
        errors: by case, in place of an answer.
    """

    def __init__(self, where: str, cases: Sequence[Case], journal: Journal) -> None:
        self.answers: dict[int, Answer] = {}
        self.errors: dict[int, BaseException] = {}
        self._where = where
        self._cases = cases
        self._journal = journal
        self._last: tuple[int, Any] | None = None

    def received(self, cases: Sequence[int], values: Sequence[Any]) -> None:
        """Keep an answer. Raises InvalidTarget when it is none, or what reading it raises."""
        [case], [value] = cases, values
        self.answers[case] = answer_of(value)
        self.finish()
        self._last = (case, value)

    def raised(self, cases: Sequence[int], error: BaseException) -> None:
        """Keep an error in place of an answer."""
        self.errors[cases[0]] = error

    def finish(self) -> None:
        """Read the last answer again, and let go of it."""
        if self._last is not None:
            case, value = self._last
            check_unchanged(value, self.answers[case], self._where, str(self._cases[case]), self._journal)
            self._last = None


class RecordedCrowd:
    """Callers that ask for cases in given orders. Thread safety: owned by one thread, which runs it once.

    Attributes:
        recorders: of the answers, by caller.
        fastest_s: by case, the seconds of its fastest request.
    """

    def __init__(
        self, place: str, target: Target, cases: Sequence[Case], orders: Sequence[Sequence[int]], journal: Journal
    ) -> None:
        """Plan the requests.

        Args:
            place: name in reports.
            target: is asked.
            cases: all of them, in the order of their numbers.
            orders: numbers of cases, for each caller.
            journal: gets the faults that show without knowing the right answers.
        """
        self.recorders = [AnswerRecorder(place, cases, journal) for _ in orders]
        self.fastest_s: dict[int, float] = {}
        self._place = place
        self._cases = cases
        self._journal = journal
        self._in_flight = InFlight()
        self._plans = [
            (
                Caller(number, target, cases, recorder, self._in_flight, journal),
                [CallerStep((case,), RequestKind.PREDICT) for case in order],
            )
            for number, (recorder, order) in enumerate(zip(self.recorders, orders, strict=True))
        ]

    def run(self, hang_after_s: float, watch: Watch, seconds: float | None = None, shaken: bool = False) -> Hang | None:
        """Run the callers, see `Crowd`; with `seconds`, each of them asks at least once."""
        crowd = Crowd(self._place, self._plans, self._in_flight, hang_after_s, seconds, shaken)
        hang = crowd.run(watch)
        for caller, _ in self._plans:
            for case, seconds in caller.pace.fastest_s.items():
                self.fastest_s[case] = min(seconds, self.fastest_s.get(case, seconds))
        self._plans = []  # they hold the target, of which there may be many instances before anybody judges
        return hang

    def expected(self) -> list[Expected]:
        """Return the answers of a single caller that asked for every case: they are the right ones, and are counted."""
        [recorder] = self.recorders
        self._journal.answered(len(self._cases))
        return [
            recorder.answers.get(case.number) or Raised(type(recorder.errors[case.number]).__qualname__)
            for case in self._cases
        ]

    def judge(self, references: References) -> None:
        """Compare all that came with the right answers, which are known now."""
        for number, recorder in enumerate(self.recorders):
            check = AnswerCheck(number, self._place, references, self._in_flight, self._journal)
            for case, answer in recorder.answers.items():
                check.compare([case], [answer])
            for case, error in recorder.errors.items():
                check.raised([case], error)
