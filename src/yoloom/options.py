"""The options of one prediction: checked and frozen when the call is made."""

from __future__ import annotations

import difflib
import functools
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass, fields
from types import NoneType
from typing import Any

from yoloom.errors import UnknownClass, UnknownDevice, UnknownOption, UnsupportedOption
from yoloom.validation import flag, fraction, integer, is_one_of, listed, positive, shown, size_hw, text


@dataclass(frozen=True)
class PredictOptions:
    """How the network's outputs for one image become detections.

    Thread safety: any number of threads.

    Args:
        conf: keep scores above it, 0 to 1.
        iou: NMS drops a box that overlaps a better one by more, 0 to 1.
        imgsz: height and width of the network input in pixels; None for the model's own.
        rect: pad to the smallest rectangle where the model allows it.
        max_det: most boxes for one image.
        classes: class ids or names to keep; None for all.
        agnostic_nms: boxes of different classes suppress each other.
        retina_masks: masks as large as the source, not as the network input.
    """

    conf: float = 0.25
    iou: float = 0.7
    imgsz: tuple[int, int] | None = None
    rect: bool = True
    max_det: int = 300
    classes: tuple[int | str, ...] | None = None
    agnostic_nms: bool = False
    retina_masks: bool = False


@dataclass(frozen=True)
class SaveOptions:
    """Files that one call writes, and whether it shows pictures, beside its results.

    Thread safety: any number of threads.

    Args:
        save: write the plot of each result.
        save_txt: write the detections as lines of a label file.
        save_conf: put the confidence at the end of each line.
        save_crop: write the part of the picture in each box.
        show: show the plot of each result.
        show_labels: write the names of the classes on plots.
        show_conf: write the confidence behind the name.
        show_boxes: draw boxes on plots.
        line_width: of plots in pixels; None scales it to the picture.
        project: folder in which the output's folder is made; None for the default.
        name: of the output's folder; None for the default.
        exist_ok: use the output's folder where it exists, in place of a new one beside it.
        save_dir: the output's folder itself, in place of project and name.
    """

    save: bool = False
    save_txt: bool = False
    save_conf: bool = False
    save_crop: bool = False
    show: bool = False
    show_labels: bool = True
    show_conf: bool = True
    show_boxes: bool = True
    line_width: int | None = None
    project: str | None = None
    name: str | None = None
    exist_ok: bool = False
    save_dir: str | None = None

    @property
    def writes(self) -> bool:
        """Whether the call writes files."""
        return self.save or self.save_txt or self.save_crop


SAVES_NOTHING = SaveOptions()


_PREDICT_CHECKS: Mapping[str, Callable[[str, Any], Any]] = {
    "conf": fraction,
    "iou": fraction,
    "imgsz": size_hw,
    "rect": flag,
    "max_det": positive,
    "classes": lambda name, value: tuple(
        item if isinstance(item, str) else integer(name, item) for item in listed(name, value)
    ),
    "agnostic_nms": flag,
    "retina_masks": flag,
}
_SAVE_CHECKS: Mapping[str, Callable[[str, Any], Any]] = {
    **{field.name: flag for field in fields(SaveOptions)},
    "line_width": positive,
    "project": text,
    "name": text,
    "save_dir": text,
}
_CHECKS = {**_PREDICT_CHECKS, **_SAVE_CHECKS}
# Options of Ultralytics that have no part in a prediction from pictures: there either, or because the engine plans its
# own batches, logging has its own switch, and a CPU computes in float32 whatever `half` says, as there.
_HOW_IT_RUNS = (
    "batch cache channels_last compile data dnn half mode model profile save_frames seed stream_buffer task tracker "
    "verbose vid_stride workers"
)
_OF_TRAINING = (
    "amp angle auto_augment bgr box close_mosaic cls cls_pw cls_remap copy_paste copy_paste_mode cos_lr cutmix degrees "
    "deterministic dfl dgrad dis distill_model dlam dlog dropout epochs erasing fliplr flipud fraction freeze hsv_h "
    "hsv_s hsv_v kobj lr0 lrf mask_ratio mixup momentum mosaic multi_scale nbs optimizer overlap_mask patience "
    "perspective plots pose pretrained resume rle save_json save_period scale shear single_cls split time translate "
    "val warmup_bias_lr warmup_epochs warmup_momentum weight_decay"
)
_OF_EXPORT = "dynamic format opset optimize simplify workspace"
_IDLE = frozenset(f"{_HOW_IT_RUNS} {_OF_TRAINING} {_OF_EXPORT}".split())
# Options of Ultralytics that yoloom does not have: values that ask for nothing, as None does, and the way round.
_NOT_HERE: Mapping[str, tuple[tuple[Any, ...], str]] = {
    "augment": ((False,), "leave it out"),
    "cfg": ((), "give the options of the file by name: model.predict(image, **yaml.safe_load(open(path)))"),
    "embed": ((), "leave it out"),
    "int8": ((False,), "open a model that is int8 already"),
    "predictor": ((), "leave it out: each call works for itself"),
    "quantize": ((), "choose the number format when the model is opened: YOLO(path, precision=...)"),
    "visualize": ((False,), "leave it out"),
}
# Names that Ultralytics had before, and whether their value means the opposite.
_EARLIER_NAMES: Mapping[str, tuple[str, bool]] = {
    "boxes": ("show_boxes", False),
    "hide_conf": ("show_conf", True),
    "hide_labels": ("show_labels", True),
    "line_thickness": ("line_width", False),
}
OTHER_NAMES: Mapping[str, str] = {
    **dict.fromkeys(("confidence", "conf_thres", "conf_threshold", "threshold", "score_threshold"), "conf"),
    **dict.fromkeys(("iou_thres", "iou_threshold", "nms_threshold", "nms_thres"), "iou"),
    **dict.fromkeys(("size", "img_size", "image_size", "input_size", "imgs", "img"), "imgsz"),
    **dict.fromkeys(("max_detections", "topk", "max_boxes"), "max_det"),
    **dict.fromkeys(("class_ids", "labels", "filter_classes"), "classes"),
}
"""Names that other libraries use, or people expect → the option."""

# Which head is used is part of the opened model; each option with the value of `nms` that its True stands for.
_HEAD_NAMES: Mapping[str, bool] = {"nms": True, "end2end": False}
WAITING = frozenset({"client", "priority", "on_full"})
"""Options of a call that say how it waits, and change no result."""

_ALL_NAMES = (
    _CHECKS.keys()
    | _IDLE
    | _NOT_HERE.keys()
    | _EARLIER_NAMES.keys()
    | _HEAD_NAMES.keys()
    | WAITING
    | {"device", "stream", "source", "timeout"}
)
_USEFUL_NAMES = _CHECKS.keys() | _HEAD_NAMES.keys() | WAITING | {"stream", "source", "timeout"}
"""Names worth suggesting."""
# Types of values that can be keys of a cache: they never change, and run no code of the caller's when compared.
_PLAIN_TYPES = frozenset({bool, int, float, NoneType})


def parse_options(values: Mapping[str, Any], nms: Set[bool] = frozenset()) -> tuple[PredictOptions, SaveOptions]:
    """Check the keyword arguments of one call; None asks for the default.

    Args:
        values: the arguments by name.
        nms: the values of the option `nms` that the opened model was made for.

    Raises:
        UnknownOption: for a name that does not exist; the message has the nearest one.
        UnsupportedOption: for an option that yoloom does not have, or that is chosen when the model is opened.
        UnknownDevice: for another device than the CPU.
        InvalidOption: for a value of the wrong type or out of range.
    """
    if _PLAIN_TYPES.issuperset(map(type, values.values())):
        return _parse_cached(frozenset(nms), **values)
    return _parse(values, nms)


# Most callers use the same few options again and again. Typed, since True, 1 and 1.0 are equal and not the same.
@functools.lru_cache(maxsize=256, typed=True)
def _parse_cached(nms: frozenset[bool], /, **values: float | None) -> tuple[PredictOptions, SaveOptions]:
    return _parse(values, nms)


def _parse(values: Mapping[str, Any], nms: Set[bool]) -> tuple[PredictOptions, SaveOptions]:
    for name, value in values.items():
        _refuse_unavailable(name, value, nms)
    for earlier in values.keys() & _EARLIER_NAMES.keys():
        name, is_opposite = _EARLIER_NAMES[earlier]
        value = values[earlier]
        known = not flag(earlier, value) if is_opposite and value is not None else value
        values = {**values, name: known} if known is not None else values
    chosen = {name: value for name, value in values.items() if name in _CHECKS and value is not None}
    checked = {name: _CHECKS[name](name, value) for name, value in chosen.items()}
    saving = {name: checked[name] for name in checked if name in _SAVE_CHECKS}
    return (
        PredictOptions(**{name: checked[name] for name in checked if name in _PREDICT_CHECKS}),
        SaveOptions(**saving) if saving else SAVES_NOTHING,
    )


def _refuse_unavailable(name: str, value: Any, nms: Set[bool]) -> None:
    """Raise for an option that does not exist, or a value that this version or the opened model does not have."""
    if name not in _ALL_NAMES:
        near = OTHER_NAMES.get(name) or next(iter(difflib.get_close_matches(name, _USEFUL_NAMES, n=1)), None)
        hint = f"Did you mean {near!r}?" if near else "help(YOLO.predict) lists them."
        raise UnknownOption(f"there is no option {shown(name)}. {hint}")
    if value is None:
        return
    if name == "device":
        try:
            is_cpu = str(value).lower() in ("", "cpu", "cpu:0")
        except Exception:  # noqa: BLE001  the caller's code
            is_cpu = False
        if not is_cpu:
            raise UnknownDevice(
                f"device={shown(value)} is chosen once, when the model is opened: YOLO(path, device=...)."
            )
    if name in _NOT_HERE:
        neutral, way_round = _NOT_HERE[name]
        if not is_one_of(value, neutral):
            raise UnsupportedOption(f"{name}={shown(value)} is not available in yoloom: {way_round}.")
    if name in _HEAD_NAMES:
        wanted = flag(name, value) == _HEAD_NAMES[name]
        if wanted not in nms:
            message = f"{name}={value} is chosen once, when the model is opened: YOLO(path, nms={wanted})."
            raise UnsupportedOption(message)


def class_ids(classes: tuple[int | str, ...] | None, names: Mapping[int, str]) -> frozenset[int] | None:
    """Return the ids of `classes`, which are ids or names; None for all. Raises UnknownClass."""
    if classes is None:
        return None
    ids: set[int] = set()
    for wanted in classes:
        if isinstance(wanted, int) and (wanted in names or not names):  # a file may not say which classes it has
            ids.add(wanted)
            continue
        found = [index for index, name in names.items() if name == wanted]
        if not found:
            near = difflib.get_close_matches(str(wanted), names.values(), n=1)
            hint = f"; did you mean {near[0]!r}?" if near else "."
            some = ", ".join(f"{index} {name}" for index, name in list(names.items())[:8]) or "ask by number"
            more = ", ..." if len(names) > 8 else "."
            raise UnknownClass(f"the model has no class {wanted!r}{hint} It names {len(names)}: {some}{more}")
        ids.update(found)
    return frozenset(ids)
