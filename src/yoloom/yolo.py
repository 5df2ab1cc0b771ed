"""The class that most users need: one model, any number of callers."""

from __future__ import annotations

import builtins
import functools
import logging
import os
import re
import sys
import threading
import warnings
import weakref
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, NoReturn, overload

import numpy as np

from yoloom.engine.insight.statistics import Statistics
from yoloom.engine.insight.watchdog import patience_of
from yoloom.engine.scheduling.queue_policy import DEFAULT_QUEUE, QueuePolicy
from yoloom.engine.scheduling.request_terms import RequestTerms
from yoloom.engine.stream import ResultStream
from yoloom.errors import (
    EngineClosed,
    InvalidModel,
    InvalidOption,
    SourceNotFound,
    UnsupportedOption,
    YoloomError,
)
from yoloom.facade.call import Call, Errors
from yoloom.facade.call_options import CallOptions
from yoloom.facade.callbacks import Callback, Callbacks, Predictor
from yoloom.facade.elsewhere import missing_member
from yoloom.facade.export_model import export_model, parse_export_options
from yoloom.facade.open_model import OpenModel, OpenSettings, open_model
from yoloom.facade.output_folder import OutputFolders
from yoloom.facade.overrides import Defaults, Overrides
from yoloom.formats.model import Model
from yoloom.images.decode import MAX_PIXELS
from yoloom.options import SAVES_NOTHING, WAITING, parse_options
from yoloom.results.results import Results
from yoloom.runtime.plan import Plan
from yoloom.runtime.protocol import Guarantee
from yoloom.runtime.registry import DeviceOptions, has_device, parse_device
from yoloom.sources.image_files import FoundFile, expand, expand_lazily
from yoloom.sync.clock import TimeLimit
from yoloom.sync.once import Once
from yoloom.system.cpus import cpu_threads
from yoloom.validation import flag, positive, positive_seconds, shown
from yoloom.values import DeviceName
from yoloom.workers.process_lanes import ProcessLanes
from yoloom.workers.settings import Workers, check_count, parse_workers

if TYPE_CHECKING:
    from typing_extensions import Unpack

log = logging.getLogger("yoloom")


class YOLO:
    """A YOLO model, ready to predict.

    The first `YOLO(file)` of a process reads, compiles and warms up; every further one is a handle on the same weights.
    From then on nothing about the model changes. It pickles as a recipe (path and options), and is opened again where
    it is unpickled.

    Thread safety: any number of threads, asyncio tasks and nested calls.
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
        debug: bool | builtins.float = False,
        plan: Plan | Literal["auto"] | None = None,
        workers: int | Workers | None = None,
        batch: int | Literal["fixed"] | None = None,
        max_wait_ms: builtins.float | None = None,
        max_memory: int | None = None,
        layout: str | None = None,
        mutable_results: bool = False,
    ) -> None:
        """Open a model file. A checkpoint is read as data and converted once for each user, see `yoloom cache`.

        Args:
            model: A `.pt` checkpoint of Ultralytics, an `.onnx` file, an OpenVINO IR folder, or a published name such
                as "yolov8n.pt".
            task: Task of the model, if the file does not say or says it wrongly.
            verbose: Accepted for compatibility with Ultralytics; nothing is printed.
            names: Class names, by id or in order, in place of those in the file.
            backend: Name of the runtime, one of `yoloom.runtime.registry.BACKENDS`; None for the device's own.
            device: "cpu", "cuda", "cuda:1", the number of a GPU, or a `torch.device`.
            threads: Most CPUs to compute with; None for all CPUs that this process may use.
            max_pixels: Pixels of the largest picture to accept.
            nms: False for the head that needs no NMS, where a checkpoint has one (v10, 26).
            queue: Size of the queue in requests and bytes, and what happens when it is full. Handles on the same file
                share the queue.
            precision: Number format to compute with. None for float32 on a CPU and half precision on a GPU; "auto" for
                the fastest that the device has natively. See docs/precision.md.
            debug: True to report to the logger `yoloom.watchdog` when requests are there and nothing has moved for 10
                seconds; a number for other seconds. It holds for all handles on the file.
            plan: How many callers at once are served: a `Plan`, or "auto" to measure it once for some seconds, see
                `yoloom tune`. None leaves it to the runtime. Handles on the same file share the plan.
            workers: Number of processes that run the network in place of this one, or a `Workers` with more settings.
                Each has its share of the threads. See docs/workers.md.
            batch: Most images in one batch, as in `Plan`; "fixed" runs all in batches of one size, for a GPU.
            max_wait_ms: Longest wait of an idle lane for a fuller batch, as in `Plan`.
            max_memory: Most bytes of the GPU that the models of this process may hold together.
            layout: The form of the network's first output, where the file does not prove it: "raw", "transposed",
                "objectness", "yolox", "yolox-decoded", "end2end", "rows" or "logits". See docs/formats.md.
            mutable_results: True for `MutableResults`, which their caller may change: for programs that write to
                results and can not be changed. Each is a copy of its own.

        Raises:
            ModelNotFound: There is no such file, and no published model of this name.
            DownloadFailed: The published file did not arrive whole.
            InvalidModel: The file is damaged, or holds no YOLO network.
            InvalidOutput: The network gives numbers that are no answer.
            UnsupportedModel: The file is sound, and yoloom or this backend can not run it, or it could be read in more
                ways than one: the message names the argument that settles it.
            UnsupportedTask: The file is for a task that yoloom does not do.
            InvalidOption: An argument is of the wrong type or out of range.
            UnsupportedOption: An argument is not available on this machine, for this backend or this file.
            UnknownDevice: There is no such device.
            BackendUnavailable: A package is not installed.
            WorkersUnavailable: The worker processes do not start.
            GreenThreads: gevent or eventlet has replaced the threads of this process.
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
            "layout": layout,
            "mutable_results": mutable_results,
        }
        budget = cpu_threads(threads)
        if isinstance(task, str) and re.fullmatch(r"v\d{1,2}", task):
            task = None  # YOLO("yolov8n.pt", "v8"), as early versions of Ultralytics wanted it
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
            layout,
        )
        # Guards the three below. A call reads `_opened` once, and keeps what it read.
        self._switch = threading.Lock()
        self._closed = False
        self._superseded: weakref.WeakSet[OpenModel] = weakref.WeakSet()  # swapped out, and used by calls still
        self._opened = open_model(model, self._settings)
        self._fixed_size_said = Once()
        self._defaults = Defaults()
        self._callbacks = Callbacks()
        self._is_mutable = flag("mutable_results", mutable_results)
        self._outputs = OutputFolders()

    def __del__(self, warn: Callable[..., None] = warnings.warn) -> None:
        opened = getattr(self, "_opened", None)  # None when it could not be opened
        if opened is not None and not self._closed and opened.lease.is_held and not sys.is_finalizing():
            warn(f"{self!r} was not closed: use it in a with statement, or call close()", ResourceWarning)

    @property
    def names(self) -> Mapping[int, str]:
        """Class names by id, read-only."""
        return self.model.names

    @property
    def task(self) -> str:
        """Task of the model: detect, segment, pose, obb or classify."""
        return self.model.task

    @property
    def stride(self) -> int:
        """Number of pixels that height and width of the network's input must be multiples of."""
        return self.model.stride

    @property
    def device(self) -> DeviceName:
        """Device that computes: "cpu" or "cuda:N", with `type` and `index` as a `torch.device` has them."""
        return DeviceName(self._settings.device)

    @property
    def model(self) -> Model:
        """Description of the file: shapes, layout, metadata. Immutable."""
        return self._opened.model

    @property
    def ckpt_path(self) -> str:
        """Path of the model's file."""
        return os.fspath(self.model.graph.path)

    @property
    def model_name(self) -> str:
        """Path of the model's file, as `ckpt_path`."""
        return self.ckpt_path

    @property
    def overrides(self) -> Overrides:
        """Options that calls on this handle take where they give none: `model.overrides["conf"] = 0.4`.

        A call has the options of the moment when it is made. Other handles on the file have their own.
        """
        facts = {"model": self.ckpt_path, "task": self.task, "imgsz": max(self.model.imgsz_hw)}
        return Overrides(self._defaults, facts, self._check_options)

    @property
    def callbacks(self) -> Mapping[str, Sequence[Callback]]:
        """The callbacks by event, read-only: see `add_callback`."""
        return self._callbacks.by_event

    @property
    def predictor(self) -> None:
        """None: each call has its own, which callbacks are given."""

    def add_callback(self, event: str, func: Callback) -> None:
        """Have `predict` on this handle call a function, in the thread that called it or that reads the stream.

        A call runs the callbacks of the moment when it is made. `submit`, `map` and `predict_async` run none.

        Args:
            event: "on_predict_start", "on_predict_batch_start", "on_predict_postprocess_end", "on_predict_batch_end" or
                "on_predict_end". Events of training are accepted, and never happen.
            func: Is given a `Predictor` with args, results, batch, save_dir and seen. It may be called in several
                threads at once, for calls that are under way together.

        Raises:
            InvalidOption: There is no such event, or the function can not be called.
        """
        self._callbacks.add(event, func)

    def clear_callback(self, event: str) -> None:
        """Forget the callbacks of an event."""
        self._callbacks.clear(event)

    def reset_callbacks(self) -> None:
        """Forget all callbacks."""
        self._callbacks.clear()

    def info(self, detailed: bool = False, verbose: bool = True) -> str:
        """Describe the model in one line, and write it to the log.

        Args:
            detailed: Accepted for compatibility with Ultralytics; `yoloom info` says more.
            verbose: Whether to write it to the log.
        """
        model = self.model
        size = "any size" if model.dynamic else "x".join(map(str, model.input.hw or ()))
        line = f"{model.graph.path.name}: {model.task}, {len(model.names)} classes, {size}, on {self.device}"
        if verbose:
            log.info("%s", line)
        return line

    @overload
    def predict(
        self,
        source: Any = None,
        stream: Literal[False] = False,
        *,
        errors: Literal["raise"] | None = None,
        timeout: builtins.float | None = None,
        **options: Unpack[CallOptions],
    ) -> list[Results]: ...
    @overload
    def predict(
        self,
        source: Any = None,
        stream: Literal[False] = False,
        *,
        errors: Literal["return"],
        timeout: builtins.float | None = None,
        **options: Unpack[CallOptions],
    ) -> list[Results | YoloomError]: ...
    @overload
    def predict(
        self,
        source: Any,
        stream: Literal[True],
        *,
        errors: Literal["raise"] | None = None,
        timeout: builtins.float | None = None,
        **options: Unpack[CallOptions],
    ) -> ResultStream[Results]: ...
    @overload
    def predict(
        self,
        source: Any = None,
        *,
        stream: Literal[True],
        errors: Literal["raise"] | None = None,
        timeout: builtins.float | None = None,
        **options: Unpack[CallOptions],
    ) -> ResultStream[Results]: ...
    @overload
    def predict(
        self,
        source: Any = None,
        *,
        stream: Literal[True],
        errors: Literal["return"],
        timeout: builtins.float | None = None,
        **options: Unpack[CallOptions],
    ) -> ResultStream[Results | YoloomError]: ...
    @overload
    def predict(
        self,
        source: Any = None,
        stream: bool = False,
        *,
        errors: Errors = None,
        timeout: builtins.float | None = None,
        **options: Unpack[CallOptions],
    ) -> Any: ...
    def predict(
        self,
        source: Any = None,
        stream: bool = False,
        *,
        errors: Errors = None,
        timeout: builtins.float | None = None,
        **options: Unpack[CallOptions],
    ) -> Any:
        """Predict one image, or each of several. The same image and options give the same bits, whatever else runs.

        Options and the list of sources are checked and frozen before this returns, also for a stream. A stream copies
        the pixels of an array when it reads it, a few images ahead.

        Args:
            source: A path, a folder, a pattern, a .txt or .csv file that lists sources, encoded bytes or a file that is
                open, a PIL image, an array (H, W, 3) uint8 in BGR order (or gray, BGRA, 16 bit), a tensor of PyTorch
                (B, 3, H, W) in RGB order, or a list of these.
            stream: Return a `ResultStream`, which works a few images ahead, in place of a list.
            errors: "raise" to raise one `PartialFailure`, with the results of the others, if some of several images
                fail; "return" to put the errors into the list. None to raise as well, but for a file that the caller
                did not name, in a folder, for a pattern or in a list: if it is no usable image, it is left out with a
                `SourceWarning`.
            timeout: Seconds for the whole call, or for each image of a stream; None for no limit.
            **options: Options of the prediction, as in Ultralytics: conf, iou, imgsz, rect, max_det, classes,
                agnostic_nms, retina_masks. Options of saving: save, save_txt, save_conf, save_crop, show, show_labels,
                show_conf, show_boxes, line_width, project, name, exist_ok. Options of waiting: `client` (a text, a
                number or a `Client` with a weight) takes turns with the other clients, the calling thread or task by
                default; the highest `priority` among the requests of a client goes first; `on_full` is "wait",
                "reject", "drop_oldest" or "latest" in place of the queue's own.

        Returns:
            `Results` of each image, in order.

        Raises:
            InputError: An image, an option or a path can not be used; see docs/errors.md.
            PartialFailure: Some of several images failed.
            DeadlineExceeded: The time ran out.
            QueueFull: The queue is full, and `on_full` is not to wait.
            EngineClosed: The model was closed.
        """
        if source is None:
            raise SourceNotFound(
                "predict needs a source: a path, a folder, bytes, a PIL image, an array, or a list; got None, which "
                "cv2.imread returns for a file that is not there, or that it can not read."
            )
        images = [source] if isinstance(source, np.ndarray) else expand(source)
        callbacks = self._callbacks.by_event
        predictor = Predictor(callbacks, self.model, {**self.overrides, **options}) if callbacks else None
        call = self._call(options, errors, timeout, predictor)
        if predictor is not None:
            predictor.run_callbacks("on_predict_start")
        if stream:
            return call.stream(images)
        if len(images) == 1 and errors != "return" and not isinstance(images[0], FoundFile):
            return [call.now(images[0])]
        return call.all(images)

    __call__ = predict

    def submit(
        self, image: Any, *, timeout: builtins.float | None = None, **options: Unpack[CallOptions]
    ) -> Future[Results]:
        """Predict one image in the background.

        Blocks while the queue is full and `on_full` is to wait. The caller may reuse an array as soon as this returns.

        Args:
            image: A single image, see `predict`.
            timeout: Seconds until the future ends with DeadlineExceeded, even while the image runs: `result()`,
                callbacks, `wait` and `as_completed` all see it then. None for no limit.
            **options: See `predict`.

        Returns:
            A future. `cancel()` takes the request out of the queue.

        Raises:
            YoloomError: As for `predict`, for all that is known before the image is decoded.
        """
        return self._call(options, "raise", timeout).later(image)

    @overload
    def map(
        self,
        images: Iterable[Any],
        *,
        errors: Literal["raise"] | None = None,
        timeout: builtins.float | None = None,
        **options: Unpack[CallOptions],
    ) -> ResultStream[Results]: ...
    @overload
    def map(
        self,
        images: Iterable[Any],
        *,
        errors: Literal["return"],
        timeout: builtins.float | None = None,
        **options: Unpack[CallOptions],
    ) -> ResultStream[Results | YoloomError]: ...
    def map(
        self,
        images: Iterable[Any],
        *,
        errors: Errors = None,
        timeout: builtins.float | None = None,
        **options: Unpack[CallOptions],
    ) -> ResultStream[Any]:
        """Predict many images, in order.

        Args:
            images: Images, folders, patterns or `Frame` objects. Read lazily, a few images ahead of the consumer.
            errors: "raise" to raise the error of an image from `next`, after which the iteration can go on; "return" to
                return it in place of the result; None as in `predict`.
            timeout: Seconds for each image; None for no limit.
            **options: See `predict`.

        Returns:
            An iterator over the results.

        Raises:
            YoloomError: As for `predict`.
        """
        return self._call(options, errors, timeout).stream(expand_lazily(images))

    def predict_async(
        self, image: Any, *, timeout: builtins.float | None = None, **options: Unpack[CallOptions]
    ) -> Coroutine[Any, Any, Results]:
        """Predict one image without blocking the event loop: `result = await model.predict_async(image)`.

        Options are checked and frozen, and an array or a buffer of encoded bytes is copied, when this is called; a PIL
        image is read when the coroutine is awaited. Cancelling the task takes the request out of the queue.

        Args:
            image: A single image, see `predict`.
            timeout: Seconds from this call on; None for no limit.
            **options: See `predict`.

        Returns:
            A coroutine that returns `Results`.

        Raises:
            YoloomError: As for `predict`.
        """
        return self._call(options, "raise", timeout).awaitable(image)

    def guarantee(self) -> Guarantee:
        """Say whether results are bit-identical however many threads share this model, and why."""
        return self._current().engine.guarantee()

    def statistics(self) -> Statistics:
        """Take a snapshot of the counts and times of the engine, which all handles on the file share."""
        return self._current().engine.statistics()

    def resize(self, workers: int) -> None:
        """Change the number of worker processes for all handles on them, without refusing a request.

        Each worker then gets its new share of the threads.

        Args:
            workers: The new number.

        Raises:
            InvalidOption: The number is none, or larger than the number of threads.
            UnsupportedOption: The model has no workers.
            YoloomError: A new worker does not start; there are as many as before.
        """
        engine = self._current().engine
        lanes = engine.lanes
        if not isinstance(lanes, ProcessLanes):
            raise UnsupportedOption("the model was opened without workers: YOLO(path, workers=2) has some to resize.")
        count = positive("workers", workers)
        check_count(count, engine.threads)
        engine.check_process()
        lanes.resize(count)

    def close(self, drain: bool = True, timeout: builtins.float | None = None) -> None:
        """Give the handle back. The last handle on a file ends its engine and waits for that. Idempotent.

        Later calls on this handle raise EngineClosed; other handles go on.

        Args:
            drain: Run first what waits. Otherwise it ends with EngineClosed.
            timeout: Most seconds to wait, after which everything ends with EngineClosed; None for no limit.
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

        The new file is opened as this handle was, and warmed up, beside the old one. Calls that were made before,
        streams too, end on the old model, which is given back after the last of them; all later calls run on the new
        one. Other handles keep their model. If this raises, nothing has changed.

        Args:
            model: See `YOLO`.

        Raises:
            InvalidOption: The file is for another task.
            EngineClosed: This handle is closed.
            ForkedEngine: This handle was opened in another process.
            YoloomError: As listed for `YOLO`.
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
        """Write the model in another format. The handle may be closed.

        Args:
            format: "onnx" for NAME.onnx, from a checkpoint; "openvino" for the folder NAME_openvino_model, also from an
                `.onnx` file. Both are beside the model, or in the working folder for a model that was downloaded.
            imgsz: Height and width in pixels, or one number for both; None for those of the training.
            dynamic: Allow any batch, height and width. False, the default as in Ultralytics, fixes them.
            half: Store weights of 16 bits.
            batch: Images at once of a fixed network.
            nms: False for the head that needs no NMS; None for the one that the handle was opened with.
            **others: Other options of Ultralytics, with the values that ask for nothing.

        Returns:
            The path that was written.

        Raises:
            ModelError: The model can not be exported, or its file was changed since it was opened.
            InvalidOption: An option is wrong, or the target can not be written.
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

        The backend that was asked for stays where it has that device. Of the precisions, "fp32" and "auto" stay, which
        every device has; others give way to the default of the new one.

        Args:
            device: "cpu", "cuda", "cuda:N", the number of a GPU, or a `torch.device`.

        Raises:
            UnknownDevice: There is no such device.
            YoloomError: As listed for `YOLO`.
        """
        wanted, old = parse_device(device), self._settings
        if wanted != old.device:
            changes: dict[str, Any] = {
                "device": wanted,
                "backend": old.backend if has_device(old.backend, wanted) else None,
                "precision": old.precision if old.precision in ("fp32", "auto") else None,
            }
            self._go_on_with(self._current().model.graph.path, replace(old, **changes))
            self._arguments.update(changes)
        return self

    def fuse(self) -> YOLO:
        """Return the same object: an open model is fused, evaluates only, and keeps the number format it has."""
        return self

    half = float = cpu = eval = share_memory = fuse

    def cuda(self, device: Any = 0) -> YOLO:
        """Go on on a GPU, see `to`."""
        return self.to(device)

    def __enter__(self) -> YOLO:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close(drain=error is None)  # an interrupt must not wait for what nobody will fetch

    def __reduce__(self) -> tuple[Any, ...]:
        return functools.partial(YOLO, self.model.graph.path, **self._arguments), (), dict(self._defaults.chosen)

    def __setstate__(self, overrides: Mapping[str, Any]) -> None:
        self.overrides.update(overrides)

    def __repr__(self) -> str:
        return f"YOLO({str(self.model.graph.path)!r}, task={self.task!r}, classes={len(self.names)})"

    if not TYPE_CHECKING:  # or checkers would take any name

        def __getattr__(self, name: str) -> NoReturn:
            raise missing_member("YOLO", name)

    def _current(self) -> OpenModel:
        if self._closed:
            raise EngineClosed("this handle is closed; open the model again with YOLO(path).")
        return self._opened

    def _check_options(self, options: Mapping[str, Any]) -> None:
        RequestTerms.parse(None, options.get("client"), options.get("priority", 0), options.get("on_full", "wait"))
        parse_options({name: value for name, value in options.items() if name not in WAITING}, self._opened.nms)

    def _call(
        self,
        options: Mapping[str, Any],
        errors: Errors,
        timeout: builtins.float | None,
        predictor: Predictor | None = None,
    ) -> Call:
        opened = self._current()
        defaults = self._defaults.chosen
        if defaults:
            options = {**defaults, **options}
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
        output = None if save is SAVES_NOTHING else self._outputs.find(save, opened.model.task)
        named, mutable = client is not None, self._is_mutable
        return Call(opened, predict, save, errors, terms, self._max_pixels, named, output, predictor, mutable)

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
