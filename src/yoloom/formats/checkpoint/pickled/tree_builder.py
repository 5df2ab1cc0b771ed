"""The machine's notes → a tree of plain values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from yoloom.errors import InvalidModel
from yoloom.formats.checkpoint.pickled.allowed_globals import Global, Meaning
from yoloom.formats.checkpoint.pickled.pickle_machine import Call
from yoloom.formats.checkpoint.pickled.rebuild import rebuild_scalar, rebuild_tensor
from yoloom.formats.checkpoint.pickled.size_limits import ONE, SizeLimits, Weight
from yoloom.formats.checkpoint.pickled.storage import Storage
from yoloom.formats.checkpoint.pickled.tree import Module, Opaque, Tensor
from yoloom.formats.checkpoint.pickled.wording import shown
from yoloom.values import FrozenDict


class TreeBuilder:
    """Turns the machine's notes into the tree, each note once. One thread.

    A note that is used in several places is one object in the tree, too. What it would weigh if all of these were
    copies is counted, because that is what those who walk the tree will find.
    """

    def __init__(self, max_bytes: int) -> None:
        self._tally = SizeLimits(max_bytes)
        self._grown: dict[int, tuple[Any, Weight]] = {}  # by id of the note

    def grow(self, noted: Any) -> Any:
        """The value of a note, and of all within it."""
        kind = type(noted)
        if kind in _GROWERS:
            return self._once(noted, _GROWERS[kind])
        self._tally.add(Weight(1, len(noted), 0) if kind is str else ONE)
        if kind is Global:
            return Opaque(noted.name)
        return Opaque("torch.Storage") if kind is Storage else noted

    def _once(self, noted: Any, grower: Callable[[TreeBuilder, Any], Any]) -> Any:
        key = id(noted)
        if key in self._grown:
            value, weight = self._grown[key]
            self._tally.add(weight)
            return value
        before = self._tally.enter(key, 0 if type(noted) is Call else len(noted))
        value = grower(self, noted)
        self._grown[key] = value, self._tally.leave(key, before)
        return value

    def _list(self, noted: list[Any]) -> list[Any]:
        return [self.grow(value) for value in noted]

    def _tuple(self, noted: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(self.grow(value) for value in noted)

    def _dict(self, noted: Mapping[Any, Any]) -> dict[Any, Any]:
        return {key: self.grow(value) for key, value in noted.items()}

    def _call(self, noted: Call) -> Any:
        grower = _CALL_GROWERS.get(noted.function.meaning)
        return Opaque(noted.function.name) if grower is None else grower(self, noted)

    def _module(self, noted: Call) -> Any:
        state = noted.state
        if not isinstance(state, dict) or "_modules" not in state:
            return Opaque(noted.function.name)  # a loss, a stopper: not part of the network
        self._tally.add(Weight(len(state), 0, 0))
        # What else starts with an underscore is torch's own book-keeping: hooks and the like.
        attributes = {name: self.grow(value) for name, value in state.items() if not str(name).startswith("_")}
        parameters = {**self._entries(noted, "_parameters", Tensor), **self._entries(noted, "_buffers", Tensor)}
        children = self._entries(noted, "_modules", Module)
        return Module(noted.function.name, FrozenDict(attributes), FrozenDict(parameters), FrozenDict(children))

    def _entries(self, noted: Call, group: str, expected: type) -> dict[str, Any]:
        entries = noted.state.get(group)
        if not isinstance(entries, dict):
            raise InvalidModel(f"{noted.function.name} in it has no {group}.")
        self._tally.add(Weight(len(entries), 0, 0))
        grown = {name: self.grow(value) for name, value in entries.items() if value is not None}
        for name, value in grown.items():
            if type(name) is not str or not isinstance(value, expected):
                raise InvalidModel(f"{group} of a {noted.function.name} in it has {shown(name)}, which is none.")
        return grown

    def _namespace(self, noted: Call) -> Any:
        return {} if noted.state is None else self.grow(noted.state)

    def _first(self, noted: Call) -> Any:
        if not noted.args:
            raise InvalidModel(f"{noted.function.name} in it wraps nothing.")
        return self.grow(noted.args[0])

    def _parameter(self, noted: Call) -> Tensor:
        value = self._first(noted)
        if not isinstance(value, Tensor):
            raise InvalidModel("a parameter in it is no tensor.")
        return value

    def _tensor(self, noted: Call) -> Tensor:
        tensor = rebuild_tensor(noted)
        self._tally.add(Weight(0, tensor.size * tensor.storage.itemsize, 0))
        return tensor

    def _scalar(self, noted: Call) -> Any:
        return rebuild_scalar(noted)


_GROWERS: dict[type, Callable[[TreeBuilder, Any], Any]] = {
    list: TreeBuilder._list,
    tuple: TreeBuilder._tuple,
    dict: TreeBuilder._dict,
    Call: TreeBuilder._call,
}
_CALL_GROWERS: dict[Meaning, Callable[[TreeBuilder, Call], Any]] = {
    Meaning.MODULE: TreeBuilder._module,
    Meaning.NAMESPACE: TreeBuilder._namespace,
    Meaning.SIZE: TreeBuilder._first,
    Meaning.TENSOR: TreeBuilder._tensor,
    Meaning.PARAMETER: TreeBuilder._parameter,
    Meaning.SCALAR: TreeBuilder._scalar,
}
