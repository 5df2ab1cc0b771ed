"""What an engine did so far, in numbers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Statistics:
    """What an engine did so far, at one moment. Immutable: shared freely.

    admitted, succeeded, failed, expired, cancelled, dropped: requests since the model was opened; every admitted one is
    in exactly one of the others once it has ended. refused: those that got no place. retried: those whose
    run failed and was done again. waiting, running: now. forms: in which the network is compiled. lanes: contexts of
    all forms. broken: those whose last run failed. threads: the CPU budget.
    """

    admitted: int
    succeeded: int
    failed: int
    expired: int
    cancelled: int
    dropped: int
    refused: int
    retried: int
    waiting: int
    running: int
    forms: tuple[str, ...]
    lanes: int
    broken: int
    threads: int
