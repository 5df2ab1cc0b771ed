"""The facade that most people ever see: one model, any number of threads."""

from __future__ import annotations

import functools
import logging
import os
import sys
import threading
import warnings
import weakref
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace
from types import TracebackType
from typing import Any, Literal, NoReturn, overload

from yoloom.engine.insight.statistics import Statistics
from yoloom.engine.insight.watchdog import patience_of
from yoloom.engine.scheduling.queue_policy import DEFAULT_QUEUE, QueuePolicy
from yoloom.engine.scheduling.request_terms import RequestTerms
from yoloom.engine.stream import ResultStream
from yoloom.errors import EngineClosed, InvalidModel, InvalidOption, SourceNotFound, UnsupportedOption
from yoloom.facade.call import Call, Errors
from yoloom.facade.export_model import export_model, parse_export_options
from yoloom.facade.open_model import OpenModel, OpenSettings, open_model
from yoloom.formats.model import Model
from yoloom.images.decode import MAX_PIXELS
from yoloom.options import WAITING, parse_options
from yoloom.results.results import Results
from yoloom.runtime.plan import Plan
from yoloom.runtime.protocol import Guarantee
from yoloom.runtime.registry import DeviceOptions, parse_device
from yoloom.sources.image_files import expand, expand_lazily
from yoloom.sync.clock import TimeLimit
from yoloom.sync.once import Once
from yoloom.system.cpus import cpu_threads
from yoloom.validation import flag, positive, positive_seconds, shown
from yoloom.workers.process_lanes import ProcessLanes
from yoloom.workers.settings import Workers, check_count, parse_workers

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
        backend: str | None = None,
        device: Any = "cpu",
        threads: int | None = None,
        max_pixels: int = MAX_PIXELS,
        nms: bool | None = None,
        queue: QueuePolicy | None = None,
        precision: Literal["fp32", "bf16", "fp16", "tf32", "auto"] | None = None,
        debug: bool | float = False,
        plan: Plan | Literal["auto"] | None = None,
        workers: int | Workers | None = None,
        batch: int | Literal["fixed"] | None = None,
        max_wait_ms: float | None = None,
        max_memory: int | None = None,
    ) -> None:
        """Open a model file.

        model: a `.pt` checkpoint of Ultralytics, an `.onnx` file, an OpenVINO IR folder, or a published name such as
        `yolov8n.pt`. task, names: override what the file says. verbose: accepted for Ultralytics' sake. backend:
        "openvino" or "onnxruntime". threads: the CPU budget, all CPUs of this process when None. max_pixels: largest
        picture that is accepted. nms: False takes the head that needs no NMS, where a checkpoint has one (v10, 26).
        queue: how many requests may wait, and what happens to one more. The size is that of all handles on the file.
        precision: "bf16" computes with bfloat16, faster and coarser (docs/precision.md), on CPUs that do so natively;
        "auto" does on those, and is "fp32" on others. A handle pickles what was asked: "auto" is decided anew.
        debug: report to the logger `yoloom.watchdog` who holds and who waits for what, when requests are there and
        nothing has moved for so many seconds, 10 for True; for all handles on the file.
        plan: how the form for many callers is made. "auto" measures what is fastest on this machine, for some seconds
        and once (see `yoloom tune`), or a `Plan`; None leaves it to the runtime. It is that of all handles too.
        workers: so many processes run the network, each with its share of the threads, instead of this one; or
        `Workers`, which says more. See docs/workers.md.

        A checkpoint is read as data, and converted once for this user: see `yoloom cache`.

        Raises ModelNotFound, DownloadFailed, InvalidModel, UnsupportedModel, UnsupportedTask, InvalidOption,
        UnsupportedOption, UnknownDevice or BackendUnavailable. With workers also WorkersUnavailable.
        """
        self._max_pixels = positive("max_pixels", max_pixels)
        self._arguments: dict[str, Any] = {
            "task": task,
            "verbose": verbose,
            "names": names,
            "backend": backend,
            "device": device,
            "threads": threads,
            "max_pixels": max_pixels,
            "nms": nms,
            "queue": queue,
            "precision": precision,
            "debug": debug,
            "plan": plan,
            "workers": workers,
            "batch": batch,
            "max_wait_ms": max_wait_ms,
            "max_memory": max_memory,
        }
        budget = cpu_threads(threads)
        self._settings = OpenSettings(
            task,
            names,
            backend,
            parse_device(device),
            budget,
            None if nms is None else flag("nms", nms),
            _queue(queue),
            precision,
            patience_of(debug),
            _planned(plan, batch, max_wait_ms),
            parse_workers(workers, budget),
            DeviceOptions(batch == "fixed", None if max_memory is None else positive("max_memory", max_memory)),
        )
        # Guards the three below. A call reads `_opened` once, and keeps what it read.
        self._switch = threading.Lock()
        self._closed = False
        self._superseded: weakref.WeakSet[OpenModel] = weakref.WeakSet()  # swapped out, and used by calls still
        self._opened = open_model(model, self._settings)
        self._fixed_size_said = Once()

    def __del__(self, warn: Callable[..., None] = warnings.warn) -> None:
        opened = getattr(self, "_opened", None)  # None when it could not be opened
        if opened is not None and not self._closed and opened.lease.is_held and not sys.is_finalizing():
            warn(f"{self!r} was not closed: use it in a with statement, or call close()", ResourceWarning)

    @property
    def names(self) -> Mapping[int, str]:
        """Class id -> name, read-only."""
        return self.model.names

    @property
    def task(self) -> str:
        """Task of the model: detect, segment, pose, obb or classify."""
        return self.model.task

    @property
    def stride(self) -> int:
        """What height and width of the network's input are multiples of, in pixels."""
        return self.model.stride

    @property
    def device(self) -> str:
        """The device that computes: "cpu" or "cuda:N"."""
        return self._settings.device

    @property
    def model(self) -> Model:
        """What the file says: shapes, layout, metadata. Immutable."""
        return self._opened.model

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

        Options and the list of sources are checked and frozen before this returns, also for a stream; the pixels of a
        stream's arrays are copied when it reads them, a few images ahead. The same image and options give the same
        bits, whatever else runs. Raises InputError (see docs/errors.md), DeadlineExceeded, QueueFull, EngineClosed.
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

        Waits for a place when the queue is full. `cancel()` of the future takes waiting work out of the queue. At the
        deadline the future ends with DeadlineExceeded, also while the image runs: `result()`, callbacks, `wait` and
        `as_completed` hear of it then.
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

        Options are checked and frozen, and an array or a buffer of encoded bytes is copied, when this is called; a PIL
        image is read when this is awaited. A cancelled task takes its work out of the queue.
        """
        return self._call(options, "raise", timeout).awaitable(image)

    def guarantee(self) -> Guarantee:
        """What holds for results when many threads share this model."""
        return self._current().engine.guarantee()

    def statistics(self) -> Statistics:
        """What the engine behind this handle, shared by all handles on the file, did so far."""
        return self._current().engine.statistics()

    def resize(self, workers: int) -> None:
        """Have another number of worker processes from now on, for all handles on them, without refusing a request.

        Each worker then gets its new share of the threads. Returns when that is done; raises InvalidOption, or what
        keeps a new worker from being ready, and then there are as many as before. Any thread.
        """
        engine = self._current().engine
        lanes = engine.lanes
        if not isinstance(lanes, ProcessLanes):
            raise UnsupportedOption("the model was opened without workers: YOLO(path, workers=2) has some to resize.")
        count = positive("workers", workers)
        check_count(count, engine.threads)
        engine.check_process()
        lanes.resize(count)

    def close(self, drain: bool = True, timeout: float | None = None) -> None:
        """Give the handle back. The last one on a file ends its engine, and waits for that.

        drain: what waits is still run, for `timeout` seconds at the most (None: as long as it takes); without it, or
        after that time, it ends with EngineClosed. Idempotent. Later calls on this handle raise EngineClosed; other
        handles go on.
        """
        patience = TimeLimit(positive_seconds(timeout))
        if not self._opened.lease.is_ours:
            # A forked child has nothing to give back, and the lock may be that of a thread which is not here.
            self._closed = True
            return
        with self._switch:
            self._closed = True
            all_opened = [self._opened, *self._superseded]
        for opened in all_opened:
            opened.release(drain, patience.left)

    def swap(self, model: str | os.PathLike[str]) -> None:
        """Go on with another file of the same task, while any number of threads predict.

        It is opened as this handle was, and warmed up, beside the old one; a file that can not be opened changes
        nothing. Calls that were made before, streams too, end on the old model, which is given back after the last of
        them; all later ones run on the new one. Other handles keep their model. Raises what opening a file raises,
        InvalidOption for another task, EngineClosed, and ForkedEngine.
        """
        self._go_on_with(model, self._settings)

    def _go_on_with(self, model: str | os.PathLike[str], settings: OpenSettings) -> None:
        """Open a file beside the present one, and send all later calls to it."""
        old = self._current()
        old.engine.check_process()
        lanes = old.engine.lanes
        workers = lanes.settings if isinstance(lanes, ProcessLanes) else None
        new = open_model(model, replace(settings, workers=workers))
        try:
            if new.model.task != old.model.task:
                raise InvalidOption(f"swap needs a model for {old.model.task}, got {model} for {new.model.task}.")
            if old.engine.lanes.serves_many:
                new.engine.expect_many()
            with self._switch:
                self._superseded.add(self._current())
                self._opened, self._settings = new, settings
        except BaseException:
            new.release()
            raise

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
        opened = self._opened
        path = opened.model.graph.path
        if options.nms is None and opened.model.graph.is_checkpoint and False in opened.nms:
            options = replace(options, nms=False)
        if not opened.is_unchanged():
            raise InvalidModel(f"{path} was changed while it is open; open it again with YOLO(path).")
        return os.fspath(export_model(path, options))

    def to(self, device: Any) -> YOLO:
        """Go on on another device, as `swap` goes on with another file, and return this object.

        Args:
            device: "cpu", "cuda", "cuda:N", the number of a GPU, or a `torch.device`.

        Raises:
            UnknownDevice: There is no such device.
            YoloomError: As listed for `YOLO`.
        """
        wanted = parse_device(device)
        if wanted != self._settings.device:
            settings = replace(self._settings, device=wanted, backend=None, precision=None)
            self._go_on_with(self._current().model.graph.path, settings)
            self._arguments.update(device=wanted, backend=None, precision=None)
        return self

    def fuse(self) -> YOLO:
        """The same object: a loaded model is fused already."""
        return self

    def __enter__(self) -> YOLO:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close(drain=error is None)  # an interrupt must not wait for what nobody will fetch

    def __reduce__(self) -> tuple[Any, ...]:
        return functools.partial(YOLO, self.model.graph.path, **self._arguments), ()

    def __repr__(self) -> str:
        return f"YOLO({str(self.model.graph.path)!r}, task={self.task!r}, classes={len(self.names)})"

    def __getattr__(self, name: str) -> NoReturn:
        hint = ": yoloom runs models; train and validate them with Ultralytics" if name in _NOT_OURS else ""
        raise AttributeError(f"YOLO has no attribute {name!r}{hint}.")

    def _current(self) -> OpenModel:
        if self._closed:
            raise EngineClosed("this handle is closed; open the model again with YOLO(path).")
        return self._opened

    def _call(self, options: Mapping[str, Any], errors: Errors, timeout: float | None) -> Call:
        opened = self._current()
        queue = self._settings.queue or DEFAULT_QUEUE
        client = options.get("client")
        terms = RequestTerms.parse(timeout, client, options.get("priority", 0), options.get("on_full", queue.on_full))
        if "device" in options and self.device != "cpu" and parse_device(options["device"]) == self.device:
            options = {name: value for name, value in options.items() if name != "device"}
        if not WAITING.isdisjoint(options):
            options = {name: value for name, value in options.items() if name not in WAITING}
        predict, save = parse_options(options, opened.nms)
        if predict.imgsz not in (None, opened.model.input.hw) and not opened.model.dynamic:
            self._warn_of_fixed_size(opened.model, predict.imgsz)
        return Call(opened, predict, save, errors, terms, self._max_pixels, client is not None)

    def _warn_of_fixed_size(self, model: Model, asked_hw: tuple[int, int] | None) -> None:
        if self._fixed_size_said.take():
            log.warning(
                "%s was exported for %s pixels (height, width) and keeps that size; imgsz=%s is not used. "
                "Export it with dynamic=True to choose.",
                model.graph.path,
                model.input.hw,
                asked_hw,
            )


def _queue(asked: QueuePolicy | None) -> QueuePolicy | None:
    if asked is not None and not isinstance(asked, QueuePolicy):
        raise InvalidOption(f"queue must be a QueuePolicy, got {type(asked).__name__}: QueuePolicy(size=64).")
    return asked


def _planned(value: Any, batch: Any, max_wait_ms: Any) -> Plan | Literal["auto"] | None:
    """Read the plan, which `batch` and `max_wait_ms` are a short way to."""
    size = None if batch == "fixed" else batch
    if size is not None or max_wait_ms is not None:
        if value is not None:
            raise InvalidOption("plan says batch and max_wait_ms too: give either plan, or those two.")
        return Plan(batch=size, max_wait_ms=max_wait_ms)
    if value is None or isinstance(value, Plan):
        return value
    if isinstance(value, str) and value == "auto":
        return "auto"
    raise InvalidOption(f"plan must be 'auto', a Plan or None, got {shown(value)}: Plan(streams=1, batch=2).")


_NOT_OURS = frozenset({"train", "val", "tune", "benchmark", "track", "embed", "add_callback", "predictor"})
