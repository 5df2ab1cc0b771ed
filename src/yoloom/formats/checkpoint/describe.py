"""From the tree in a checkpoint to what it says about its network — or to the reason why there is none."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from yoloom.errors import InvalidModel, UnsupportedModel, UnsupportedTask
from yoloom.formats.checkpoint.pickled.allowed_globals import short_repr
from yoloom.formats.checkpoint.pickled.tree import Module, Tensor
from yoloom.formats.metadata import parse_names
from yoloom.values import FrozenDict

T = TypeVar("T")

TASKS = ("detect", "segment", "pose", "obb", "classify")
_HEADS = {
    "Detect": "detect",
    "v10Detect": "detect",
    "Segment": "segment",
    "Segment26": "segment",
    "Pose": "pose",
    "Pose26": "pose",
    "OBB": "obb",
    "OBB26": "obb",
    "Classify": "classify",
}
_NOTES = ("date", "version", "license", "docs")
_MAX_SIZE = 2**16


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A network with its weights, and what its file says about it. Immutable: shared freely.

    module: the whole network. stride: of each level of the head, in pixels. imgsz_hw: what it was trained at, and
    kpt_shape: (keypoints, values for each), are None where the file does not say. yaml: the network's plan. args:
    those of its training. notes: date, version, license and docs, as far as they are there.
    """

    module: Module
    task: str
    names: Mapping[int, str]
    stride: tuple[int, ...]
    channels: int
    imgsz_hw: tuple[int, int] | None
    kpt_shape: tuple[int, int] | None
    yaml: Mapping[str, Any]
    args: Mapping[str, Any]
    notes: Mapping[str, str]

    @property
    def nc(self) -> int:
        """The number of classes."""
        return len(self.names)

    @property
    def head(self) -> Module:
        """The last layer."""
        return _head(self.module)

    @property
    def version(self) -> str | None:
        """Of the Ultralytics package that wrote the file."""
        return self.notes.get("version")


def describe(content: Any) -> Checkpoint:
    """Put together what `content`, the value in the checkpoint, says.

    Raises InvalidModel for anything without a whole network, or that contradicts itself, UnsupportedModel,
    UnsupportedTask.
    """
    module = _network(content)
    yaml = _mapping(module.get("yaml"))
    args = {**_mapping(module.get("args")), **_mapping(content.get("train_args"))}
    checkpoint = Checkpoint(
        module=module,
        task=_task(module, args),
        names=FrozenDict(_required(module, "names", _names)),
        stride=_required(module, "stride", _strides),
        channels=_optional("channels", yaml.get("channels", yaml.get("ch")), _size) or 3,
        imgsz_hw=_optional("imgsz", args.get("imgsz"), _size_hw),
        kpt_shape=_optional("kpt_shape", _head(module).get("kpt_shape"), _pair),
        yaml=FrozenDict(yaml),
        args=FrozenDict(args),
        notes=FrozenDict({key: content[key] for key in _NOTES if isinstance(content.get(key), str)}),
    )
    _check_classes(checkpoint)
    return checkpoint


def _network(content: Any) -> Module:
    if not isinstance(content, dict):
        raise InvalidModel(f"expected a dict with the network under 'ema' or 'model', got {short_repr(content)}.")
    found = content.get("ema") or content.get("model")
    if not isinstance(found, Module):
        raise _no_network(content, found)
    if "model" not in found.children or not found.children["model"].children:
        raise UnsupportedModel(f"its network is a {found.cls}, expected one of ultralytics.nn.tasks with its layers.")
    return found


def _no_network(content: Mapping[Any, Any], found: Any) -> InvalidModel:
    for weights in (found, content.get("state_dict"), content):
        if isinstance(weights, dict) and any(isinstance(value, Tensor) for value in weights.values()):
            return InvalidModel(
                "a state dict: weights without the network that they belong to. Missing are the modules and their "
                "settings, the class names, the stride and the task. Load it into its model where Ultralytics is "
                'installed, and save that: model.save("best.pt").'
            )
    keys = ", ".join(str(key)[:30] for key in list(content)[:8]) or "none"
    return InvalidModel(f"no network under 'ema' or 'model', got {short_repr(found)}; its keys are: {keys}.")


def _head(module: Module) -> Module:
    return list(module.children["model"].children.values())[-1]


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _task(module: Module, args: Mapping[str, Any]) -> str:
    """By the head, which decides what comes out; by what the file says where the head is not known."""
    said = module.get("task") or args.get("task")
    task = _HEADS.get(_head(module).kind)
    if said is not None and said not in TASKS:
        raise UnsupportedTask(f"its task is {short_repr(said)}, expected one of {', '.join(TASKS)}.")
    if task is None:
        raise UnsupportedModel(f"its head is a {_head(module).cls}, expected one of {', '.join(_HEADS)}.")
    if said is not None and said != task:
        raise InvalidModel(f"its task is {said!r}, but its head, {_head(module).kind}, is for {task!r}.")
    return task


def _required(module: Module, name: str, convert: Callable[[Any], T]) -> T:
    value = _optional(name, module.get(name), convert)
    if value is None:
        raise InvalidModel(f"its network has no {name}: it is not a checkpoint that Ultralytics saved.")
    return value


def _optional(name: str, value: Any, convert: Callable[[Any], T]) -> T | None:
    try:
        return None if value is None else convert(value)
    except (ValueError, TypeError, OverflowError) as error:
        raise InvalidModel(f"its {name} can not be read: {str(error)[:200]}") from error


def _names(value: Any) -> dict[int, str]:
    for name in value.values() if isinstance(value, dict) else value:
        if not isinstance(name, (str, int, float)):
            raise ValueError(f"expected texts, got {short_repr(name)}")
    return parse_names(value)


def _strides(value: Any) -> tuple[int, ...]:
    numbers = value.numpy().tolist() if isinstance(value, Tensor) and 0 < value.size < 10 else value
    strides = tuple(_size(number) for number in numbers)
    if not strides:
        raise ValueError("expected one for each level")
    return strides


def _size(value: Any) -> int:
    if not isinstance(value, (int, float)) or value != value // 1 or not 0 < value < _MAX_SIZE:
        raise ValueError(f"expected a positive whole number below {_MAX_SIZE}, got {short_repr(value)}")
    return int(value)


def _size_hw(value: Any) -> tuple[int, int]:
    return (_size(value), _size(value)) if isinstance(value, (int, float)) else _pair(value)


def _pair(value: Any) -> tuple[int, int]:
    if not isinstance(value, (list, tuple)) or len(value) != 2:
        raise ValueError(f"expected two numbers, got {short_repr(value)}")
    return _size(value[0]), _size(value[1])


def _check_classes(checkpoint: Checkpoint) -> None:
    said = {
        "the plan (yaml)": checkpoint.yaml.get("nc"),
        "the network": checkpoint.module.get("nc"),
        "the head": checkpoint.head.get("nc"),
        "the weights of the head": _classes_of_weights(checkpoint),
    }
    wrong = [f"{where} has {short_repr(nc)}" for where, nc in said.items() if nc is not None and nc != checkpoint.nc]
    if wrong:
        raise InvalidModel(f"it has {checkpoint.nc} class names, but {' and '.join(wrong)[:200]} classes.")


def _classes_of_weights(checkpoint: Checkpoint) -> int | None:
    """The channels of the layer that scores the classes, None when it is not where it should be."""
    head = checkpoint.head
    layer = head.get("linear") if checkpoint.task == "classify" else _last(_first(head.get("cv3")))
    weight = layer.parameters.get("weight") if isinstance(layer, Module) else None
    return weight.shape[0] if weight is not None and weight.shape else None


def _first(module: Any) -> Any:
    return next(iter(module.children.values()), None) if isinstance(module, Module) else None


def _last(module: Any) -> Any:
    return list(module.children.values())[-1] if isinstance(module, Module) and module.children else None
