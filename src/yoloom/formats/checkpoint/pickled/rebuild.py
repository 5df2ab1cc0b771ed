"""Tensors and numbers out of the notes of the calls that would make them."""

from __future__ import annotations

from typing import Any

import numpy as np

from yoloom.errors import InvalidModel
from yoloom.formats.checkpoint.pickled.pickle_machine import Call
from yoloom.formats.checkpoint.pickled.storage import Storage
from yoloom.formats.checkpoint.pickled.tree import Opaque, Tensor

_MAX_DIMENSIONS = 8
_SCALARS = frozenset({"b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8"})


def rebuild_tensor(noted: Call) -> Tensor:
    """The tensor of _rebuild_tensor_v2(storage, offset, shape, stride, ...). Raises InvalidModel: see `Tensor`."""
    if len(noted.args) < 6:
        raise InvalidModel("a tensor in it is not described in full.")
    storage, offset, shape, stride = noted.args[:4]
    if type(storage) is not Storage:
        raise InvalidModel("a tensor in it has no storage.")
    if not (_are_sizes(shape) and _are_sizes(stride) and _are_sizes((offset,)) and len(shape) == len(stride)):
        raise InvalidModel("a tensor in it has a shape, stride or offset that is not made of small numbers.")
    tensor = Tensor(shape, stride, offset, storage)
    end = offset + (1 + sum((dim - 1) * step for dim, step in zip(shape, stride, strict=True)) if tensor.size else 0)
    if end > storage.size or tensor.size > storage.size:
        raise InvalidModel(
            f"a tensor of shape {shape}, stride {stride} and offset {offset} in it reaches outside of its storage, "
            f"{storage.member.name} with {storage.size} elements."
        )
    return tensor


def _are_sizes(values: Any) -> bool:
    small = type(values) is tuple and len(values) <= _MAX_DIMENSIONS
    return small and all(type(value) is int and 0 <= value < 2**31 for value in values)


def rebuild_scalar(noted: Call) -> Any:
    """A numpy number: scalar(dtype("f8", ...), encode(text, "latin1")) as a Python one."""
    dtype, packed = (*noted.args, None, None)[:2]
    if not (isinstance(dtype, Call) and isinstance(packed, Call) and dtype.args and packed.args):
        return Opaque(noted.function.name)
    code, text = dtype.args[0], packed.args[0]
    if not (isinstance(code, str) and code in _SCALARS and isinstance(text, str) and len(text) <= 16):
        return Opaque(noted.function.name)
    raw = text.encode("latin1", errors="ignore")
    kind = np.dtype(f"<{code}")
    return np.frombuffer(raw, kind)[0].item() if len(raw) == kind.itemsize else Opaque(noted.function.name)
