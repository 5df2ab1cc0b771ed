"""The errors of yoloom: one class for each situation, with whose fault it is and the HTTP status it maps to.

```
YoloomError
├── InputError            the caller's image, option or path
│   ├── SourceNotFound, NoImagesFound, UnsupportedSource
│   ├── InvalidImage ── ImageDecodeError, ImageTooLarge
│   ├── InvalidOption ── UnknownOption, UnsupportedOption, UnknownClass, UnknownDevice
│   └── UnsupportedFeature
├── ModelError            the model file
│   ├── ModelNotFound, InvalidModel, InvalidOutput, DownloadFailed
│   └── UnsupportedModel ── UnsupportedTask
├── PartialFailure        some images of one call failed, the others have their results
├── EngineError           the request did not get its result
│   ├── QueueFull ── Dropped
│   ├── DeadlineExceeded, Cancelled, EngineClosed, ForkedEngine, GreenThreads
│   ├── RuntimeFailed, ContextBusy
│   └── WorkerCrashed, WorkersUnavailable, SharedMemoryFull
├── TargetError           the target of `yoloom verify`
│   └── InvalidTarget, TargetFailed
└── BackendUnavailable    a runtime that is not installed
```

Each message says what was expected, what was given, and what to do, on one screen; `args` has the whole text of longer
ones. Errors are plain values: they pickle, and any thread may hold them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

LONGEST_MESSAGE = 1500
"""Characters of a message: a screen has 80 x 24."""


def shortened(text: object, most: int = LONGEST_MESSAGE) -> str:
    """Return a text of at most `most` characters. Its end, which has the way out, stays as well as its beginning."""
    whole = str(text)
    if len(whole) <= most:
        return whole
    mark = f" [... {len(whole)} characters ...] "
    head = (most - len(mark)) * 2 // 3
    return whole[:head] + mark + whole[head + len(mark) - most :]


class SourceWarning(UserWarning):
    """Part of a source is not predicted: a torn file in a folder, videos in it, further frames of an animation."""


class YoloomError(Exception):
    """Base of the errors that a request, an image, an option or a model file can end in."""

    http_status: ClassVar[int] = 500

    def __str__(self) -> str:
        return shortened(super().__str__())


class InputError(YoloomError, ValueError):
    """The caller's input can not be used. Nothing was executed for it."""

    http_status = 422


class SourceNotFound(InputError, FileNotFoundError):
    """A path or pattern that names no file."""

    http_status = 404


class NoImagesFound(InputError):
    """A folder or pattern without a single image in it."""

    http_status = 404


class UnsupportedSource(InputError):
    """A kind of source that yoloom does not read."""

    http_status = 501


class InvalidImage(InputError):
    """An array of the wrong type, shape or size, or a value that is no image at all."""


class ImageDecodeError(InvalidImage):
    """Bytes that are not an image, or an image that ends too early."""


class ImageTooLarge(InvalidImage):
    """More pixels than `max_pixels`; checked before the memory is taken."""

    http_status = 413


class InvalidOption(InputError):
    """An option of the wrong type, out of range, or not a number."""


class UnknownOption(InvalidOption, TypeError):
    """An option that does not exist; the message suggests the nearest one."""


class UnsupportedOption(InvalidOption):
    """An option that yoloom knows and does not have, or not on this machine."""

    http_status = 501


class UnknownClass(InvalidOption):
    """A class that the model does not have."""


class UnknownDevice(InvalidOption):
    """A device that does not exist on this machine or for this backend."""


class UnsupportedFeature(InputError, AttributeError):
    """A method or class of Ultralytics that yoloom does not have."""

    http_status = 501


class PartialFailure(InputError):
    """Some images of one call failed; the others have their results.

    Args:
        results: one entry for each image in the order of the call, None where it failed.
        errors: the error of each image that failed, by its position.
    """

    def __init__(self, results: Sequence[Any], errors: Mapping[int, YoloomError]) -> None:
        super().__init__(results, errors)
        self.results = list(results)
        self.errors = dict(errors)

    def __str__(self) -> str:
        lines = [f"{len(self.errors)} of {len(self.results)} images failed; the others are in .results:"]
        first = list(self.errors.items())[:5]
        lines += [f"  [{index}] {type(error).__name__}: {shortened(error, 250)}" for index, error in first]
        return "\n".join(lines + ["  ..."] * (len(self.errors) > 5))


class ModelError(YoloomError):
    """The model file can not be used."""

    http_status = 422


class ModelNotFound(ModelError, FileNotFoundError):
    """Neither a local path nor a name that can be downloaded."""

    http_status = 404


class InvalidModel(ModelError, ValueError):
    """A file that is corrupt, cut short, contradicts itself, or is not a YOLO network."""


class InvalidOutput(ModelError, ArithmeticError):
    """The network gave numbers that are no answer: scores outside 0..1, NaN, infinity, boxes far outside."""

    http_status = 500


class UnsupportedModel(ModelError):
    """A sound file of a kind that yoloom does not read."""

    http_status = 501


class UnsupportedTask(UnsupportedModel):
    """A YOLO network for a task that yoloom does not do."""


class DownloadFailed(ModelError, OSError):
    """The file could not be fetched whole from its publisher."""

    http_status = 502


class EngineError(YoloomError):
    """The request ended without a result, through no fault of its image."""


class QueueFull(EngineError):
    """The queue refused the request: nothing was executed for it. Come back later."""

    http_status = 429


class Dropped(QueueFull):
    """The request was in the queue, and made room for a newer one, as the queue's policy says. Nothing was executed."""


class DeadlineExceeded(EngineError, TimeoutError):
    """The request's time ran out before its result was there."""

    http_status = 504


class Cancelled(EngineError):
    """The caller took the request back."""

    http_status = 499


class EngineClosed(EngineError):
    """The model was closed before the request was done, or before it was made."""

    http_status = 503


class ForkedEngine(EngineError):
    """This handle was opened in another process: its threads do not exist here. Open the model after the fork."""


class GreenThreads(EngineError):
    """A library has put greenlets in the place of threads. Serve with threads, or with processes."""

    http_status = 501


class RuntimeFailed(EngineError):
    """The runtime failed, or there was no memory or no thread; the message holds its own, and names the limits."""

    http_status = 503


class ContextBusy(EngineError):
    """A second thread used a context that belongs to one thread at a time."""


class WorkerCrashed(EngineError):
    """The request's image ended two worker processes one after the other; the others' requests go on.

    Args:
        message: the error's text.
        exits: how they ended, as in `subprocess`: minus the signal's number, or the exit status; None where it is not
            known.
    """

    http_status = 503

    def __init__(self, message: str = "", exits: Sequence[int | None] = ()) -> None:
        super().__init__(message, tuple(exits))
        self.exits = tuple(exits)

    def __str__(self) -> str:
        return shortened(self.args[0])


class WorkersUnavailable(EngineError):
    """No worker process lives, and none is started for now: too many ended in a short time."""

    http_status = 503


class SharedMemoryFull(EngineError):
    """An image found no room in the memory that this process shares with its workers."""

    http_status = 507


class TargetError(YoloomError):
    """The target of `yoloom verify` can not be checked."""

    http_status = 422


class InvalidTarget(TargetError):
    """A target that can not be imported or called, or whose answers can not be compared."""


class TargetFailed(TargetError):
    """The target raised when it was made, or for every image; the message and `__cause__` hold its error."""

    http_status = 500


class BackendUnavailable(YoloomError, ImportError):
    """A backend, or a library, whose package is not installed, or too old; the message says how to install it."""

    http_status = 501
