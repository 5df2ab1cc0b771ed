"""Numbers of things, in words."""

from __future__ import annotations


def counted(number: int, noun: str) -> str:
    """ "1 lane", "2 lanes"."""
    return f"{number} {noun}{'s' * (number != 1)}"
