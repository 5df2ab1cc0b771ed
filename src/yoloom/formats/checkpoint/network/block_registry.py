"""The registry of blocks: how to compute each class of module that yoloom knows, by the class's name."""

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
    """Register the function below as the definition of these classes."""

    def register(definition: D) -> D:
        _definitions.update(dict.fromkeys(kinds, definition))
        return definition

    return register


def apply(ops: Ops[V], module: Module, x: V) -> V:
    """Compute a module, mostly of one input and one output.

    Raises:
        UnsupportedModel: its class has no definition.
    """
    if module.kind not in _definitions:
        raise unknown_block(module)
    y: V = _definitions[module.kind](ops, module, x)
    return y


def chain(ops: Ops[V], module: Module, x: V, *names: str) -> V:
    """Compute the children of these names, one after the other."""
    for name in names:
        x = apply(ops, module.children[name], x)
    return x


def unknown_block(module: Module) -> UnsupportedModel:
    """Make the error for a class that has no definition, with the way out."""
    return UnsupportedModel(
        f"the network uses {module.cls}, which yoloom can not rebuild. An ONNX export of the file works: run "
        "'yolo export model=best.pt format=onnx dynamic=True' where Ultralytics is installed, and open the .onnx file."
    )
