"""From the recorded calls of a pickle to a tree of plain values: modules, tensors, and marks for the rest."""

from __future__ import annotations

from typing import Any

import numpy as np

from yoloom.errors import InvalidModel
from yoloom.formats.checkpoint.pickled.allowed_globals import Global, Meaning, short_repr
from yoloom.formats.checkpoint.pickled.pickle_machine import RecordedCall
from yoloom.formats.checkpoint.pickled.size_limits import LEAF, SizeLimits, TreeSize
from yoloom.formats.checkpoint.pickled.tree import Module, Opaque, Storage, Tensor
from yoloom.values import FrozenDict

_MAX_DIMENSIONS = 8
_SCALARS = frozenset({"b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8"})


class TreeBuilder:
    """Builds the tree, each recorded value once.

    A value that is used in several places is one object in the tree, too. Its size is counted at each of them, because
    that is what a walk through the tree will find.

    Thread safety: one thread at a time.
    """

    def __init__(self, max_bytes: int) -> None:
        self._limits = SizeLimits(max_bytes)
        # By id of the recorded value. The machine's result holds all of these, so no id is used again meanwhile.
        self._built: dict[int, tuple[Any, TreeSize]] = {}

    def build(self, recorded: Any) -> Any:
        """Build the value of a recorded one, and of all within it.

        Raises:
            InvalidModel: the tree is too large, too deep, contains itself, or has parts that contradict each other.
        """
        kind = type(recorded)
        if kind not in (list, tuple, dict, RecordedCall):
            self._limits.add(TreeSize(1, len(recorded), 0) if kind is str else LEAF)
            if kind is Global:
                return Opaque(recorded.name)
            return Opaque("torch.Storage") if kind is Storage else recorded
        key = id(recorded)
        if key in self._built:
            value, size = self._built[key]
            self._limits.add(size)
            return value
        before = self._limits.enter(key, 0 if kind is RecordedCall else len(recorded))
        if kind is list:
            value = [self.build(item) for item in recorded]
        elif kind is tuple:
            value = tuple(self.build(item) for item in recorded)
        elif kind is dict:
            value = {name: self.build(item) for name, item in recorded.items()}
        else:
            value = self._called(recorded)
        self._built[key] = value, self._limits.leave(key, before)
        return value

    def _called(self, call: RecordedCall) -> Any:
        """Build the value that a call stands for, by the meaning of its function."""
        meaning = call.function.meaning
        if meaning is Meaning.MODULE:
            return self._module(call)
        if meaning is Meaning.TENSOR:
            tensor = rebuild_tensor(call)
            self._limits.add(TreeSize(0, tensor.size * tensor.storage.itemsize, 0))
            return tensor
        if meaning is Meaning.NAMESPACE:
            return {} if call.state is None else self.build(call.state)
        if meaning is Meaning.SCALAR:
            return rebuild_scalar(call)
        if meaning not in (Meaning.PARAMETER, Meaning.SIZE):
            return Opaque(call.function.name)
        if not call.args:
            raise InvalidModel(f"{call.function.name} in it is called without arguments.")
        value = self.build(call.args[0])
        if meaning is Meaning.PARAMETER and not isinstance(value, Tensor):
            raise InvalidModel("a parameter in it is not a tensor.")
        return value

    def _module(self, call: RecordedCall) -> Module | Opaque:
        state = call.state
        if not isinstance(state, dict) or "_modules" not in state:
            return Opaque(call.function.name)  # a loss, a stopper: not part of the network
        self._limits.add(TreeSize(len(state), 0, 0))
        # Everything else that starts with an underscore is torch's own book-keeping: hooks and the like.
        attributes = {name: self.build(value) for name, value in state.items() if not str(name).startswith("_")}
        parts: dict[type, dict[str, Any]] = {Tensor: {}, Module: {}}
        for group, expected in (("_parameters", Tensor), ("_buffers", Tensor), ("_modules", Module)):
            entries = state.get(group)
            if not isinstance(entries, dict):
                raise InvalidModel(f"{call.function.name} in it has no {group}.")
            self._limits.add(TreeSize(len(entries), 0, 0))
            built = {name: self.build(value) for name, value in entries.items() if value is not None}
            for name, value in built.items():
                if type(name) is not str or not isinstance(value, expected):
                    entry = f"the entry {short_repr(name)}, expected a named {expected.__name__}"
                    raise InvalidModel(f"{group} of a {call.function.name} in it has {entry}.")
            parts[expected] |= built
        return Module(call.function.name, FrozenDict(attributes), FrozenDict(parts[Tensor]), FrozenDict(parts[Module]))


def rebuild_tensor(call: RecordedCall) -> Tensor:
    """Make the tensor of a call `_rebuild_tensor_v2(storage, offset, shape, stride, ...)`.

    Raises:
        InvalidModel: the arguments are not of this kind, or the tensor would reach outside of its storage.
    """
    if len(call.args) < 6:
        raise InvalidModel("a tensor in it is not described in full.")
    storage, offset, shape, stride = call.args[:4]
    if type(storage) is not Storage:
        raise InvalidModel("a tensor in it has no storage.")
    sizes = (shape, stride, (offset,))
    small = all(type(values) is tuple and len(values) <= _MAX_DIMENSIONS for values in sizes) and all(
        type(value) is int and 0 <= value < 2**31 for values in sizes for value in values
    )
    if not small or len(shape) != len(stride):
        raise InvalidModel("a tensor in it has a shape, stride or offset that is not made of small numbers.")
    tensor = Tensor(shape, stride, offset, storage)
    # No stride is negative, so the last element lies at offset + sum((dim - 1) * stride): that one must be inside.
    end = offset + (1 + sum((dim - 1) * step for dim, step in zip(shape, stride, strict=True)) if tensor.size else 0)
    # With a stride of 0 a few numbers stand for any count: no tensor has more elements than its storage.
    if end > storage.size or tensor.size > storage.size:
        raise InvalidModel(
            f"a tensor of shape {shape}, stride {stride} and offset {offset} in it reaches outside of its storage, "
            f"{storage.member.name} with {storage.size} elements."
        )
    return tensor


def rebuild_scalar(call: RecordedCall) -> Any:
    """Make a Python number of a numpy one: a call `scalar(dtype("f8", ...), encode(text, "latin1"))`.

    Returns:
        The number; `Opaque` for every other form, because nothing that the network needs is written so.
    """
    opaque = Opaque(call.function.name)
    dtype, packed = (*call.args, None, None)[:2]
    if not (isinstance(dtype, RecordedCall) and isinstance(packed, RecordedCall) and dtype.args and packed.args):
        return opaque
    code, text = dtype.args[0], packed.args[0]
    if not (isinstance(code, str) and code in _SCALARS and isinstance(text, str) and len(text) <= 16):
        return opaque
    raw = text.encode("latin1", errors="ignore")
    kind = np.dtype(f"<{code}")
    return np.frombuffer(raw, kind)[0].item() if len(raw) == kind.itemsize else opaque
