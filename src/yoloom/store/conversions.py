"""Checkpoints as files that runtimes read: each content is converted once, by whichever thread asks first.

```
path ─▶ known version? ─▶ SHA-256 of its content ─▶ in the cache? ─▶ convert ─▶ cache, or memory where there is none
        └ once for each file and head ┘            └────────── once for each content and head ──────────┘
```
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import io
import logging
import threading
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from pathlib import Path

from yoloom._version import __version__
from yoloom.errors import InvalidModel, ModelError
from yoloom.formats.checkpoint.checkpoint_file import CONVERTER, errors_about, mapped_checkpoint
from yoloom.formats.model import ModelFile
from yoloom.formats.protobuf import forget
from yoloom.store.conversion_cache import ConversionCache, Write, conversion_cache
from yoloom.sync.fork import after_fork_in_child
from yoloom.sync.once import SingleFlight
from yoloom.system.files import file_identity

_log = logging.getLogger("yoloom.cache")


@dataclass(frozen=True, eq=False)
class ConvertedFile:
    """A converted network: a file of the cache, verified when this was made, or memory where there is no cache.

    Shared by all models of this process that have the same content, for as long as one of them is open. Immutable.
    Thread safety: any number of threads.

    Attributes:
        key: The content of the checkpoint, the head and the converter, as 64 hexadecimal digits.
        network: The path of an ONNX file, or the bytes of one.
        version: The version of that file that was verified, None for bytes.
    """

    key: str
    network: Path | bytes
    version: Hashable = None

    def is_current(self) -> bool:
        """Whether the network is still the one that was verified. Reads nothing of it."""
        if isinstance(self.network, bytes):
            return True
        try:
            return file_identity((self.network,)) == self.version
        except OSError:  # somebody cleared the cache
            return False


@dataclass(frozen=True)
class CheckpointFile(ModelFile):
    """One version of a checkpoint file, with its conversion. Pickles as the file to convert.

    Immutable. Thread safety: any number of threads.

    Attributes:
        one_to_one: Whether its network ends with the head that needs no NMS.
        version: The version of the file that was converted.
        converted: The conversion that was there when the file was opened.
    """

    one_to_one: bool
    version: Hashable = field(compare=False)
    converted: ConvertedFile = field(compare=False, repr=False)

    @property
    def is_checkpoint(self) -> bool:
        """True: a runtime reads the conversion of this file."""
        return True

    def network(self) -> Path | bytes:
        """Return the converted network, verified; converted again when its file is gone or damaged.

        Raises:
            InvalidModel: It has to be converted again, and the checkpoint has changed since it was opened.
            ModelNotFound: It has to be converted again, and the checkpoint is gone.
        """
        return _converter.current(self).network

    def __reduce__(self) -> tuple[Callable[..., CheckpointFile], tuple[Path, bool]]:
        return checkpoint_file, (self.path, self.one_to_one)


class Converter:
    """The conversions of a process. Thread safety: any number of threads."""

    def __init__(self, find_cache: Callable[[], ConversionCache | None] = conversion_cache) -> None:
        """Know of nothing yet. `find_cache` returns where conversions are kept, None to keep them in memory."""
        self._find_cache = find_cache
        self._by_version: SingleFlight[Hashable, ConvertedFile] = SingleFlight()
        self._by_content: SingleFlight[Hashable, ConvertedFile] = SingleFlight()
        self._lock = threading.Lock()  # guards the folders that a warning was logged for
        self._complained: set[Path] = set()

    def open(self, path: Path, one_to_one: bool = False) -> CheckpointFile:
        """Return a checkpoint with its conversion. Raises ModelError with the path in it."""
        with errors_about(path):
            mapped_checkpoint(path)  # refuses a folder, a pipe, an empty file
        try:
            version = file_identity((path,))
        except OSError as error:
            raise InvalidModel(f"{path} can not be read: {error.strerror or error}") from error

        def convert() -> ConvertedFile:
            key = _content_key(path, one_to_one)
            return self._by_content.get((key, None), functools.partial(self._find, path, version, one_to_one, key))

        with errors_about(path):
            converted = self._by_version.get((version, one_to_one), convert)
        return CheckpointFile("onnx", (path,), one_to_one, version, converted)

    def current(self, file: CheckpointFile) -> ConvertedFile:
        """Return the conversion of a file, found or made again when it is no longer the one that was verified."""
        known = file.converted
        if known.is_current():
            return known
        find = functools.partial(self._find, file.path, file.version, file.one_to_one, known.key)
        with errors_about(file.path):
            # The old version is part of the key: all threads that miss the same file wait for one conversion, and do
            # not get the old one, which a model still holds.
            return self._by_content.get((known.key, known.version), find)

    def _find(self, path: Path, version: Hashable, one_to_one: bool, key: str) -> ConvertedFile:
        def produce(write: Write) -> None:
            write_converted(mapped_checkpoint(path), write, one_to_one)
            # Before the entry gets its name, for its key is that of the old content.
            try:
                is_same = file_identity((path,)) == version
            except OSError:
                is_same = False
            if not is_same:
                raise InvalidModel(
                    "the file was changed or removed while it is open. Open it again when it is written."
                )

        cache = self._find_cache()
        entry = None if cache is None else cache.find(key)
        if cache is not None and entry is None:
            try:
                entry = cache.store(key, path.name, produce)
            except ModelError:  # ModelNotFound is an OSError too
                raise
            except OSError as error:
                self._complain(cache.folder, error)
        if entry is not None:
            with contextlib.suppress(OSError):  # somebody cleared the cache a moment ago
                return ConvertedFile(key, entry, file_identity((entry,)))
        data = io.BytesIO()
        produce(data.write)
        return ConvertedFile(key, data.getvalue())

    def _complain(self, folder: Path, error: OSError) -> None:
        with self._lock:
            is_new = folder not in self._complained
            self._complained.add(folder)
        if is_new:
            _log.warning(
                "converted checkpoints can not be kept in %s (%s): they are converted in memory each time. "
                "Make room or give write permission there, or set YOLOOM_CACHE to another folder.",
                folder,
                error.strerror or error,
            )


def checkpoint_file(path: Path, one_to_one: bool = False) -> CheckpointFile:
    """Open the checkpoint at `path` and convert it, where this process or the cache has no conversion of it.

    Args:
        path: The `.pt` file.
        one_to_one: Take the head that needs no NMS, where there is one.

    Raises:
        ModelError: It can not be read or converted; the message begins with the path.
    """
    return _converter.open(path, one_to_one)


def write_converted(data: memoryview, write: Write, one_to_one: bool) -> None:
    """Convert as `checkpoint.convert` does, which takes a while to import: most files were converted before."""
    from yoloom.formats.checkpoint import convert

    convert.write_converted(data, write, one_to_one)


def _content_key(path: Path, one_to_one: bool) -> str:
    """Return a hash of the content and of all else that the network depends on."""
    data = mapped_checkpoint(path)
    content = hashlib.sha256(data).hexdigest()
    forget(data)
    parts = ("converted checkpoint", __version__, CONVERTER, content, one_to_one)
    return hashlib.sha256(repr(parts).encode()).hexdigest()


_converter = Converter()


@after_fork_in_child
def _reset_after_fork() -> None:
    # A thread that is not in the child may have held a lock, or been about to finish a conversion.
    global _converter
    _converter = Converter()
