"""The network of a checkpoint, layer by layer: from the image to the outputs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any

from yoloom.errors import InvalidModel, ModelError
from yoloom.formats.checkpoint.describe import Checkpoint
from yoloom.formats.checkpoint.network import (  # noqa: F401  their import registers the blocks
    blocks_attention,
    blocks_conv,
    blocks_csp,
    blocks_pool,
    torch_layers,
)
from yoloom.formats.checkpoint.network.block_registry import apply, unknown_block
from yoloom.formats.checkpoint.network.head_parts import ONE_TO_ONE, Branch, Output
from yoloom.formats.checkpoint.network.heads import HEADS
from yoloom.formats.checkpoint.network.ops import Ops, V

MOST_MODULES = 20_000  # the largest known network has 2,500


def outputs(ops: Ops[V], checkpoint: Checkpoint, image: V, one_to_one: bool = False) -> list[Output[V]]:
    """Compute the network.

    Args:
        ops: the operations to compute it with.
        checkpoint: holds the network.
        image: (B, channels, H, W), RGB between 0 and 1.
        one_to_one: by the branch of the head that needs no NMS.

    Raises:
        UnsupportedModel: yoloom does not know a block or the head.
        InvalidModel: the parts of the network do not fit together.
    """
    with typed_contradictions():
        # Counted before it is walked: a file may name one module inside itself over and over.
        if next(islice(checkpoint.module.walk(), MOST_MODULES, None), None) is not None:
            raise InvalidModel(f"the network has more than {MOST_MODULES} modules, which no YOLO has.")
        *body, head = checkpoint.module.children["model"].children.values()
        if head.kind not in HEADS:
            raise unknown_block(head)
        values: list[Any] = []  # by layer
        for layer in (*body, head):
            source = layer.attributes["f"]
            # Negative indices count back from the layer that asks; before the first layer there is the image.
            inputs = [
                image if index == -1 and not values else values[index]
                for index in ([source] if isinstance(source, int) else source)
            ]
            if len(values) < len(body):
                x: Any = inputs[0] if isinstance(source, int) else inputs
                values.append(apply(ops, layer, x))
        return HEADS[head.kind](Branch(ops, head, inputs, ONE_TO_ONE if one_to_one else ""))


@contextmanager
def typed_contradictions() -> Iterator[None]:
    """Turn the errors of Python inside into an InvalidModel: the values that fail there come out of a file."""
    try:
        yield
    except ModelError:
        raise
    except (LookupError, TypeError, ValueError, ArithmeticError, AttributeError, RecursionError, MemoryError) as error:
        raise InvalidModel(f"the checkpoint's network contradicts itself: {type(error).__name__}: {error}") from error


def has_branch(checkpoint: Checkpoint, one_to_one: bool) -> bool:
    """Whether the head has the branch that needs no NMS, or that for NMS, which a file may lose when it is fused."""
    return (ONE_TO_ONE if one_to_one else "") + "cv2" in checkpoint.head.children
