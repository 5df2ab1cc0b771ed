"""The layers of a checkpoint, one after the other: from the image to the outputs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Any

from yoloom.errors import InvalidModel, ModelError
from yoloom.formats.checkpoint.describe import Checkpoint
from yoloom.formats.checkpoint.network import blocks_attention, blocks_pool, blocks_residual
from yoloom.formats.checkpoint.network import torch_layers as layers
from yoloom.formats.checkpoint.network.block_registry import definition
from yoloom.formats.checkpoint.network.head_parts import ONE_TO_ONE, Branch, Output
from yoloom.formats.checkpoint.network.heads import head as head_of
from yoloom.formats.checkpoint.network.ops import Ops, V
from yoloom.formats.checkpoint.pickled.tree import Module

__all__ = [
    "blocks_attention",
    "blocks_pool",
    "blocks_residual",
    "has_one_to_many",
    "has_one_to_one",
    "layers",
    "outputs",
    "typed_contradictions",
]

MOST_MODULES = 20_000  # the largest known network has 2,500; a file may name one module inside itself over and over


def outputs(ops: Ops[V], checkpoint: Checkpoint, image: V, one_to_one: bool = False) -> list[Output[V]]:
    """What the network makes of `image`, (B, channels, H, W) RGB between 0 and 1.

    one_to_one: by the head that needs no NMS. Raises UnsupportedModel for a block or head that yoloom does not know,
    InvalidModel where the parts of the network do not fit together.
    """
    with typed_contradictions():
        _check_size(checkpoint.module)
        return _outputs(ops, checkpoint, image, ONE_TO_ONE if one_to_one else "")


@contextmanager
def typed_contradictions() -> Iterator[None]:
    """Whatever fails inside becomes an InvalidModel: what is computed there comes out of a file."""
    try:
        yield
    except ModelError:
        raise
    except (LookupError, TypeError, ValueError, ArithmeticError, AttributeError, RecursionError, MemoryError) as error:
        raise InvalidModel(f"the checkpoint's network contradicts itself: {type(error).__name__}: {error}") from error


def has_one_to_one(checkpoint: Checkpoint) -> bool:
    """Whether the head has a branch that needs no NMS."""
    return ONE_TO_ONE + "cv2" in checkpoint.head.children


def has_one_to_many(checkpoint: Checkpoint) -> bool:
    """Whether the head has a branch for NMS; a file that was saved after fusing may have lost it."""
    return "cv2" in checkpoint.head.children


def _outputs(ops: Ops[V], checkpoint: Checkpoint, image: V, prefix: str) -> list[Output[V]]:
    *body, last = checkpoint.module.children["model"].children.values()
    head = head_of(last)
    values: list[Any] = []
    for layer in body:
        values.append(definition(layer)(ops, layer, _inputs(layer, values, image)))
    features = _inputs(last, values, image)
    return head(Branch(ops, last, features if isinstance(features, list) else [features], prefix))


def _inputs(layer: Module, values: Sequence[Any], image: Any) -> Any:
    """One value, or a list where the layer takes several."""
    source = layer.attributes["f"]
    if isinstance(source, int):
        return _value(source, values, image)
    return [_value(index, values, image) for index in source]


def _value(index: int, values: Sequence[Any], image: Any) -> Any:
    """Negative indices count back from the layer that asks; before the first layer there is the image."""
    return image if index == -1 and not values else values[index]


def _check_size(module: Module) -> None:
    if next(islice(module.walk(), MOST_MODULES, None), None) is not None:
        raise InvalidModel(f"the network has more than {MOST_MODULES} modules, which no YOLO has.")
