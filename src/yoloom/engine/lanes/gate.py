"""The permission to compute, where several engines share a device."""

from __future__ import annotations

from typing import Protocol


class DeviceGate(Protocol):
    """An engine's way to the processors that its runs compute on.

    Thread safety: any number of threads.
    """

    def take(self, cpus: int, seconds: float) -> bool:
        """Wait for the turn of a run, for `seconds` at most. False when it did not come."""

    def give_back(self, cpus: int) -> None:
        """Say that the run which was taken for has ended."""

    def is_contended(self) -> bool:
        """Tell whether others compute so much that a single request is better served as one of many."""

    def leave(self) -> None:
        """Give up all that the engine has: it has closed."""


class OpenGate:
    """No gate: a device that orders its work by itself.

    Thread safety: any number of threads.
    """

    def take(self, cpus: int, seconds: float) -> bool:
        """Grant every run at once."""
        return True

    def give_back(self, cpus: int) -> None:
        """Nothing to give back."""

    def is_contended(self) -> bool:
        """Always False: no other engine is known."""
        return False

    def leave(self) -> None:
        """Nothing to give up."""
