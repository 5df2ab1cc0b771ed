"""What a caller asks of the precision, and what that is on this machine."""

from __future__ import annotations

from typing import Any

from yoloom.errors import InvalidOption, UnsupportedOption
from yoloom.runtime.protocol import Backend, Precision
from yoloom.validation import shown

PRECISIONS = ("fp32", "bf16", "fp16", "tf32", "auto")


def check_precision(asked: Any) -> str:
    """What was asked for, when it is a precision. Raises InvalidOption."""
    if not isinstance(asked, str) or asked not in PRECISIONS:
        raise InvalidOption(f"precision must be one of {', '.join(PRECISIONS)}, got {shown(asked)}.")
    return asked


def find_precision(asked: Any, backend: Backend) -> Precision:
    """The precision to compute with: "auto" is bfloat16 where `backend` has it natively on this machine, else float32.

    Raises InvalidOption, or UnsupportedOption for one that is not here.
    """
    check_precision(asked)
    if asked == Precision.FP32.value:
        return Precision.FP32
    offered = backend.precisions()
    if asked == "auto":
        return Precision.BF16 if Precision.BF16 in offered else Precision.FP32
    precision = Precision(asked)
    if precision not in offered:
        raise UnsupportedOption(
            f"precision must be {' or '.join(one.value for one in offered)} for backend {backend.name!r} on this "
            f"machine, got {asked!r}: leave it out, or take 'auto', which is bf16 only where that is native."
        )
    return precision
