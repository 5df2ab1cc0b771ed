"""From the tree in a checkpoint to the `Checkpoint`: the network, with what the file declares about it, checked."""

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
D = TypeVar("D")

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
_MAX_SIZE = 2**16  # of any side, stride or count, in pixels or numbers: a guess with room


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A network with its weights, and the declarations in its file. Immutable.

    Thread safety: any number of threads.

    Attributes:
        module: the whole network.
        task: one of `TASKS`.
        names: the name of each class, by its number.
        stride: of each level of the head, in pixels.
        channels: of the image.
        imgsz_hw: (height, width) that it was trained at, None where the file does not say.
        kpt_shape: (keypoints, values for each), None where the file does not say.
        yaml: the network's plan.
        args: the arguments of its training.
        notes: date, version, license and docs, as far as they are there.
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
        """The count of classes."""
        return len(self.names)

    @property
    def head(self) -> Module:
        """The last layer."""
        return _head(self.module)

    @property
    def version(self) -> str | None:
        """The version of the Ultralytics package that wrote the file."""
        return self.notes.get("version")


def describe(content: Any) -> Checkpoint:
    """Put the declarations in a file together, and check that they agree with each other and with the weights.

    Args:
        content: the value in the file, of any kind.

    Raises:
        InvalidModel: there is no whole network, or it contradicts itself.
        UnsupportedModel: yoloom does not know the network or its head.
        UnsupportedTask: yoloom does not know its task.
    """
    module = _network(content)
    yaml, own_args, train_args = (
        value if isinstance(value, dict) else {}
        for value in (module.get("yaml"), module.get("args"), content.get("train_args"))
    )
    args = {**own_args, **train_args}
    task = _task(module, args)
    for name in ("names", "stride"):
        if module.get(name) is None:
            raise InvalidModel(f"its network has no {name}: it is not a checkpoint that Ultralytics saved.")
    imgsz = args.get("imgsz")
    checkpoint = Checkpoint(
        module=module,
        task=task,
        names=FrozenDict(_declared("names", module.get("names"), _names, {})),
        stride=_declared("stride", module.get("stride"), _strides, ()),
        channels=_declared("channels", yaml.get("channels", yaml.get("ch")), _size, 3),
        imgsz_hw=_declared("imgsz", [imgsz, imgsz] if isinstance(imgsz, (int, float)) else imgsz, _pair, None),
        kpt_shape=_declared("kpt_shape", _head(module).get("kpt_shape"), _pair, None),
        yaml=FrozenDict(yaml),
        args=FrozenDict(args),
        notes=FrozenDict({key: content[key] for key in _NOTES if isinstance(content.get(key), str)}),
    )
    _check_classes(checkpoint)
    return checkpoint


def _network(content: Any) -> Module:
    """The network in a file: the averaged one ("ema") where there is one, as Ultralytics takes it."""
    if not isinstance(content, dict):
        raise InvalidModel(f"expected a dict with the network under 'ema' or 'model', got {short_repr(content)}.")
    network = content.get("ema") or content.get("model")
    if isinstance(network, Module):
        if "model" in network.children and network.children["model"].children:
            return network
        raise UnsupportedModel(f"its network is a {network.cls}, expected one of ultralytics.nn.tasks with its layers.")
    for weights in (network, content.get("state_dict"), content):
        if isinstance(weights, dict) and any(isinstance(value, Tensor) for value in weights.values()):
            raise InvalidModel(
                "a state dict: weights without the network that they belong to. Missing are the modules and their "
                "settings, the class names, the stride and the task. Load it into its model where Ultralytics is "
                'installed, and save that: model.save("best.pt").'
            )
    keys = ", ".join(str(key)[:30] for key in list(content)[:8]) or "none"
    raise InvalidModel(f"no network under 'ema' or 'model', got {short_repr(network)}; its keys are: {keys}.")


def _head(module: Module) -> Module:
    return list(module.children["model"].children.values())[-1]


def _task(module: Module, args: Mapping[str, Any]) -> str:
    """The task of the head, which decides what comes out; the file's declaration must agree with it."""
    declared = module.get("task") or args.get("task")
    task = _HEADS.get(_head(module).kind)
    if declared is not None and declared not in TASKS:
        raise UnsupportedTask(f"its task is {short_repr(declared)}, expected one of {', '.join(TASKS)}.")
    if task is None:
        raise UnsupportedModel(f"its head is a {_head(module).cls}, expected one of {', '.join(_HEADS)}.")
    if declared is not None and declared != task:
        raise InvalidModel(f"its task is {declared!r}, but its head, {_head(module).kind}, is for {task!r}.")
    return task


def _declared(name: str, value: Any, convert: Callable[[Any], T], default: D) -> T | D:
    try:
        return default if value is None else convert(value)
    except (ValueError, TypeError, OverflowError) as error:
        raise InvalidModel(f"its {name} can not be read: {str(error)[:200]}") from error


def _names(value: Any) -> dict[int, str]:
    for name in value.values() if isinstance(value, dict) else value:
        # `parse_names` prints each name, and a value from a file may be endless in print.
        if not isinstance(name, (str, int, float)):
            raise ValueError(f"expected texts, got {short_repr(name)}")
    return parse_names(value)


def _strides(value: Any) -> tuple[int, ...]:
    # Checked before it is read: a tensor may have as many numbers as the file has bytes.
    numbers = value.numpy().tolist() if isinstance(value, Tensor) and 0 < value.size < 10 else value
    strides = tuple(_size(number) for number in numbers)
    if not strides:
        raise ValueError("expected one for each level")
    return strides


def _size(value: Any) -> int:
    if not isinstance(value, (int, float)) or value != value // 1 or not 0 < value < _MAX_SIZE:
        raise ValueError(f"expected a positive whole number below {_MAX_SIZE}, got {short_repr(value)}")
    return int(value)


def _pair(value: Any) -> tuple[int, int]:
    if not isinstance(value, (list, tuple)) or len(value) != 2:
        raise ValueError(f"expected two numbers, got {short_repr(value)}")
    return _size(value[0]), _size(value[1])


def _check_classes(checkpoint: Checkpoint) -> None:
    """Check that all places of the file have as many classes as there are names."""
    head = checkpoint.head
    if checkpoint.task == "classify":
        scores = head.get("linear")
    else:  # the last layer of the first level's branch for scores
        levels = head.get("cv3")
        scores = next(iter(levels.children.values()), None) if isinstance(levels, Module) else None
        scores = list(scores.children.values())[-1] if isinstance(scores, Module) and scores.children else None
    weight = scores.parameters.get("weight") if isinstance(scores, Module) else None
    counts = {
        "the plan (yaml)": checkpoint.yaml.get("nc"),
        "the network": checkpoint.module.get("nc"),
        "the head": head.get("nc"),
        "the weights of the head": weight.shape[0] if weight is not None and weight.shape else None,
    }
    wrong = [
        f"{place} has {short_repr(count)}"
        for place, count in counts.items()
        if count is not None and count != checkpoint.nc
    ]
    if wrong:
        raise InvalidModel(f"it has {checkpoint.nc} class names, but {' and '.join(wrong)[:200]} classes.")
