"""Everybody on the same network, pictures and machine: rates, latencies, CPU time, memory, start, and wrong answers.

Regime: CPU, float32, squares of 640 pixels for all, so that all do the same arithmetic; photographs decoded to arrays
before; every contender in a process and an environment of its own, all started before, idle while another has its
turn. For each number of callers all contenders have a turn of a few seconds, one right after another; rounds begin
with another contender. Medians over the rounds, with the smallest and the largest.

Wrong answers: eight callers at once, each with its own picture and, where calls take them, its own options, on a
trained network; an answer is wrong when it is not the one that the same contender gave to the same call alone (a box
more or less, or a number off by more than 0.01).

All of it takes `--minutes` at the most, whatever the machine is: a slow one has fewer starts, rounds and judged calls,
shorter turns, and no turns of many callers for those that take longest. The result says which.

    tools/make_oracle.sh files; tools/make_field.sh
    python benchmarks/field/run.py --results benchmarks/results      # about 20 minutes; --quick: two
"""

from __future__ import annotations

import argparse
import functools
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import measure
from budget import Budget, Schedule, schedule
from child import TURN_PATIENCE_S, Child, ContenderFailed
from entries import Entry, entries, missing
from measure import Series
from networks import Networks, find_networks
from yoloom.bench.rounds import calmest, report_line, shifted

CALLERS = (1, 2, 4, 8, 16, 64)
CONF = 0.25
TRAINED_CONF = 0.05  # of contenders without options for each call: so low that every picture has its answer
OPTIONS: tuple[dict[str, Any], ...] = (
    {"conf": 0.01},
    {"conf": 0.05},
    {"conf": 0.25},
    {"conf": 0.5},
    {"conf": 0.01, "classes": [1]},
    {"conf": 0.05, "max_det": 2},
    {"conf": 0.01, "iou": 0.2},
    {"conf": 0.1, "iou": 0.9},
)
PACKAGES = (
    *("yoloom", "ultralytics", "torch", "openvino", "onnxruntime", "batched", "yowo", "onnx-predictor-yolo"),
    *("openvino-model-api", "openvino_model_api", "numpy", "opencv-python-headless"),
)
WARM_UP_S = 0.2
STARTED_BY, WARM_BY = 0.15, 0.4  # parts of the time: what is not done by then is left out
SHORTEST_PATIENCE_S = 15.0  # for one that may hang, when there is no more time
PATIENCE_STARTS = 20.0  # or so many times what its start took: on a machine that is busy, all takes longer
JUDGE_PATIENCE_S = 90.0
JUDGED_S = 30.0  # kept at the most for judging one contender
TRAINED_COSTS = 3.0  # a guess: a call of the network that finds something, over one of the network for speed
NO_TIME = "no time for it"


class Field:
    """The contenders that take part, and what is known of each. One thread at a time."""

    def __init__(self, networks: Networks, asked: argparse.Namespace, log: Any) -> None:
        self._networks, self._asked, self._log = networks, asked, log
        self._budget = Budget(60 * asked.minutes)
        self._children: dict[Entry, Child] = {}
        self._overheads: dict[tuple[str, int], float] = {}  # what a turn takes beyond its length
        self._spare_s = 0.0
        self.skipped: dict[str, str] = {}
        self.found: dict[str, dict[str, Any]] = {}
        self.schedule = Schedule(0, 0.0, ())

    def start(self, all_entries: Sequence[Entry]) -> None:
        """Start each a few times, in turn: the last process stays."""
        starts: dict[Entry, list[float]] = {}
        for number in range(self._asked.starts):
            if number and self._budget.is_used_by(STARTED_BY):
                break
            for entry in all_entries:
                if entry.name not in self.skipped:
                    self._start(entry, starts.setdefault(entry, []))
        for entry, child in self._children.items():
            versions = child.ask("versions")
            self.found[entry.name] = {
                "pattern": entry.pattern,
                "versions": {name: versions[name] for name in PACKAGES if name in versions},
                "most_callers": entry.most_callers,
                "because": entry.because,
                "first_result_s": measure.spread(starts[entry]),
                "memory_mib": {},
                "failed": {},
            }

    def _start(self, entry: Entry, seconds: list[float]) -> None:
        if (before := self._children.pop(entry, None)) is not None:
            before.close()
        reason = missing(entry)
        if entry.module == "by_ultralytics" and not self._networks.speed["checkpoint"]:
            reason = "no checkpoint: tools/make_oracle.sh files"
        if reason is None:
            try:
                child = Child(entry, self._networks.speed, CONF, self._log)
                seconds.append(child.first_result_s)
                self._children[entry] = child
                measure.log(f"{entry.name:32} first result after {child.first_result_s:.2f} s")
                return
            except ContenderFailed as error:
                reason = str(error)
        measure.log(f"{entry.name:32} skipped: {reason}")
        self.skipped[entry.name] = reason

    def warm_up(self) -> None:
        """A short turn with each number of callers, the fastest first, and what the processes hold then."""
        before: dict[str, float] = {}
        for callers in self._asked.callers:
            for entry in sorted(self._taking_part(callers), key=lambda entry: before.get(entry.name, 0.0)):
                before[entry.name] = self._warm_up(entry, callers)
            measure.log(f"warmed up with {callers} callers")

    def _warm_up(self, entry: Entry, callers: int) -> float:
        """What its turn takes beyond its length."""
        if self._budget.is_used_by(WARM_BY):
            self._leave_out(entry.name, callers, "others took it")
            return 0.0
        warming = functools.partial(self._children[entry].warm_up, callers, WARM_UP_S, self._patience_s())
        told = self._try(entry, callers, warming)
        if told is None:
            return 0.0
        memory_mib, took_s = told
        self.found[entry.name]["memory_mib"][str(callers)] = measure.short(memory_mib)
        self._overheads[entry.name, callers] = max(0.0, took_s - WARM_UP_S)
        return self._overheads[entry.name, callers]

    def compete(self) -> None:
        """Rounds, as many as fit."""
        series: dict[str, dict[int, Series]] = {entry.name: {} for entry in self._children}
        left_s = self._left_s()
        self.schedule = schedule(self._overheads, left_s, self._asked.rounds, self._asked.seconds)
        for name, callers in self.schedule.left_out:
            self._leave_out(name, callers, f"a turn takes {self._overheads.pop((name, callers)):.0f} s")
        expected = sum(self._overheads.values()) + self.schedule.seconds * len(self._overheads)
        self._spare_s = left_s - expected * self.schedule.rounds
        measure.log(f"{self.schedule}, {left_s:.0f} s left")
        for number in range(self.schedule.rounds):
            for callers in self._asked.callers:
                self._round(number, callers, series)
        for name, levels in series.items():
            self.found[name]["levels"] = {str(callers): one.report() for callers, one in levels.items() if one.samples}

    def _round(self, number: int, callers: int, series: Mapping[str, dict[int, Series]]) -> None:
        taking_part = {entry.name: entry for entry in self._taking_part(callers)}
        for name in shifted(list(taking_part), number, self.schedule.rounds):
            if self._left_s() <= 0:
                if callers not in series[name]:
                    self._leave_out(name, callers, "others took it")
                continue
            sample = self._turn(taking_part[name], callers)
            if sample is not None:
                series[name].setdefault(callers, Series()).samples.append(sample)
                measure.log(f"round {number + 1}  {callers:3} callers  {report_line(name, sample)}")

    def _turn(self, entry: Entry, callers: int) -> Any:
        """A turn, repeated where it was disturbed and there is time to spare; None after a failure."""
        before_s = self._budget.left_s
        expected_s = self.schedule.seconds + self._overheads[entry.name, callers]
        turn = functools.partial(self._children[entry].turn, callers, self.schedule.seconds, self._patience_s())
        retries = self._asked.retries if self._spare_s > expected_s else 0
        sample = self._try(entry, callers, functools.partial(calmest, turn, retries))
        self._spare_s -= before_s - self._budget.left_s - expected_s
        return sample

    def judge(self) -> None:
        """Wrong answers, each in a fresh process that is alone."""
        self.close()
        wanted = {entry: self._judging_s(entry) for entry in self._children}
        for entry in self._children:
            seconds = self._budget.left_s * wanted[entry] / sum(wanted.values())
            del wanted[entry]
            self.found[entry.name]["wrong_answers"] = self._judged(entry, seconds)
            measure.log(f"{entry.name:32} {self.found[entry.name]['wrong_answers']}")

    def _judged(self, entry: Entry, seconds: float) -> dict[str, Any]:
        """seconds: for all of it, as far as it can be told; each caller has an answer at least."""
        options = OPTIONS[: entry.most_callers]
        least_s = max(2 * SHORTEST_PATIENCE_S, PATIENCE_STARTS * self._start_s(entry))
        patience_s = max(least_s, min(JUDGE_PATIENCE_S, seconds + least_s))
        seconds = max(1.0, 0.7 * seconds - self._start_s(entry))  # the rest: the calls alone, and the end
        try:
            child = Child(entry, self._networks.trained, TRAINED_CONF, self._log)
        except ContenderFailed as error:
            return {"error": str(error)}
        try:
            how = {"options": options, "each": self._asked.each, "seconds": seconds}
            return dict(child.ask("wrong_answers", patience_s, **how))
        except ContenderFailed as error:
            return {"error": str(error)}
        finally:
            child.close()

    def close(self) -> None:
        for child in self._children.values():
            child.close()

    def _taking_part(self, callers: int) -> list[Entry]:
        """Those that may have so many callers, and have not failed with them."""
        return [
            entry
            for entry, child in self._children.items()
            if child.alive and callers <= entry.most_callers and str(callers) not in self.found[entry.name]["failed"]
        ]

    def _try(self, entry: Entry, callers: int, turn: Callable[[], Any]) -> Any:
        """What `turn` returns; None after a failure, which is kept."""
        try:
            return turn()
        except ContenderFailed as error:
            self.found[entry.name]["failed"][str(callers)] = str(error)
            measure.log(f"{entry.name:32} failed with {callers} callers: {error}")
            return None

    def _leave_out(self, name: str, callers: int, why: str) -> None:
        self.found[name]["failed"][str(callers)] = f"{NO_TIME}: {why}"

    def _left_s(self) -> float:
        """Before wrong answers must be counted."""
        return self._budget.left_s - sum(map(self._judging_s, self._children))

    def _judging_s(self, entry: Entry) -> float:
        """What a start and all calls of eight callers take, as far as that is known."""
        calls_s = TRAINED_COSTS * self._overheads.get((entry.name, len(OPTIONS)), 1.0)  # one of each of them
        return min(JUDGED_S, self._start_s(entry) + (1 + int(self._asked.each)) * calls_s)

    def _start_s(self, entry: Entry) -> float:
        return float(self.found[entry.name]["first_result_s"]["median"])

    def _patience_s(self) -> float:
        return max(SHORTEST_PATIENCE_S, min(TURN_PATIENCE_S, self._left_s()))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--field", type=Path, default=Path(".field"), help="folder of the environments")
    parser.add_argument("--oracle", type=Path, default=Path(".oracle"), help="folder of Ultralytics and the files")
    parser.add_argument("--only", help="a part of the names of those that take part")
    parser.add_argument("--callers", type=int, nargs="+", default=list(CALLERS))
    parser.add_argument("--rounds", type=int, default=3, help="at the most")
    parser.add_argument("--minutes", type=float, default=20.0, help="in all; what does not fit is left out")
    parser.add_argument("--seconds", type=float, default=1.5, help="length of one contender's turn, at the most")
    parser.add_argument("--starts", type=int, default=3, help="fresh processes of each contender")
    parser.add_argument("--each", type=int, default=12, help="calls of each of the eight callers that are judged")
    parser.add_argument("--retries", type=int, default=1, help="turns more, where others disturbed one")
    parser.add_argument("--quick", action="store_true", help="to see that it works: no figures are kept")
    parser.add_argument("--results", type=Path, help="folder that keeps the JSON")
    asked = parser.parse_args()
    if asked.quick:
        quick = {"callers": [1, 8], "rounds": 1, "seconds": 0.1, "starts": 1, "each": 2, "retries": 0}
        vars(asked).update(quick)
    return asked


def main() -> None:
    asked = parse()
    chosen = [one for one in entries(asked.field, asked.oracle) if asked.only is None or asked.only in one.name]
    with tempfile.TemporaryDirectory() as scratch:
        networks = find_networks(asked.oracle / "files", Path(scratch))
        field = Field(networks, asked, subprocess.DEVNULL)
        try:
            field.start(chosen)
            field.warm_up()
            field.compete()
            field.judge()
        finally:
            field.close()
    result = {
        "network": networks.name,
        "quick": asked.quick,
        "rounds": field.schedule.rounds,
        "seconds": field.schedule.seconds,
        "asked": {"rounds": asked.rounds, "seconds": asked.seconds, "minutes": asked.minutes},
        "callers": asked.callers,
        "contenders": field.found,
        "skipped": field.skipped,
        "versions": measure.versions(),
    }
    measure.finish("field", result, None if asked.quick else asked.results)


if __name__ == "__main__":
    main()
