"""Converted checkpoints on disk: a folder of files that certify themselves.

```
KEY.onnx               a whole ONNX file, and behind it (in a field that readers of ONNX pass over) its seal:
                       the name of its checkpoint, KEY again, and the SHA-256 of all bytes before
.KEY.onnx.RANDOM.part  an entry that somebody writes; only its writer knows the name
```

An entry appears under its name by a rename, whole. Whatever is found there later is read through before it is used:
torn, cut short, or of another key, it is removed. Its time of change says when it was used last.
"""

from __future__ import annotations

import hashlib
import logging
import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from yoloom.errors import InvalidOption
from yoloom.formats.protobuf import Chunk, Message
from yoloom.system.files import replacing
from yoloom.system.user_cache import check_own, own_files, user_cache

DEFAULT_LIMIT_BYTES = 2 << 30

_SEAL_FIELD = 1000  # onnx.proto has none above 25
_NAME_BYTES, _KEY_BYTES, _DIGEST_BYTES = 96, 32, 32
_CONTENT_BYTES = _NAME_BYTES + _KEY_BYTES + _DIGEST_BYTES
_SEAL_BYTES = Message().data(_SEAL_FIELD, bytes(_CONTENT_BYTES)).size
_READ_BYTES = 1 << 20
_STALE_S = 3600.0  # nobody writes one entry for an hour: its writer is gone
_log = logging.getLogger("yoloom.cache")

Write = Callable[[Chunk], object]


class _TooLarge(Exception):
    """An entry that the cache has no place for, even when it is empty."""


@dataclass(frozen=True)
class Entry:
    """A file of the cache, sound or not. name: of the checkpoint. used: when last, in seconds since the epoch."""

    path: Path
    name: str
    size: int
    used: float


@dataclass(frozen=True)
class ConversionCache:
    """A folder of at most `limit_bytes`, for any number of threads and processes at once. Frozen: threads, anybody.

    Keys are texts of 64 hexadecimal digits.
    """

    folder: Path
    limit_bytes: int

    def find(self, key: str) -> Path | None:
        """The entry of `key`, read through and found sound just now. Anybody may remove it at any time."""
        path = self._path(key)
        try:
            check_own(self.folder)
            with path.open("rb") as file:
                sound = _is_sound(file, key)
        except OSError:
            return None
        with suppress(OSError):  # a cache that may only be read is a cache all the same
            if sound:
                os.utime(path)
            else:
                _log.warning("%s is damaged or not what its name says; it is removed and made again", path)
                path.unlink()
        return path if sound else None

    def store(self, key: str, name: str, produce: Callable[[Write], None]) -> Path | None:
        """Keep what `produce` writes as the entry of `key`; None when it is larger than the whole cache may be.

        The least recently used entries make room. Raises OSError when the folder can not take it, and what `produce`
        raises; then nothing is left behind. A folder that is a symbolic link can not: making room would remove what is
        not the cache's.
        """
        check_own(self.folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            with replacing(self._path(key)) as part, part.open("xb", buffering=_READ_BYTES) as file:
                _write_sealed(file, key, name, produce, self.limit_bytes)
        except _TooLarge:
            return None
        self._make_room(self._path(key))
        return self._path(key)

    def entries(self) -> list[Entry]:
        """What is there, the most recently used first. Nothing behind a symbolic link."""
        found = [entry for path in own_files(self.folder, "*.onnx") if (entry := _entry(path))]
        return sorted(found, key=lambda entry: (entry.used, entry.path), reverse=True)

    def clear(self) -> list[Entry]:
        """Remove all that `entries` tells, and say what it was. Models that are open go on. Raises OSError."""
        removed = self.entries()
        for path in [*(entry.path for entry in removed), *own_files(self.folder, ".*.part")]:
            path.unlink(missing_ok=True)
        return removed

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}.onnx"

    def _make_room(self, newest: Path) -> None:
        entries = self.entries()
        total = sum(entry.size for entry in entries)
        for entry in reversed(entries):
            if total <= self.limit_bytes:
                break
            if entry.path != newest:
                with suppress(OSError):  # it is in use, on systems that mind: it goes another time
                    entry.path.unlink()
                    total -= entry.size
        self._remove_stale_parts()

    def _remove_stale_parts(self) -> None:
        for part in own_files(self.folder, ".*.part"):
            with suppress(OSError):
                if part.stat().st_mtime < time.time() - _STALE_S:
                    part.unlink()


def conversion_cache() -> ConversionCache | None:
    """The cache of this user: `converted` in `user_cache`, of `YOLOOM_CACHE_BYTES`; None where there is no home folder.

    Raises InvalidOption for a limit that is no number.
    """
    try:
        return ConversionCache(user_cache() / "converted", _limit_bytes())
    except RuntimeError:
        return None


def _limit_bytes() -> int:
    text = os.environ.get("YOLOOM_CACHE_BYTES") or str(DEFAULT_LIMIT_BYTES)
    if not (text.isascii() and text.isdecimal() and len(text) < 20):
        raise InvalidOption(f"YOLOOM_CACHE_BYTES must be a whole number of bytes, got {text!r}.")
    return int(text)


def _write_sealed(file: IO[bytes], key: str, name: str, produce: Callable[[Write], None], limit: int) -> None:
    digest, left = hashlib.sha256(), limit - _DIGEST_BYTES

    def write(chunk: Chunk) -> None:
        nonlocal left
        left -= len(chunk)
        if left < 0:
            raise _TooLarge
        digest.update(chunk)
        file.write(chunk)

    produce(write)
    write(_seal_start(key, name))
    file.write(digest.digest())


def _seal_start(key: str, name: str) -> bytes:
    """The seal up to its digest."""
    label = name.encode(errors="replace")[:_NAME_BYTES].ljust(_NAME_BYTES, b"\0")
    content = label + bytes.fromhex(key) + bytes(_DIGEST_BYTES)
    return Message().data(_SEAL_FIELD, content).joined()[:-_DIGEST_BYTES]


def _is_sound(file: IO[bytes], key: str) -> bool:
    size = os.fstat(file.fileno()).st_size
    if size < _SEAL_BYTES:
        return False
    digest, left = hashlib.sha256(), size - _DIGEST_BYTES
    while left and (chunk := file.read(min(left, _READ_BYTES))):
        digest.update(chunk)
        left -= len(chunk)
    file.seek(-_KEY_BYTES - _DIGEST_BYTES, os.SEEK_END)
    return file.read() == bytes.fromhex(key) + digest.digest()


def _entry(path: Path) -> Entry | None:
    try:
        with path.open("rb") as file:
            found = os.fstat(file.fileno())
            file.seek(max(found.st_size - _CONTENT_BYTES, 0))
            name = file.read(_NAME_BYTES).rstrip(b"\0").decode(errors="replace")
    except OSError:  # somebody removed it just now
        return None
    return Entry(path, name, found.st_size, found.st_mtime)
