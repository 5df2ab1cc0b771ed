"""The defaults of a handle's calls, which programs written for Ultralytics set through `model.overrides`."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from typing import Any

from yoloom.errors import InvalidOption
from yoloom.values import FrozenDict

FACTS = ("model", "task")
"""Names that Ultralytics keeps there too, and that say which model is open."""


class Defaults:
    """Options that the calls of one handle take where they give none of their own.

    Thread safety: any number of threads; a call has the options of the moment when it is made.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()  # guards the exchange of what follows
        # Replaced as a whole, never changed: a call reads it once, without the lock.
        self.chosen: Mapping[str, Any] = FrozenDict()

    def change(self, added: Mapping[str, Any], removed: str | None = None) -> None:
        """Set some, and take one away. Raises KeyError for one that is not there."""
        with self._lock:
            chosen = dict(self.chosen)
            if removed is not None:
                del chosen[removed]
            self.chosen = FrozenDict({**chosen, **added})


class Overrides(MutableMapping[str, Any]):
    """A handle's defaults as a dictionary, which also shows its model: "model", "task" and "imgsz".

    A value is checked and copied when it is set. It is made anew each time it is asked for: were it kept by its handle,
    which it holds, a forgotten handle would stay until the garbage collector comes.

    Thread safety: any number of threads; a call has the options of the moment when it is made.
    """

    def __init__(
        self, defaults: Defaults, facts: Mapping[str, Any], check: Callable[[Mapping[str, Any]], object]
    ) -> None:
        """Show and change `defaults`.

        Args:
            defaults: The handle's.
            facts: Shown beside them.
            check: Raises for options that a call would refuse.
        """
        self._defaults = defaults
        self._facts = facts
        self._check = check

    def __getitem__(self, name: str) -> Any:
        return {**self._facts, **self._defaults.chosen}[name]

    def __setitem__(self, name: str, value: Any) -> None:
        if name in FACTS:
            raise InvalidOption(f"{name} can not be overridden: open the other model, YOLO(path).")
        if name in ("source", "stream", "timeout"):
            raise InvalidOption(f"{name} has no default: give it to each call.")
        self._check({name: value})
        self._defaults.change({name: copy.deepcopy(value)})  # the caller may change its list next

    def __delitem__(self, name: str) -> None:
        self._defaults.change({}, removed=name)

    def __iter__(self) -> Iterator[str]:
        return iter({**self._facts, **self._defaults.chosen})

    def __len__(self) -> int:
        return len({**self._facts, **self._defaults.chosen})

    def __repr__(self) -> str:
        return repr({**self._facts, **self._defaults.chosen})
