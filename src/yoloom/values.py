"""Plain values without behaviour: frozen objects and dictionaries, and counts in words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import FrozenInstanceError
from typing import Any, NoReturn, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Frozen:
    """Base of objects whose attributes are set once, in `__init__`, with `_store`.

    Thread safety: any number of threads.
    """

    __slots__ = ("__weakref__",)

    def _store(self, **attributes: object) -> None:
        for name, value in attributes.items():
            object.__setattr__(self, name, value)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise FrozenInstanceError(f"{type(self).__name__} is frozen: {name!r} can not be assigned")

    def __delattr__(self, name: str) -> NoReturn:
        raise FrozenInstanceError(f"{type(self).__name__} is frozen: {name!r} can not be deleted")


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


def counted(number: int, noun: str) -> str:
    """Return the number with its noun: "1 lane", "2 lanes"."""
    return f"{number} {noun}{'s' * (number != 1)}"
