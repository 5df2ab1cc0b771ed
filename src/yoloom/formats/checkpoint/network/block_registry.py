"""The blocks that yoloom knows, by the name of their class."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from yoloom.errors import UnsupportedModel
from yoloom.formats.checkpoint.network.ops import Ops, V
from yoloom.formats.checkpoint.pickled.tree import Module

# (ops, module, x) → y. x is one value, or a list of them where the layer has several inputs; CBLinear returns a list.
Definition = Callable[[Ops[Any], Module, Any], Any]
D = TypeVar("D", bound=Definition)

_definitions: dict[str, Definition] = {}  # filled while the block files are imported, and only read afterwards


def defines(*kinds: str) -> Callable[[D], D]:
    """The function below is what these classes compute."""

    def register(definition: D) -> D:
        _definitions.update(dict.fromkeys(kinds, definition))
        return definition

    return register


def definition(module: Module) -> Definition:
    """Raises UnsupportedModel for a class that has none."""
    if module.kind not in _definitions:
        raise unknown(module)
    return _definitions[module.kind]


def apply(ops: Ops[V], module: Module, x: V) -> V:
    """What a module of one input and one output makes of `x`."""
    y: V = definition(module)(ops, module, x)
    return y


def unknown(module: Module) -> UnsupportedModel:
    return UnsupportedModel(
        f"the network uses {module.cls}, which yoloom can not rebuild. An ONNX export of the file works: run "
        "'yolo export model=best.pt format=onnx dynamic=True' where Ultralytics is installed, and open the .onnx file."
    )
