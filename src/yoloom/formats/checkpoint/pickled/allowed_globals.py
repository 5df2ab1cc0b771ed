"""The names that a checkpoint may use, and what each stands for. None of them is ever imported or called."""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass

from yoloom.errors import UnsupportedModel


class Meaning(enum.Enum):
    """What to make of a name when it is used."""

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
    """A name out of the file. Inert."""

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
    """What the file's `module` and `name` stand for. Raises UnsupportedModel, which names them, for all others."""
    full = _current(f"{module}.{name}")
    meaning = _meaning(full)
    if meaning is None:
        raise _unknown(module, full)
    return Global(full, meaning)


def _current(name: str) -> str:
    for old, new in _RENAMED_PACKAGES.items():
        if name.startswith(old):
            name = new + name[len(old) :]
    return _RENAMED.get(name, name)


def _meaning(name: str) -> Meaning | None:
    if name in _MEANINGS:
        return _MEANINGS[name]
    if _MODULE.fullmatch(name):
        return Meaning.MODULE
    return Meaning.OPAQUE if _OPAQUE.fullmatch(name) else None


def _unknown(module: str, name: str) -> UnsupportedModel:
    if module in _YOLOV5_MODULES:
        return UnsupportedModel(
            "a checkpoint of the original YOLOv5 repository (or one of its kin), whose networks differ from those of "
            f"the ultralytics package. {_WAY_OUT}"
        )
    shown = name if len(name) < 100 else name[:100] + "..."
    return UnsupportedModel(
        f"it names {shown!r}, which does not belong in an Ultralytics checkpoint; nothing of it was run. {_WAY_OUT}"
    )
