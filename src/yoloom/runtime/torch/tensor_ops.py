"""The operations of a network, recorded as steps over torch tensors.

A block definition is walked once, when the network is compiled. What it asks for becomes a list of steps with the
weights already on the device; running the list touches no Python object that another thread could change.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import partialmethod, reduce
from typing import Any

import numpy as np

from yoloom.formats.checkpoint.network.conv_weights import Array, ConvWeights
from yoloom.runtime.torch.torch_import import functional as F  # noqa: N812  as everybody calls it
from yoloom.runtime.torch.torch_import import torch

Slot = int
"""Where a value stands in a program. A program starts with the images in slot 0 and their `Canvas` in slot 1."""

IMAGES, CANVAS = 0, 1


class Canvas:
    """Tensors that depend on the size of the images and on nothing else: anchor points and strides.

    They are made on the first run of that size, which is never a captured one, and live as long as a graph that reads
    them. Thread safety: any number of threads.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._lock = threading.Lock()  # guards _tensors
        self._tensors: dict[Hashable, torch.Tensor] = {}

    def constant(self, key: Hashable, compute: Callable[[], Array]) -> torch.Tensor:
        """The tensor of this name, computed once."""
        with self._lock:
            if key not in self._tensors:
                # A copy from memory that is not pinned has arrived when the call returns: any stream may read it.
                self._tensors[key] = torch.from_numpy(compute()).to(self._device)
            return self._tensors[key]


@dataclass(frozen=True, eq=False)
class Step:
    """One operation. `spent` are the slots that no later step reads: their memory is free after it."""

    function: Callable[..., Any]
    inputs: tuple[Slot, ...]
    outputs: tuple[Slot, ...]
    spent: tuple[Slot, ...] = ()


class TensorProgram:
    """A recorded network with its weights. Immutable. Thread safety: any number of threads."""

    def __init__(self, steps: Sequence[Step], constants: Sequence[Any], outputs: Sequence[Slot]) -> None:
        """Store the program, and find out after which step each value is spent.

        Args:
            steps: the operations in order.
            constants: one entry for each slot; None where a step, or the caller, fills it.
            outputs: the slots of what the network gives.
        """
        last_use = {slot: index for index, step in enumerate(steps) for slot in (*step.outputs, *step.inputs)}
        kept = {*outputs, *(slot for slot, value in enumerate(constants) if value is not None)}
        spent: list[list[Slot]] = [[] for _ in steps]
        for slot, index in last_use.items():
            if slot not in kept:
                spent[index].append(slot)
        self._steps = [
            Step(step.function, step.inputs, step.outputs, tuple(slots))
            for step, slots in zip(steps, spent, strict=True)
        ]
        self._constants = tuple(constants)
        self._outputs = tuple(outputs)

    def run(self, images: torch.Tensor, canvas: Canvas) -> tuple[torch.Tensor, ...]:
        """Compute the outputs for images (B, 3, H, W) RGB between 0 and 1."""
        values: list[Any] = list(self._constants)
        values[IMAGES], values[CANVAS] = images, canvas
        for step in self._steps:
            result = step.function(*[values[slot] for slot in step.inputs])
            if len(step.outputs) == 1:
                values[step.outputs[0]] = result
            else:
                for slot, part in zip(step.outputs, result, strict=True):
                    values[slot] = part
            for slot in step.spent:
                values[slot] = None
        return tuple(values[slot] for slot in self._outputs)


class TensorOps:
    """An `Ops` whose values are slots of the program that it records. Thread safety: one thread at a time.

    The body of the network is computed with `dtype`, and what follows `full_precision` with float32.
    """

    def __init__(self, device: torch.device, dtype: torch.dtype) -> None:
        self._device = device
        self._dtype = dtype
        self._steps: list[Step] = []
        self._constants: list[Any] = [None, None]
        self._dtypes: list[torch.dtype | None] = [dtype, None]  # of each slot, None for what is no tensor
        self._arrays: dict[Slot, Array] = {}  # constants as they were given: they take the type of what they meet
        self._known: dict[Hashable, Slot] = {}
        self.weights_bytes = 0

    def program(self, outputs: Sequence[Slot]) -> TensorProgram:
        """Everything that was recorded, as a program with these outputs in float32."""
        return TensorProgram(self._steps, self._constants, [self._cast(slot, torch.float32) for slot in outputs])

    # Steps

    def _slot(self, dtype: torch.dtype | None) -> Slot:
        self._constants.append(None)
        self._dtypes.append(dtype)
        return len(self._constants) - 1

    def _step(self, function: Callable[..., Any], inputs: Sequence[Slot], dtype: torch.dtype | None) -> Slot:
        output = self._slot(dtype)
        self._steps.append(Step(function, tuple(inputs), (output,)))
        return output

    def _unary(self, function: Callable[..., Any], x: Slot, *settings: Any, **named: Any) -> Slot:
        """Record a function of one value and of settings, which stay as they are."""
        return self._step(lambda x: function(x, *settings, **named), (x,), self._dtypes[x])

    def _pair(self, function: Callable[[Any, Any], Any], x: Slot, other: Slot) -> Slot:
        """Record a function of two values, the first of which gives the type."""
        return self._step(function, (x, other), self._dtypes[x])

    def _binary(self, function: Callable[[Any, Any], Any], a: Slot, b: Slot) -> Slot:
        """An operation of two values: a constant takes the type of the other, else the wider type counts for both."""
        typed = [self._dtypes[slot] for slot in (a, b) if slot not in self._arrays]
        dtype = reduce(torch.promote_types, typed or [self._dtypes[a], self._dtypes[b]])
        return self._step(function, (self._cast(a, dtype), self._cast(b, dtype)), dtype)

    def _cast(self, x: Slot, dtype: torch.dtype) -> Slot:
        if self._dtypes[x] == dtype:
            return x
        if x in self._arrays:
            return self.constant(self._arrays[x], dtype)
        return self._step(lambda x: x.to(dtype), (x,), dtype)

    # Constants

    def constant(self, array: Array, dtype: torch.dtype | None = None) -> Slot:
        """Keep equal constants once; int64 or float32, as they are, unless a type is given."""
        dtype = dtype or (torch.int64 if array.dtype == np.int64 else torch.float32)
        key = array.dtype.name, array.shape, array.tobytes(), dtype
        if key not in self._known:
            self._known[key] = slot = self._slot(dtype)
            self._constants[slot] = self._tensor(array, dtype)
            self._arrays[slot] = array
        return self._known[key]

    def _tensor(self, array: Array, dtype: torch.dtype) -> torch.Tensor:
        """A copy on the device; convolution weights with their channels last, as the images have them."""
        tensor = torch.from_numpy(np.array(array, order="C")).to(self._device, dtype)
        self.weights_bytes += tensor.numel() * tensor.element_size()
        return tensor.contiguous(memory_format=torch.channels_last) if tensor.ndim == 4 else tensor

    def _weight(self, array: Array | None) -> torch.Tensor | None:
        return None if array is None else self._tensor(array.astype(np.float32, copy=False), self._dtype)

    # Operations that are one function of torch: what each of them computes says `Ops`

    add = partialmethod(_binary, torch.add)
    sub = partialmethod(_binary, torch.sub)
    mul = partialmethod(_binary, torch.mul)
    mod = partialmethod(_binary, torch.remainder)
    matmul = partialmethod(_binary, torch.matmul)

    sin = partialmethod(_unary, torch.sin)
    cos = partialmethod(_unary, torch.cos)
    sigmoid = partialmethod(_unary, torch.sigmoid)
    tanh = partialmethod(_unary, torch.tanh)
    relu = partialmethod(_unary, F.relu)
    leaky_relu = partialmethod(_unary, F.leaky_relu)
    silu = partialmethod(_unary, F.silu)
    gelu = partialmethod(_unary, F.gelu)
    hard_swish = partialmethod(_unary, F.hardswish)
    softmax = partialmethod(_unary, lambda x, axis: x.softmax(axis))
    to_float = partialmethod(_cast, dtype=torch.float32)
    full_precision = partialmethod(_cast, dtype=torch.float32)

    max_pool = partialmethod(
        _unary, lambda x, size, stride, padding, round_up=False: F.max_pool2d(x, size, stride, padding, 1, round_up)
    )
    mean_pool = partialmethod(_unary, F.avg_pool2d)
    mean_of_image = partialmethod(_unary, lambda x: x.mean((2, 3), keepdim=True))
    max_of_axis = partialmethod(_unary, lambda x, axis: x.amax(axis, keepdim=True))
    pad = partialmethod(_unary, lambda x, left, right, top, bottom: F.pad(x, (left, right, top, bottom)))
    upsample = partialmethod(_unary, lambda x, factor: F.interpolate(x, scale_factor=factor, mode="nearest"))
    upsample_to = partialmethod(_pair, lambda x, like: F.interpolate(x, size=like.shape[2:], mode="nearest"))

    transpose = partialmethod(_unary, lambda x, order: x.permute(order))
    reshape = partialmethod(
        _unary, lambda x, shape: x.reshape([size or x.shape[axis] for axis, size in enumerate(shape)])
    )
    reshape_like = partialmethod(_pair, lambda x, like: x.reshape(like.shape))
    rows = partialmethod(_pair, lambda x, index: x.gather(1, index[:, :, None].expand(-1, -1, x.shape[2])))

    # Operations that are more than that

    def div(self, a: Slot, b: Slot) -> Slot:
        """Divide; integers are rounded down."""
        whole = self._dtypes[a] == self._dtypes[b] == torch.int64
        return self._binary(torch.floor_divide if whole else torch.true_divide, a, b)

    def convolve(self, x: Slot, kernel: ConvWeights) -> Slot:
        """Convolve; the weights go to the device now."""
        weight, bias = self._weight(kernel.weight.numpy()), self._weight(kernel.bias)
        stride, padding, dilation, groups = kernel.stride, kernel.padding, kernel.dilation, kernel.groups
        body = self._cast(x, self._dtype)
        if kernel.transposed:
            extra = kernel.output_padding
            return self._unary(F.conv_transpose2d, body, weight, bias, stride, padding, extra, groups, dilation)
        return self._unary(F.conv2d, body, weight, bias, stride, padding, dilation, groups)

    def linear(self, x: Slot, weight: Array, bias: Array | None) -> Slot:
        """Multiply with a matrix of weights."""
        return self._unary(F.linear, self._cast(x, self._dtype), self._weight(weight), self._weight(bias))

    def concat(self, values: Sequence[Slot], axis: int) -> Slot:
        """Join along an axis."""
        if len(values) == 1:
            return values[0]
        dtype = reduce(torch.promote_types, [self._dtypes[slot] for slot in values])
        return self._step(lambda *parts: torch.cat(parts, axis), values, dtype)

    def split(self, x: Slot, sizes: Sequence[int], axis: int) -> list[Slot]:
        """Cut along an axis, without a copy."""
        if len(sizes) == 1:
            return [x]
        outputs = [self._slot(self._dtypes[x]) for _ in sizes]
        lengths = list(sizes)
        self._steps.append(Step(lambda x: torch.split(x, lengths, axis), (x,), tuple(outputs)))
        return outputs

    def every_other(self, x: Slot, axis: int, start: int) -> Slot:
        """Take every second element, without a copy."""
        where = (*(slice(None),) * axis, slice(start, None, 2))
        return self._unary(lambda x: x[where], x)

    def anchor_points(self, features: Sequence[Slot]) -> Slot:
        """Take the centres of all pixels from the canvas."""

        def points(canvas: Canvas, *maps: torch.Tensor) -> torch.Tensor:
            sizes_hw = tuple(tuple(level.shape[2:]) for level in maps)
            # (2, A) float32: the x of all pixels' centres and their y, row by row, in pixels of their level.
            grids = (np.indices(size_hw, np.float32).reshape(2, -1)[::-1] + np.float32(0.5) for size_hw in sizes_hw)
            return canvas.constant(("points", sizes_hw), lambda: np.concatenate(list(grids), axis=1))

        return self._step(points, (CANVAS, *features), torch.float32)

    def anchor_strides(self, features: Sequence[Slot], strides: Sequence[float]) -> Slot:
        """Take the stride of each anchor point from the canvas."""
        steps = np.array(strides, np.float32)

        def repeated(canvas: Canvas, *maps: torch.Tensor) -> torch.Tensor:
            counts = tuple(level.shape[2] * level.shape[3] for level in maps)
            return canvas.constant(("strides", counts), lambda: np.repeat(steps, counts)[None])

        return self._step(repeated, (CANVAS, *features), torch.float32)

    def size(self, x: Slot, axis: int, most: int) -> Slot:
        """Measure an axis, up to a limit."""
        return self._step(lambda x: min(x.shape[axis], most), (x,), None)

    def top(self, x: Slot, count: Slot) -> tuple[Slot, Slot]:
        """Take the largest, equal ones in the order in which they stand."""
        values, index = self._slot(self._dtypes[x]), self._slot(torch.int64)

        def best(x: torch.Tensor, count: int) -> tuple[torch.Tensor, torch.Tensor]:
            # topk leaves the order of equals to the kernel, which depends on the size of the batch.
            ordered = torch.sort(x, dim=1, descending=True, stable=True)
            return ordered.values[:, :count], ordered.indices[:, :count]

        self._steps.append(Step(best, (x, count), (values, index)))
        return values, index
