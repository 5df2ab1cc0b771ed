"""Plain values without behaviour: frozen dictionaries, names of devices, counts in words, and JSON that is valid."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from typing import Any, NoReturn, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class FrozenDict(dict[K, V]):
    """A `dict` that raises TypeError when it is changed, and is one in every other way.

    Thread safety: any number of threads.
    """

    __slots__ = ()

    def _refuse(self, *_args: object, **_kwargs: object) -> NoReturn:
        raise TypeError("this mapping is frozen: change a copy of it, made with .copy()")

    __setitem__ = __delitem__ = clear = pop = popitem = setdefault = update = __ior__ = _refuse

    def copy(self) -> dict[K, V]:
        """Return a plain `dict` with the same items, which can be changed."""
        return dict(self)

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return FrozenDict, (dict(self),)


class DeviceName(str):
    """The name of a device, with the attributes of a `torch.device`, and equal to one.

    Thread safety: any number of threads (immutable).
    """

    __slots__ = ()

    @property
    def type(self) -> str:
        """The kind of device: "cpu" or "cuda"."""
        return str(self).partition(":")[0]  # a plain text, also where there is no number

    @property
    def index(self) -> int | None:  # type: ignore[override]  # the method of texts: nobody asks a device for it
        """Number among the devices of its kind, None where there is one only."""
        number = self.partition(":")[2]
        return int(number) if number else None

    def __eq__(self, other: object) -> bool:
        return str.__eq__(self, str(other))

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = str.__hash__


def counted(number: int, noun: str) -> str:
    """Return the number with its noun: "1 lane", "2 lanes"."""
    return f"{number} {noun}{'s' * (number != 1)}"


def strict_json(value: Any, **options: Any) -> str:
    """Return JSON that any reader takes: a number that is none, which JSON does not have, becomes null.

    Args:
        value: Lists, dicts, texts, numbers, None.
        options: As for `json.dumps`.
    """
    try:
        return json.dumps(value, allow_nan=False, **options)
    except ValueError:  # the rare case costs a second pass, the others none
        return json.dumps(_with_nulls(value), allow_nan=False, **options)


def _with_nulls(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _with_nulls(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_with_nulls(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
