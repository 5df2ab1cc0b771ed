"""Converted checkpoints on disk: a folder of files that certify themselves.

```
KEY.onnx               a whole ONNX file, and behind it (in a field that readers of ONNX pass over) its seal:
                       the name of its checkpoint, KEY again, and the SHA-256 of all bytes before
.KEY.onnx.RANDOM.part  an entry that somebody writes; only its writer knows the name
```

An entry appears under its name by a rename, whole. Every file is read through before it is used: a torn one, one that
was cut short, or one of another key is removed. The time of change says when an entry was used last.
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
from yoloom.formats.protobuf import Chunk, ProtoMessage
from yoloom.system.files import replacing
from yoloom.system.user_cache import check_own, own_files, user_cache

DEFAULT_LIMIT_BYTES = 2 << 30

_SEAL_FIELD = 1000  # onnx.proto has none above 25
_NAME_BYTES, _KEY_BYTES, _DIGEST_BYTES = 96, 32, 32
_CONTENT_BYTES = _NAME_BYTES + _KEY_BYTES + _DIGEST_BYTES
_SEAL_BYTES = ProtoMessage().data(_SEAL_FIELD, bytes(_CONTENT_BYTES)).size
_READ_BYTES = 1 << 20
_STALE_S = 3600.0  # nobody writes one entry for an hour: its writer is gone
_log = logging.getLogger("yoloom.cache")

Write = Callable[[Chunk], object]


class _TooLarge(Exception):
    """An entry that is larger than the whole cache may be."""


@dataclass(frozen=True)
class Entry:
    """A file of the cache, sound or not. Immutable. Thread safety: any number of threads.

    Attributes:
        path: The file.
        name: The name of its checkpoint.
        size: Bytes on disk.
        used: When it was used last, in seconds since the epoch.
    """

    path: Path
    name: str
    size: int
    used: float


@dataclass(frozen=True)
class ConversionCache:
    """A folder of at most `limit_bytes`, for any number of processes. Thread safety: any number of threads.

    Keys are texts of 64 hexadecimal digits.
    """

    folder: Path
    limit_bytes: int

    def find(self, key: str) -> Path | None:
        """Return the entry of `key` after reading it through, None when there is no sound one.

        Other processes may remove it at any time.
        """
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
        """Keep what `produce` writes as the entry of `key`. The least recently used entries make room.

        Args:
            key: The key of the entry.
            name: The name of its checkpoint, for people.
            produce: Writes the ONNX file with the function that it is given.

        Returns:
            The entry, or None when it is larger than the whole cache may be.

        Raises:
            OSError: The folder can not take it, or is a symbolic link: making room would remove files that are not the
                cache's.
            Exception: As raised by `produce`. Nothing is left behind.
        """
        check_own(self.folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self._path(key)
        try:
            with replacing(path) as part, part.open("xb", buffering=_READ_BYTES) as file:
                _write_sealed(file, key, name, produce, self.limit_bytes)
        except _TooLarge:
            return None
        entries = self.entries()
        total = sum(entry.size for entry in entries)
        for entry in reversed(entries):
            if total <= self.limit_bytes:
                break
            if entry.path != path:
                with suppress(OSError):  # Windows refuses while a file is in use: it goes another time
                    entry.path.unlink()
                    total -= entry.size
        for part in own_files(self.folder, ".*.part"):
            with suppress(OSError):
                if part.stat().st_mtime < time.time() - _STALE_S:
                    part.unlink()
        return path

    def entries(self) -> list[Entry]:
        """Return all entries, the most recently used first, none behind a symbolic link."""
        entries = []
        for path in own_files(self.folder, "*.onnx"):
            with suppress(OSError), path.open("rb") as file:  # unless somebody removed it just now
                stat = os.fstat(file.fileno())
                file.seek(max(stat.st_size - _CONTENT_BYTES, 0))
                name = file.read(_NAME_BYTES).rstrip(b"\0").decode(errors="replace")
                entries.append(Entry(path, name, stat.st_size, stat.st_mtime))
        return sorted(entries, key=lambda entry: (entry.used, entry.path), reverse=True)

    def clear(self) -> list[Entry]:
        """Remove all entries and return them. Models that are open go on. Raises OSError."""
        removed = self.entries()
        for path in [*(entry.path for entry in removed), *own_files(self.folder, ".*.part")]:
            path.unlink(missing_ok=True)
        return removed

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}.onnx"


def conversion_cache() -> ConversionCache | None:
    """Return the cache of this user, `converted` in `user_cache`; None where there is no home folder.

    Raises:
        InvalidOption: `YOLOOM_CACHE_BYTES` is no number.
    """
    try:
        folder = user_cache() / "converted"
    except RuntimeError:
        return None
    text = os.environ.get("YOLOOM_CACHE_BYTES") or str(DEFAULT_LIMIT_BYTES)
    if not (text.isascii() and text.isdecimal() and len(text) < 20):
        raise InvalidOption(f"YOLOOM_CACHE_BYTES must be a whole number of bytes, got {text!r}.")
    return ConversionCache(folder, int(text))


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
    label = name.encode(errors="replace")[:_NAME_BYTES].ljust(_NAME_BYTES, b"\0")
    seal = ProtoMessage().data(_SEAL_FIELD, label + bytes.fromhex(key) + bytes(_DIGEST_BYTES)).joined()
    write(seal[:-_DIGEST_BYTES])  # the digest covers all bytes before it, those of the seal too
    file.write(digest.digest())


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
