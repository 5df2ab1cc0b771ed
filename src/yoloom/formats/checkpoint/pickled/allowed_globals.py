"""The allow-list: the names that a checkpoint may use, and the meaning of each. None is ever imported or called."""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass

from yoloom.errors import UnsupportedModel


class Meaning(enum.Enum):
    """The meaning of an allowed name: what the reader makes of a call of it."""

    MODULE = enum.auto()  # a class of the network, or of what surrounds it
    NAMESPACE = enum.auto()  # named values
    DICT = enum.auto()
    TENSOR = enum.auto()  # the function that makes a view on a storage
    PARAMETER = enum.auto()  # the function that wraps a tensor
    SIZE = enum.auto()
    STORAGE = enum.auto()  # the type of the numbers in a storage
    SCALAR = enum.auto()  # one numpy number
    BUILTIN = enum.auto()  # the function that finds a built-in type by its name
    OPAQUE = enum.auto()


@dataclass(frozen=True, eq=False)
class Global:
    """An allowed name out of the file: a text with a meaning, no object of Python.

    Thread safety: any number of threads.
    """

    name: str
    meaning: Meaning


STORAGES = {
    "torch.DoubleStorage": "float64",
    "torch.FloatStorage": "float32",
    "torch.HalfStorage": "float16",
    "torch.BFloat16Storage": "bfloat16",
    "torch.LongStorage": "int64",
    "torch.IntStorage": "int32",
    "torch.ShortStorage": "int16",
    "torch.CharStorage": "int8",
    "torch.ByteStorage": "uint8",
    "torch.BoolStorage": "bool",
}
"""The class of a storage → torch's name of the type of its numbers."""

_MEANINGS = {
    "collections.OrderedDict": Meaning.DICT,
    "torch._utils._rebuild_tensor_v2": Meaning.TENSOR,
    "torch._utils._rebuild_parameter": Meaning.PARAMETER,
    "torch._utils._rebuild_parameter_with_state": Meaning.PARAMETER,
    "torch.Size": Meaning.SIZE,
    "ultralytics.utils.IterableSimpleNamespace": Meaning.NAMESPACE,
    "dill._dill._load_type": Meaning.BUILTIN,  # in files that dill wrote in place of pickle
    "numpy.core.multiarray.scalar": Meaning.SCALAR,
    "numpy._core.multiarray.scalar": Meaning.SCALAR,
    **dict.fromkeys(STORAGES, Meaning.STORAGE),
}

# Harmless names whose values nothing here needs: calls of them become `Opaque`.
_OPAQUE = re.compile(
    r"""
    builtins\.(?:getattr | set | frozenset | slice)
    | _codecs\.encode
    | numpy\.(?:dtype | ndarray) | numpy\._?core\.multiarray\._reconstruct
    | pathlib\.(?:_local\.)?(?:Pure)?(?:Posix | Windows)?Path
    | torch\.(?:device | bool | (?:u?int | b?float)\d+)
    | torchvision\.transforms(?:\.\w+)+
    """,
    re.VERBOSE | re.ASCII,
)
# Any class of these packages: its instances become `Module`, and none of its code is needed.
_MODULE = re.compile(r"(?:torch\.nn\.modules|ultralytics)(?:\.\w+)+", re.ASCII)

# Names of earlier versions, under which their files still know them.
_RENAMED_PACKAGES = {
    "__builtin__.": "builtins.",
    "ultralytics.yolo.utils.": "ultralytics.utils.",
    "ultralytics.yolo.v8.": "ultralytics.models.yolo.",
    "ultralytics.yolo.data.": "ultralytics.data.",
}
_RENAMED = {
    "ultralytics.nn.modules.block.Silence": "torch.nn.modules.linear.Identity",
    "ultralytics.nn.tasks.YOLOv10DetectionModel": "ultralytics.nn.tasks.DetectionModel",
    "ultralytics.utils.loss.v10DetectLoss": "ultralytics.utils.loss.E2EDetectLoss",
}

_YOLOV5_MODULES = ("models.yolo", "models.common", "models.experimental")
_WAY_OUT = "Where you trust the file, export it to ONNX with the program that made it, and open that."


def find_global(module: str, name: str) -> Global:
    """Look up a name of the file in the allow-list, under the name that it has today.

    Raises:
        UnsupportedModel: the list does not have it. The message says the name.
    """
    full = f"{module}.{name}"
    for old, new in _RENAMED_PACKAGES.items():
        if full.startswith(old):
            full = new + full[len(old) :]
    full = _RENAMED.get(full, full)
    if full in _MEANINGS:
        return Global(full, _MEANINGS[full])
    if _MODULE.fullmatch(full):
        return Global(full, Meaning.MODULE)
    if _OPAQUE.fullmatch(full):
        return Global(full, Meaning.OPAQUE)
    if module in _YOLOV5_MODULES:
        raise UnsupportedModel(
            "a checkpoint of the original YOLOv5 repository (or one of its kin), whose networks differ from those of "
            f"the ultralytics package. {_WAY_OUT} The export of YOLOv5 itself writes the names and the stride by which "
            "yoloom tells its rows, with objectness, from others; where a file lacks them, say "
            "YOLO(path, layout='objectness', names=[...])."
        )
    text = full if len(full) < 100 else full[:100] + "..."
    raise UnsupportedModel(
        f"it names {text!r}, which does not belong in an Ultralytics checkpoint; nothing of it was run. {_WAY_OUT}"
    )


def short_repr(value: object) -> str:
    """Print any value in a few words, for an error message.

    Quick for every value: one from a file may be endless in print, so only texts and numbers are printed themselves.
    """
    if value is None or isinstance(value, (str, int, float)):
        return repr(value[:50] if isinstance(value, str) else value)
    return f"a {type(value).__name__}"
