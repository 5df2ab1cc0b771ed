"""What a check has found, as one value."""

from __future__ import annotations

import dataclasses
import enum
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from yoloom.verify.crowd import Hang
from yoloom.verify.html_report import html_page
from yoloom.verify.journal import Failure, Mismatch
from yoloom.verify.leaks import Leak
from yoloom.verify.resources import Resources
from yoloom.verify.text_report import in_words
from yoloom.verify.verdict import Finding, Verdict


@dataclass(frozen=True)
class Level:
    """How fast it was with so many callers. Immutable: shared freely.

    mode: "threads" or "asyncio". requests, mismatches, exceptions: of all laps; the other figures are of the laps in
    which the interpreter switched threads as usual. None: no request of these was waited for.
    """

    mode: str
    callers: int
    requests: int
    mismatches: int
    exceptions: int
    images_per_second: float | None
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None


@dataclass(frozen=True)
class Memory:
    """laps: at rest, before the first lap and after each. samples: (seconds, bytes) while it ran. Immutable."""

    laps: tuple[Resources, ...]
    samples: tuple[tuple[float, int], ...]
    leaks: tuple[Leak, ...]
    judged: bool

    @property
    def growth_bytes(self) -> int:
        """At rest, from the first lap's end to the last's."""
        return self.laps[-1].memory_bytes - self.laps[1].memory_bytes if len(self.laps) > 1 else 0


@dataclass(frozen=True)
class Report:
    """What `check` returns. Immutable: shared freely; it pickles, and `print` says the most of it.

    requests: of all kinds, the sequential ones included. seconds: in all. seconds_at_once: of the concurrent runs.
    mismatches: answers with other bits than alone, or beyond the tolerance. faults: how many of each kind, by its
    words. shown: the first of each, side by side. notes: what a reader should know beside the verdict.
    """

    target: str
    verdict: Verdict
    findings: tuple[Finding, ...]
    requests: int
    concurrent: int
    cancelled: int
    expired: int
    mismatches: int
    faults: Mapping[str, int]
    shown: tuple[Mismatch, ...]
    exceptions: tuple[Failure, ...]
    hang: Hang | None
    levels: tuple[Level, ...]
    memory: Memory
    pictures: int
    cases: int
    distinct: int
    tolerance: float
    laps: int
    seed: int
    seconds: float
    seconds_at_once: float
    machine: Mapping[str, str]
    facts: Mapping[str, str]
    notes: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing was found."""
        return self.verdict is Verdict.PASS

    def to_dict(self) -> dict[str, Any]:
        """Plain values only, as in the JSON."""
        return {"ok": self.ok, **_plain(self), "growth_bytes": self.memory.growth_bytes}

    def to_json(self) -> str:
        return json.dumps(self.to_dict(), indent=2, ensure_ascii=False, allow_nan=False)

    def to_html(self) -> str:
        """One page that needs nothing else, with plots."""
        return html_page(self)

    def __str__(self) -> str:
        return in_words(self)


def _plain(value: Any) -> Any:
    if isinstance(value, enum.Enum):
        return value.value
    if dataclasses.is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value
