"""Words for error messages."""

from __future__ import annotations


def shown(value: object) -> str:
    """A few words for any value; quick, because a value from a file may be endless in print."""
    if value is None or isinstance(value, (str, int, float)):
        return repr(value[:50] if isinstance(value, str) else value)
    return f"a {type(value).__name__}"
