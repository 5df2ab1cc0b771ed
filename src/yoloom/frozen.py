"""Frozen values: objects and dictionaries that never change once they are made, and may therefore be shared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import FrozenInstanceError
from typing import Any, NoReturn, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Frozen:
    """Base of objects whose attributes are set once, in `__init__`, with `_store`. Threads: anybody."""

    __slots__ = ("__weakref__",)

    def _store(self, **attributes: object) -> None:
        for name, value in attributes.items():
            object.__setattr__(self, name, value)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise FrozenInstanceError(f"{type(self).__name__} is frozen: {name!r} can not be assigned")

    def __delattr__(self, name: str) -> NoReturn:
        raise FrozenInstanceError(f"{type(self).__name__} is frozen: {name!r} can not be deleted")


class FrozenDict(dict[K, V]):
    """A `dict` in every way except that changing it raises TypeError; `copy()` gives a plain one. Threads: anybody."""

    __slots__ = ()

    def _refuse(self, *_args: object, **_kwargs: object) -> NoReturn:
        raise TypeError("this mapping is frozen: change a copy of it, made with .copy()")

    __setitem__ = __delitem__ = clear = pop = popitem = setdefault = update = __ior__ = _refuse

    def copy(self) -> dict[K, V]:
        return dict(self)

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return FrozenDict, (dict(self),)
