"""Checkpoints that this process has converted, or found converted: once for each content, whoever asks.

```
path ─▶ known file? ─▶ SHA-256 of its content ─▶ in the cache? ─▶ convert ─▶ cache, or memory where there is none
        └ once for each file and head ┘          └────────── once for each content and head ──────────┘
```
"""

from __future__ import annotations

import functools
import hashlib
import io
import logging
import threading
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from pathlib import Path

from yoloom._version import __version__
from yoloom.errors import InvalidModel
from yoloom.formats.checkpoint.checkpoint_file import CONVERTER, errors_about, mapped_checkpoint
from yoloom.formats.onnx_file import declarations
from yoloom.formats.protobuf import forget, mapped
from yoloom.formats.signature import Signature
from yoloom.store.conversion_cache import ConversionCache, Write, conversion_cache
from yoloom.sync.fork import after_fork_in_child
from yoloom.sync.single_flight import SingleFlight
from yoloom.system.files import file_identity

_log = logging.getLogger("yoloom.cache")


@dataclass(frozen=True, eq=False)
class ConvertedFile:
    """Where a converted network lies: a file of the cache, or memory. Frozen: threads, anybody."""

    source: Path | bytes

    def declarations(self) -> tuple[Signature, Mapping[str, str]]:
        return declarations(memoryview(self.source) if isinstance(self.source, bytes) else mapped(self.source))


@dataclass(frozen=True, eq=False)
class CheckpointFile:
    """One version of a checkpoint file, and which of its heads is wanted. Frozen: threads, anybody."""

    path: Path
    identity: Hashable
    one_to_one: bool

    def mapped(self) -> memoryview:
        return mapped_checkpoint(self.path)

    def write_converted(self, write: Write) -> None:
        """Raises InvalidModel when the file is another one in the end: what was written belongs to no content."""
        write_converted(self.mapped(), write, self.one_to_one)
        self.check()

    def check(self) -> None:
        """Raises InvalidModel when this version of the file is gone."""
        try:
            same = file_identity((self.path,)) == self.identity
        except OSError:
            same = False
        if not same:
            raise InvalidModel("the file was changed or removed while it is open. Open it again when it is written.")


class CachedConversion:
    """A converted network and what it declares. Immutable: shared freely. Pickles as the file to convert."""

    def __init__(self, conversions: Converter, file: CheckpointFile, key: str, place: ConvertedFile) -> None:
        self.signature, self.notes = place.declarations()
        self.identity = file.identity
        self._conversions = conversions
        self._file = file
        self._key = key
        # A file may be gone or damaged when it is needed; memory is shared for as long as somebody holds it.
        self._memory = place if isinstance(place.source, bytes) else None

    def source(self) -> Path | bytes:
        """The network, verified now; converted again when its file is gone. Raises ModelError."""
        place = self._memory or self._conversions.place(self._file, self._key)
        return place.source

    def __reduce__(self) -> tuple[Callable[..., CachedConversion], tuple[Path, bool]]:
        return convert, (self._file.path, self._file.one_to_one)


class Converter:
    """The conversions of a process. Threads: anybody."""

    def __init__(self, find_cache: Callable[[], ConversionCache | None] = conversion_cache) -> None:
        self._find_cache = find_cache
        self._files: SingleFlight[Hashable, CachedConversion] = SingleFlight()
        self._places: SingleFlight[str, ConvertedFile] = SingleFlight()
        self._lock = threading.Lock()  # guards what follows
        self._complained: set[Path] = set()

    def convert(self, path: Path, one_to_one: bool = False) -> CachedConversion:
        """The conversion of a checkpoint file. Raises ModelError with the path in it, and OSError."""
        with errors_about(path):
            mapped_checkpoint(path)  # says what is wrong with a folder, a pipe, an empty file
        file = CheckpointFile(path, file_identity((path,)), one_to_one)
        return self._files.get((file.identity, one_to_one), functools.partial(self._opened, file))

    def place(self, file: CheckpointFile, key: str) -> ConvertedFile:
        """Where the network of this key lies, verified now. Raises ModelError."""
        with errors_about(file.path):
            return self._places.get(key, functools.partial(self._placed, file, key))

    def _opened(self, file: CheckpointFile) -> CachedConversion:
        key = _key(file)
        try:
            return CachedConversion(self, file, key, self.place(file, key))
        except OSError:  # its entry was removed a moment ago
            return CachedConversion(self, file, key, _in_memory(file))

    def _placed(self, file: CheckpointFile, key: str) -> ConvertedFile:
        cache = self._find_cache()
        found = cache and (cache.find(key) or self._stored(cache, file, key))
        return ConvertedFile(found) if found else _in_memory(file)

    def _stored(self, cache: ConversionCache, file: CheckpointFile, key: str) -> Path | None:
        try:
            return cache.store(key, file.path.name, file.write_converted)
        except OSError as error:
            self._complain(cache.folder, error)
            return None

    def _complain(self, folder: Path, error: OSError) -> None:
        with self._lock:
            new = folder not in self._complained
            self._complained.add(folder)
        if new:
            _log.warning(
                "converted checkpoints can not be kept in %s (%s): they are converted in memory each time. "
                "Make room or give write permission there, or set YOLOOM_CACHE to another folder.",
                folder,
                error.strerror or error,
            )


def convert(path: Path, one_to_one: bool = False) -> CachedConversion:
    """The conversion of a checkpoint file, shared by all of this process that ask for it. Threads: anybody.

    one_to_one: by the head that needs no NMS, where there is one. Raises ModelError with the path in it, and OSError.
    """
    return _conversions.convert(path, one_to_one)


def write_converted(data: memoryview, write: Write, one_to_one: bool) -> None:
    """As `checkpoint.convert`, which takes a while to import and is rarely needed: most were converted before."""
    from yoloom.formats.checkpoint import convert

    convert.write_converted(data, write, one_to_one)


def _key(file: CheckpointFile) -> str:
    """Of the content and all that makes a network of it."""
    data = file.mapped()
    content = hashlib.sha256(data).hexdigest()
    forget(data)
    parts = ("converted checkpoint", __version__, CONVERTER, content, file.one_to_one)
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def _in_memory(file: CheckpointFile) -> ConvertedFile:
    data = io.BytesIO()
    file.write_converted(data.write)
    return ConvertedFile(data.getvalue())


_conversions = Converter()


@after_fork_in_child
def _reset_after_fork() -> None:
    # A thread that is not in the child may have held a lock, or been about to finish a conversion.
    global _conversions
    _conversions = Converter()
