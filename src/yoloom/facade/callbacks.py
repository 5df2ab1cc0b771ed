"""Callbacks around predictions, by the names that Ultralytics gives them."""

from __future__ import annotations

import difflib
import threading
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

from yoloom.errors import InvalidOption
from yoloom.results.results import Results
from yoloom.validation import shown
from yoloom.values import FrozenDict

EVENTS = (
    "on_predict_start",
    "on_predict_batch_start",
    "on_predict_postprocess_end",
    "on_predict_batch_end",
    "on_predict_end",
)
OTHER_EVENTS = ("on_train_", "on_val_", "on_fit_", "on_model_", "on_params_", "on_pretrain_", "teardown", "on_export_")
"""Beginnings of events that never happen here: accepted, and never called."""

Callback = Callable[[Any], object]


class Callbacks:
    """The callbacks of one handle.

    Thread safety: any number of threads; a call runs the callbacks of the moment when it is made.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()  # guards the exchange of what follows
        self.by_event: Mapping[str, tuple[Callback, ...]] = FrozenDict()  # replaced as a whole, read without the lock

    def add(self, event: str, callback: Callback) -> None:
        """Call `callback` at each `event`. Raises InvalidOption."""
        if event not in EVENTS and not str(event).startswith(OTHER_EVENTS):
            near = difflib.get_close_matches(str(event), EVENTS, n=1, cutoff=0)[0]
            raise InvalidOption(f"there is no event {shown(event)}; did you mean {near!r}?")
        if not callable(callback):
            raise InvalidOption(f"a callback must be callable, got {shown(callback)}: add_callback(event, function).")
        with self._lock:
            self.by_event = FrozenDict({**self.by_event, event: (*self.by_event.get(event, ()), callback)})

    def clear(self, event: str | None = None) -> None:
        """Forget the callbacks of an event, None for all."""
        with self._lock:
            kept = {known: calls for known, calls in self.by_event.items() if event is not None and known != event}
            self.by_event = FrozenDict(kept)


class Predictor:
    """One call, as its callbacks see it: each call has its own.

    Thread safety: one thread at a time: the thread that called `predict`, or that reads the stream.

    Attributes:
        args: The options of the call.
        model: The model's description.
        results: Results of the image at hand; what a callback puts in their place is handed out.
        batch: Paths, pictures and texts of the image at hand, in lists of one.
        save_dir: Folder of the call's files, None without any.
        seen: Number of images so far.
    """

    def __init__(self, callbacks: Mapping[str, tuple[Callback, ...]], model: Any, options: Mapping[str, Any]) -> None:
        """Run nothing yet. callbacks: by event."""
        self._callbacks = callbacks
        self.model = model
        self.args = SimpleNamespace(**options)
        self.results: Any = []
        self.batch: tuple[list[str], list[Any], list[str]] = ([], [], [])
        self.save_dir: str | None = None
        self.seen = 0

    def run_callbacks(self, event: str) -> None:
        """Call all that wait for the event. Raises what they raise."""
        for callback in self._callbacks.get(event, ()):
            callback(self)

    def observe(self, results: Results) -> Any:
        """Run the callbacks of one image, and return what is handed out for it."""
        self.seen += 1
        self.save_dir = results.save_dir
        self.batch = [results.path], [results.orig_img], [""]
        self.run_callbacks("on_predict_batch_start")
        self.results = [results]
        self.run_callbacks("on_predict_postprocess_end")
        self.run_callbacks("on_predict_batch_end")
        handed_out = list(self.results)  # programs zip the pictures to them
        return handed_out[0] if len(handed_out) == 1 else handed_out
