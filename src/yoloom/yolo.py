"""The facade that most people ever see: one model, any number of threads."""

from __future__ import annotations

import functools
import logging
import os
import weakref
from collections.abc import Coroutine, Hashable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, NoReturn, overload

from yoloom.call import Asked, Call, Errors
from yoloom.conversions import CachedConversion, convert
from yoloom.engine.budget import cpu_threads
from yoloom.engine.engine import Engine
from yoloom.engine.once import Once
from yoloom.engine.queue_policy import QueuePolicy, on_full
from yoloom.engine.registry import registry
from yoloom.engine.statistics import Statistics
from yoloom.engine.stream import ResultStream
from yoloom.errors import EngineClosed, InvalidModel, InvalidOption, SourceNotFound, UnsupportedOption
from yoloom.export import export_model, parse_export_options
from yoloom.file_identity import file_identity
from yoloom.formats.model import Layout, Model
from yoloom.formats.read import read_model
from yoloom.hub import resolve
from yoloom.images.decode import MAX_PIXELS
from yoloom.options import WAITING, flag, parse_options, positive, positive_seconds
from yoloom.results import Results
from yoloom.runtime.backends import find_backend
from yoloom.runtime.protocol import Guarantee
from yoloom.sources.files import expand, expand_lazily

log = logging.getLogger("yoloom")


class YOLO:
    """A YOLO model, ready to predict. Shared freely: threads, asyncio tasks and nested calls may use it all at once.

    Opening a file reads, compiles and warms up once for each process, however many `YOLO(...)` there are: every further
    one is a handle on the same weights. From then on nothing about the model changes. Pickles as a recipe (path and
    options): whoever unpickles it opens the file again.
    """

    def __init__(
        self,
        model: str | os.PathLike[str],
        task: str | None = None,
        verbose: bool = False,
        *,
        names: Mapping[int, str] | Sequence[str] | None = None,
        backend: str = "openvino",
        device: str = "cpu",
        threads: int | None = None,
        max_pixels: int = MAX_PIXELS,
        nms: bool | None = None,
        queue: QueuePolicy | None = None,
    ) -> None:
        """Open a model file.

        model: a `.pt` checkpoint of Ultralytics, an `.onnx` file, an OpenVINO IR folder, or a published name such as
        `yolov8n.pt`. task, names: override what the file says. verbose: accepted for Ultralytics' sake. backend:
        "openvino" or "onnxruntime". threads: the CPU budget, all CPUs of this process when None. max_pixels: largest
        picture that is accepted. nms: False takes the head that needs no NMS, where a checkpoint has one (v10, 26).
        queue: how many requests may wait, and what happens to one more. The size is that of all handles on the file.

        A checkpoint is read as data, and converted once for this user: see `yoloom cache`.

        Raises ModelNotFound, DownloadFailed, InvalidModel, UnsupportedModel, UnsupportedTask, InvalidOption,
        UnsupportedOption, UnknownDevice or BackendUnavailable.
        """
        self._max_pixels = positive("max_pixels", max_pixels)
        budget = cpu_threads(threads)
        self._queue = waiting = _queue(queue)
        runtime = find_backend(backend, device)
        one_to_one = nms is not None and not flag("nms", nms)
        path = resolve(model)
        self._recipe = functools.partial(
            YOLO,
            path,
            task,
            verbose,
            names=names,
            backend=backend,
            device=device,
            threads=threads,
            max_pixels=max_pixels,
            nms=nms,
            queue=queue,
        )
        self._model = described = read_model(path, task, names, functools.partial(convert, one_to_one=one_to_one))
        self._nms = _heads(described, nms)
        version = functools.partial(file_identity, described.graph.files)
        self._version = _opened_version(described, version())
        key = (self._version, backend, device, budget, one_to_one)
        self._lease = registry().claim(
            key, lambda: _started(Engine(described, runtime, budget, waiting.size, version=version))
        )
        self._closed = False
        self._finalizer = weakref.finalize(self, self._lease.abandon)
        self._finalizer.atexit = False  # the registry closes the engines then
        self._fixed_size_said = Once()
        if queue is not None:
            self._check_size(queue.size)

    @property
    def names(self) -> Mapping[int, str]:
        """Class id -> name, read-only."""
        return self._model.names

    @property
    def task(self) -> str:
        return self._model.task

    @property
    def stride(self) -> int:
        """What height and width of the network's input are multiples of, in pixels."""
        return self._model.stride

    @property
    def device(self) -> str:
        return "cpu"

    @property
    def model(self) -> Model:
        """What the file says: shapes, layout, metadata. Immutable."""
        return self._model

    def __call__(self, source: Any = None, stream: bool = False, **options: Any) -> Any:
        """The same as `predict`."""
        return self.predict(source, stream, **options)

    @overload
    def predict(
        self, source: Any = None, stream: Literal[False] = False, *, errors: Literal["raise"] = "raise", **options: Any
    ) -> list[Results]: ...
    @overload
    def predict(self, source: Any = None, stream: bool = False, *, errors: Errors = "raise", **options: Any) -> Any: ...
    def predict(
        self,
        source: Any = None,
        stream: bool = False,
        *,
        errors: Errors = "raise",
        timeout: float | None = None,
        **options: Any,
    ) -> Any:
        """Predict one image, or each of several.

        source: a path, a folder, a pattern, encoded bytes, a PIL image, an array (H, W, 3) uint8 BGR (or gray, BGRA,
        16 bit), or a list of them. stream: return a `ResultStream` that works ahead by a few images instead of a list.
        errors: what an image that fails does among several: "raise" ends in one PartialFailure that holds the others'
        results, "return" puts its error in its place. timeout: seconds for the whole call, None for no limit.
        options: conf, iou, imgsz, rect, max_det, classes, agnostic_nms, retina_masks, and save, save_txt, save_conf,
        save_crop, show, show_labels, show_conf, show_boxes, line_width, project, name, exist_ok, as in Ultralytics.

        Clients take turns: client is whose request it is, a text, a number, or a `Client` with a weight, by default
        the calling thread or task. priority: which of its client's requests goes first, the highest. on_full: "wait",
        "reject", "drop_oldest" or "latest" in place of the queue's own, see `QueuePolicy`.

        Options and sources are checked and frozen before this returns, also for a stream. The same image and options
        give the same bits, whatever else runs. Raises InputError (see docs/errors.md), DeadlineExceeded, QueueFull,
        EngineClosed.
        """
        if source is None:
            raise SourceNotFound("predict needs a source: a path, a folder, bytes, a PIL image, an array, or a list.")
        images = expand(source)
        call = self._call(options, errors, timeout)
        if stream:
            return call.stream(images)
        if len(images) == 1 and errors == "raise":
            return [call.now(images[0])]
        return call.all(images)

    def submit(self, image: Any, *, timeout: float | None = None, **options: Any) -> Future[Results]:
        """Predict one image in the background. Arrays may be reused by the caller as soon as this returns.

        Waits for a place when the queue is full. `cancel()` of the future takes waiting work out of the queue.
        """
        return self._call(options, "raise", timeout).later(image)

    def map(
        self, images: Iterable[Any], *, errors: Errors = "raise", timeout: float | None = None, **options: Any
    ) -> ResultStream:
        """Results in the order of `images`, which is read lazily, a few images ahead of the consumer.

        A folder or pattern among `images` gives one result for each of its images. timeout: seconds for each image.
        """
        return self._call(options, errors, timeout).stream(expand_lazily(images))

    def predict_async(
        self, image: Any, *, timeout: float | None = None, **options: Any
    ) -> Coroutine[Any, Any, Results]:
        """Predict one image without blocking the event loop: `result = await model.predict_async(image)`.

        Options are checked and frozen, and an array is copied, when this is called. A cancelled task takes its work out
        of the queue.
        """
        return self._call(options, "raise", timeout).awaitable(image)

    def guarantee(self) -> Guarantee:
        """What holds for results when many threads share this model."""
        return self._engine.backend.guarantee()

    def statistics(self) -> Statistics:
        """What the engine behind this handle, shared by all handles on the file, did so far."""
        return self._engine.statistics()

    def close(self, drain: bool = True, timeout: float | None = None) -> None:
        """Give the handle back. The last one on a file ends its engine, and waits for that.

        drain: what waits is still run, for `timeout` seconds at the most (None: as long as it takes); without it, or
        after that time, it ends with EngineClosed. Idempotent. Later calls on this handle raise EngineClosed; other
        handles go on.
        """
        seconds = positive_seconds(timeout)
        self._closed = True
        self._finalizer.detach()
        self._lease.release(drain, seconds)

    def export(
        self,
        format: str = "onnx",
        *,
        imgsz: int | Sequence[int] | None = None,
        dynamic: bool | None = None,
        half: bool | None = None,
        batch: int | None = None,
        nms: bool | None = None,
        **others: Any,
    ) -> str:
        """Write the model in another format, and return the path. Any thread; the handle may be closed.

        format: "onnx" gives NAME.onnx from a checkpoint, "openvino" the folder NAME_openvino_model, also from an
        `.onnx` file; beside the model, or in the working folder for one that was downloaded. imgsz: height and width
        in pixels, those of the training by default. dynamic: any batch, height and width instead of fixed ones (the
        default, as in Ultralytics). half: weights of 16 bits. nms: False for the head that needs none, by default as
        the handle was opened. others: as in Ultralytics, as far as they ask for nothing.

        Raises ModelError, InvalidModel for a file that was changed since it was opened, or InvalidOption.
        """
        options = parse_export_options(
            {"format": format, "imgsz": imgsz, "dynamic": dynamic, "half": half, "batch": batch, "nms": nms, **others}
        )
        if options.nms is None and self._model.graph.conversion is not None and False in self._nms:
            options = replace(options, nms=False)
        if not _is_still(self._model.graph.files, self._version):
            raise InvalidModel(f"{self._model.graph.path} was changed while it is open; open it again with YOLO(path).")
        return os.fspath(export_model(self._model.graph.path, options))

    def to(self, device: str) -> YOLO:
        """The same object, for "cpu". Another device is chosen when the model is opened."""
        find_backend("openvino", device)
        return self

    def fuse(self) -> YOLO:
        """The same object: a loaded model is fused already."""
        return self

    def __enter__(self) -> YOLO:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close(drain=error is None)  # an interrupt must not wait for what nobody will fetch

    def __reduce__(self) -> tuple[Any, ...]:
        return self._recipe, ()

    def __repr__(self) -> str:
        return f"YOLO({str(self._model.graph.path)!r}, task={self.task!r}, classes={len(self.names)})"

    def __getattr__(self, name: str) -> NoReturn:
        hint = ": yoloom runs models; train and validate them with Ultralytics" if name in _NOT_OURS else ""
        raise AttributeError(f"YOLO has no attribute {name!r}{hint}.")

    @property
    def _engine(self) -> Engine:
        if self._closed:
            raise EngineClosed("this handle is closed; open the model again with YOLO(path).")
        return self._lease.engine

    def _call(self, options: Mapping[str, Any], errors: Errors, timeout: float | None) -> Call:
        waiting = {"on_full": self._queue.on_full, **{name: options[name] for name in WAITING & options.keys()}}
        asked = Asked(timeout, waiting.get("client"), waiting.get("priority", 0), on_full(waiting["on_full"]))
        judged = {name: value for name, value in options.items() if name not in WAITING}
        predict, save = parse_options(judged, self._nms)
        if predict.imgsz not in (None, self._model.input.hw) and not self._model.dynamic:
            self._warn_of_fixed_size(predict.imgsz)
        return Call(self, self._engine, self._model, predict, save, errors, asked, self._max_pixels)

    def _check_size(self, size: int) -> None:
        found = self._lease.engine.capacity
        if found != size:
            self._finalizer.detach()
            self._lease.release()
            raise InvalidOption(f"size must be {found}: the file is open with such a queue, which its handles share.")

    def _warn_of_fixed_size(self, asked_hw: tuple[int, int] | None) -> None:
        if self._fixed_size_said.take():
            log.warning(
                "%s was exported for %s pixels (height, width) and keeps that size; imgsz=%s is not used. "
                "Export it with dynamic=True to choose.",
                self._model.graph.path,
                self._model.input.hw,
                asked_hw,
            )


def _queue(asked: QueuePolicy | None) -> QueuePolicy:
    if asked is None:
        return QueuePolicy()
    if not isinstance(asked, QueuePolicy):
        raise InvalidOption(f"queue must be a QueuePolicy, got {type(asked).__name__}: QueuePolicy(size=64).")
    return asked


def _heads(model: Model, nms: bool | None) -> frozenset[bool]:
    """What of `nms` this model answers to: what it does, and what it was opened with. Raises UnsupportedOption."""
    own = model.layout is not Layout.END2END
    if nms is not None and nms != own and model.graph.conversion is None:
        raise UnsupportedOption(
            f"{model.graph.path} was exported with a head that {'needs' if own else 'does'} its NMS, and can not be "
            f"opened with nms={nms}: open its checkpoint, or export that again."
        )
    return frozenset({own} if nms is None else {own, bool(nms)})


def _opened_version(model: Model, version: Hashable) -> Hashable:
    """The version of the files that all later ones are compared with. Raises InvalidModel."""
    conversion = model.graph.conversion
    if isinstance(conversion, CachedConversion) and conversion.identity != version:
        raise InvalidModel(f"{model.graph.path} was changed while it was opened; open it again.")
    return version


def _is_still(files: tuple[Path, ...], version: Hashable) -> bool:
    try:
        return file_identity(files) == version
    except OSError:
        return False


def _started(engine: Engine) -> Engine:
    engine.start()
    return engine


_NOT_OURS = frozenset({"train", "val", "tune", "benchmark", "track", "embed", "add_callback", "predictor"})
