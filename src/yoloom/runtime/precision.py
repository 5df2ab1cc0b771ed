"""The number format that a caller wants, and the one that the device computes with."""

from __future__ import annotations

from typing import Any

from yoloom.errors import InvalidOption, UnsupportedOption
from yoloom.runtime.protocol import Backend, Precision
from yoloom.system.cpu_model import is_fast_in_bfloat16
from yoloom.validation import shown

PRECISIONS = ("fp32", "bf16", "fp16", "tf32", "auto")


def check_precision(value: Any) -> str | None:
    """Return the name of a precision, or None for the device's default. Raises InvalidOption."""
    if value is not None and (not isinstance(value, str) or value not in PRECISIONS):
        raise InvalidOption(f"precision must be one of {', '.join(PRECISIONS)}, got {shown(value)}.")
    return value


def find_precision(value: Any, backend: Backend) -> Precision:
    """Choose the number format.

    None is float32 on a CPU, and half precision on a GPU. "auto" is bfloat16 on CPUs that are known to be faster in it,
    and a GPU's default there.

    Raises InvalidOption, or UnsupportedOption for one that is not here.
    """
    name = check_precision(value)
    on_cpu = backend.device == "cpu"
    if name == Precision.FP32.value or (name is None and on_cpu):
        return Precision.FP32
    offered = backend.precisions()
    if name is None or name == "auto":
        return Precision.BF16 if on_cpu and Precision.BF16 in offered and is_fast_in_bfloat16() else offered[0]
    precision = Precision(name)
    if precision not in offered:
        raise UnsupportedOption(
            f"precision must be {' or '.join(one.value for one in offered)} for backend {backend.name!r} on this "
            f"machine, got {name!r}: leave it out, or take 'auto', which is bf16 only where that is faster."
        )
    return precision
