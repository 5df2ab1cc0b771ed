"""A model as a file for other programs: ONNX, or the folder that OpenVINO reads.

```
.pt ─▶ network ─▶ ONNX ─▶ x.onnx
                   └────▶ OpenVINO ─▶ x_openvino_model/ (x.xml, x.bin, metadata.yaml)
.onnx ─────────────────────┘
```

An export carries the metadata of Ultralytics' own exports, so that Ultralytics opens it too.
"""

from __future__ import annotations

import contextlib
import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from yoloom.errors import (
    DownloadFailed,
    InvalidModel,
    InvalidOption,
    ModelError,
    UnknownOption,
    UnsupportedModel,
    UnsupportedOption,
)
from yoloom.formats.checkpoint.checkpoint_file import errors_about, mapped_checkpoint
from yoloom.formats.checkpoint.convert import default_imgsz_hw
from yoloom.formats.checkpoint.onnx_model import write_onnx
from yoloom.formats.checkpoint.parse import parse_checkpoint
from yoloom.formats.metadata import parse_literal
from yoloom.formats.model import ModelFile
from yoloom.formats.onnx_file import read_onnx
from yoloom.runtime.protocol import reason_of
from yoloom.store.hub import cache_folder
from yoloom.system.files import replacing
from yoloom.system.shortage import naming_limits
from yoloom.validation import flag, positive, shown, size_hw

if TYPE_CHECKING:
    from yoloom.runtime.openvino_quietly import openvino as ov

FORMATS = ("onnx", "openvino")

# Options of Ultralytics' export that mean nothing here; and the values that have no effect, as None has none.
_IDLE = frozenset({"data", "device", "fraction", "optimize", "simplify", "verbose", "workspace"})
_NEUTRAL: Mapping[str, tuple[Any, ...]] = {"int8": (False,), "keras": (False,), "opset": (17,), "quantize": (32,)}
_OWN = frozenset({"format", "imgsz", "dynamic", "half", "batch", "nms"})

# As Ultralytics notes them; texts that are no literals, such as a date, stay what they are.
_LITERALS = frozenset({"stride", "batch", "imgsz", "names", "args", "channels", "end2end", "kpt_shape", "kpt_names"})
_ARGS_OF_OPENVINO = ("data", "batch", "fraction", "quantize", "nms", "dynamic")


@dataclass(frozen=True)
class ExportOptions:
    """The options of an export, None for the default. Immutable. Thread safety: any number of threads.

    Attributes:
        format: "onnx" or "openvino".
        imgsz_hw: Height and width of the input in pixels.
        dynamic: Whether the network takes any batch, height and width.
        half: Whether weights have 16 bits.
        batch: Images at once, for a network with fixed axes.
        nms: False for the head that needs no NMS.
    """

    format: str = "onnx"
    imgsz_hw: tuple[int, int] | None = None
    dynamic: bool | None = None
    half: bool = False
    batch: int | None = None
    nms: bool | None = None


def parse_export_options(arguments: Mapping[str, Any]) -> ExportOptions:
    """Parse the keyword arguments of an export, as Ultralytics names them. None stands for the default.

    Raises:
        UnknownOption: There is no such option; the message has the nearest name.
        UnsupportedOption: yoloom does not have what the value asks for.
        InvalidOption: The value has a wrong type or is out of range.
    """
    for name, value in arguments.items():
        _check_supported(name, value)
    options = {name: value for name, value in arguments.items() if value is not None}
    return ExportOptions(
        format=options.get("format", "onnx"),
        imgsz_hw=size_hw("imgsz", options["imgsz"]) if "imgsz" in options else None,
        dynamic=flag("dynamic", options["dynamic"]) if "dynamic" in options else None,
        half=flag("half", options.get("half", False)),
        batch=positive("batch", options["batch"]) if "batch" in options else None,
        nms=False if "nms" in options else None,
    )


def export_model(source: Path, options: ExportOptions, target: Path | None = None) -> Path:
    """Write a model in another format. Thread safety: any number of threads.

    Args:
        source: A `.pt` checkpoint, or an `.onnx` file for OpenVINO.
        options: How to write it.
        target: The file or folder to write; by default NAME.onnx or NAME_openvino_model beside the source, or in the
            working folder for a source that was downloaded. An old one is replaced, at once, when the new one is whole.

    Returns:
        The absolute path of the target.

    Raises:
        ModelError: The source can not be read or converted.
        InvalidOption: The source does not have what an option asks for, or the target can not be written.
    """
    _check_source(source, options)
    target = (target or default_target(source, options.format)).absolute()
    _check_target(source, target, options.format)
    try:
        with naming_limits(f"{source} can not be exported"), replacing(target) as part:
            if options.format == "onnx":
                _write_network(source, part, options)
            else:
                _write_ir_folder(source, part, options)
    except OSError as error:
        if isinstance(error, ModelError):
            raise
        raise InvalidOption(f"{target} can not be written: {error.strerror or error}.") from error
    return target


def default_target(source: Path, form: str) -> Path:
    """Return NAME.onnx or NAME_openvino_model, beside the source unless that is in the cache of downloads."""
    name = f"{source.stem}.onnx" if form == "onnx" else f"{source.stem}_openvino_model"
    with contextlib.suppress(DownloadFailed):  # no home folder, and so no downloads
        if source.absolute().parent == cache_folder().absolute():
            return Path(name)
    return source.with_name(name)


def _check_supported(name: str, value: Any) -> None:
    known = _OWN | _IDLE | _NEUTRAL.keys()
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        raise UnknownOption(
            f"there is no option {name!r} for an export. {f'Did you mean {near[0]!r}?' if near else ''}".rstrip()
        )
    if name in _NEUTRAL and value is not None and value not in _NEUTRAL[name]:
        raise UnsupportedOption(f"{name}={shown(value)} is not available in yoloom; leave {name!r} out.")
    if name == "format" and value is not None and value not in FORMATS:
        raise UnsupportedOption(f"format must be one of {', '.join(FORMATS)}, got {shown(value)}.")
    if name == "nms" and value is not None and flag("nms", value):
        raise UnsupportedOption(
            "nms=True, an NMS inside of the graph, is not available in yoloom. Leave it out for an output that NMS "
            "comes after, or take nms=False for the head that needs none (v10, 26)."
        )


def _check_source(source: Path, options: ExportOptions) -> None:
    if source.suffix == ".pt":
        return
    if source.suffix != ".onnx" or options.format == "onnx":
        raise UnsupportedModel(
            f"{source}: expected a checkpoint (.pt){', or an .onnx file' * (options.format == 'openvino')} to export."
        )
    if (options.imgsz_hw, options.dynamic, options.batch, options.nms) != (None,) * 4:
        raise UnsupportedOption(
            f"{source} can not be given another size or head: export its checkpoint (.pt) with them."
        )


def _check_target(source: Path, target: Path, form: str) -> None:
    if form == "onnx" and target.suffix != ".onnx":
        raise InvalidOption(f"expected the name of an .onnx file to write, got {str(target)!r}.")
    if target.exists() and target.samefile(source):
        raise InvalidOption(f"{target} is the model itself: give the export another name.")
    if form == "onnx" and target.is_dir():
        raise InvalidOption(f"{target} is a folder, expected the name of an .onnx file to write.")
    if form == "openvino" and target.exists() and not _is_ir_folder(target):
        raise InvalidOption(f"{target} exists and is no OpenVINO model: it is not replaced. Give another folder.")


def _is_ir_folder(folder: Path) -> bool:
    """Whether a folder holds one network with its weights and metadata, and nothing else: only then it is replaced."""
    if folder.is_symlink() or not folder.is_dir() or folder.samefile(Path.cwd()):
        return False
    names = {path.name for path in folder.iterdir() if path.is_file() and not path.is_symlink()}
    networks = [name for name in names if name.endswith(".xml")]
    if len(networks) != 1 or len(names) != len(list(folder.iterdir())):
        return False
    own = {networks[0], f"{networks[0].removesuffix('.xml')}.bin"}
    return own <= names <= own | {"metadata.yaml"}


def _write_network(source: Path, target: Path, options: ExportOptions) -> None:
    """Write the ONNX file of a checkpoint."""
    with errors_about(source):
        checkpoint = parse_checkpoint(mapped_checkpoint(source))
        with target.open("xb", buffering=1 << 20) as file:
            write_onnx(
                checkpoint,
                file.write,
                dynamic=bool(options.dynamic),
                imgsz_hw=options.imgsz_hw or default_imgsz_hw(checkpoint),
                batch=options.batch or 1,
                nms=options.nms,
                half=options.half and options.format == "onnx",
            )


def _write_ir_folder(source: Path, folder: Path, options: ExportOptions) -> None:
    from yoloom.runtime.openvino import core  # here, because it is slow to import
    from yoloom.runtime.openvino_quietly import openvino as ov

    folder.mkdir()
    network_path = source
    if source.suffix == ".pt":
        network_path = folder / "network.onnx"
        _write_network(source, network_path, options)
    _, notes = read_onnx(ModelFile("onnx", (network_path,)))
    what = f"{source}: OpenVINO can not convert it"
    try:
        with naming_limits(what):
            network = core().read_model(network_path)
            _note_preprocessing(network, notes)
            ov.save_model(network, folder / f"{source.stem}.xml", compress_to_fp16=options.half)
    except RuntimeError as error:
        raise InvalidModel(f"{what}: {reason_of(error)}.") from error
    _write_yaml(folder / "metadata.yaml", notes, options.half)
    if network_path != source:
        network_path.unlink()


def _note_preprocessing(network: ov.Model, notes: Mapping[str, str]) -> None:
    """Add the notes that OpenVINO's own model API reads: https://github.com/openvinotoolkit/model_api ."""
    names = _plain(notes).get("names")
    facts: dict[str, Any] = {
        "model_type": "YOLO",
        "reverse_input_channels": True,
        "pad_value": 114,
        "scale_values": [255.0],
        "iou_threshold": 0.7,
        "labels": [str(name).replace(" ", "_") for name in names.values()] if isinstance(names, dict) else [],
        **({} if notes.get("task") == "classify" else {"resize_type": "fit_to_window_letterbox"}),
    }
    for key, value in facts.items():
        network.set_rt_info(value, ["model_info", key])


def _write_yaml(path: Path, notes: Mapping[str, str], half: bool) -> None:
    import yaml

    plain = _plain(notes)
    args = plain.get("args")
    if isinstance(args, dict):
        args = args | ({"quantize": 16} if half else {})
        plain["args"] = {key: args[key] for key in _ARGS_OF_OPENVINO if key in args}
    path.write_text(yaml.safe_dump(plain, sort_keys=False, allow_unicode=True), encoding="utf-8")


def _plain(notes: Mapping[str, str]) -> dict[str, Any]:
    return {key: parse_literal(text) if key in _LITERALS else text for key, text in notes.items()}
