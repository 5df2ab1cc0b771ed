"""Model names → files: a local path wins, then the cache, then the publisher's release.

```
name ─▶ local path? ─▶ known name? ─▶ in the cache? ─▶ lock ─▶ in the cache now? ─▶ GET ─▶ check ─▶ rename
```

What lies in the cache folder, for `yolov8n.pt`:

```
yolov8n.pt             whole and checked, or not there
.yolov8n.pt.lock       held by the one who downloads, between threads and between processes; stays
.yolov8n.pt.part       the bytes so far; only the lock's holder touches it
.yolov8n.pt.version    which version of the remote file these bytes are of
.licence-said          the licence of the weights was said here once
```
"""

from __future__ import annotations

import base64
import difflib
import hashlib
import logging
import os
import re
import struct
import sys
import time
import urllib.request
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from email.message import Message
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import IO, TYPE_CHECKING
from urllib.error import HTTPError

from yoloom.errors import DownloadFailed, InvalidOption, ModelNotFound, YoloomError
from yoloom.formats import protobuf

if TYPE_CHECKING:
    from filelock import BaseFileLock

__all__ = ["KNOWN_NAMES", "KNOWN_SHA256", "RELEASE_URL", "cache_folder", "resolve"]

RELEASE_URL = "https://github.com/ultralytics/assets/releases/download/v8.4.0"

_TASKS = ("", "-seg", "-pose", "-obb", "-cls")
_FAMILIES: tuple[tuple[str, Sequence[str], Sequence[str]], ...] = (  # family, sizes, what may follow the size
    ("yolov3", ("",), ("u", "-sppu", "-tinyu")),
    ("yolov5", "nsmlx", ("u", "6u")),
    ("yolov8", "nsmlx", (*_TASKS, "-oiv7")),
    ("yolov9", "tsmce", ("",)),
    ("yolov9", "ce", ("-seg",)),
    ("yolov10", "nsmblx", ("",)),
    ("yolo11", "nsmlx", _TASKS),
    ("yolo12", "nsmlx", ("",)),
    ("yolo26", "nsmlx", _TASKS),
)

KNOWN_NAMES = frozenset(
    family + size + tail + suffix
    for family, sizes, tails in _FAMILIES
    for size in sizes
    for tail in tails
    for suffix in (".pt", ".onnx")
)
"""Every file name that `resolve` may ask the publisher for."""

KNOWN_SHA256: dict[str, str] = {}
"""File name → the hexadecimal digest that a download must have. Other names are checked by content alone."""

_LICENCE = (
    "Ultralytics publishes its weights (here: {name}) under AGPL-3.0, unless you hold its Enterprise License "
    "(https://www.ultralytics.com/license). The Apache-2.0 licence of yoloom does not cover them. "
    "This is said once for each cache folder."
)

_TIMEOUT_S = 15.0  # for the connection and for each read
_PAUSES_S = (0.5, 1.0, 2.0)  # between attempts
_LOCK_WAIT_S = 3600.0
_CHUNK_BYTES = 1 << 16

_CONTENT_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")
_VALIDATOR = re.compile(r'"[\x21\x23-\x7e]*"|[A-Za-z0-9 ,:]{20,40}')  # a strong ETag, or a date
_SHA256 = re.compile(r"sha-256=:?([A-Za-z0-9+/]{43}=)", re.IGNORECASE)
_HTML = re.compile(rb"\s*<(!doctype|html|head|body|\?xml)", re.IGNORECASE)

_log = logging.getLogger("yoloom.hub")

_Tick = Callable[[int, "int | None"], None]  # bytes so far, bytes in all if known


def resolve(
    name: str | os.PathLike[str],
    *,
    cache_dir: Path | None = None,
    base_url: str | None = None,
    progress: bool | None = None,
) -> Path:
    """The absolute path of a model file or folder, downloaded first if it is a known name that is not here yet.

    A local path wins, then the cache (`cache_dir`, or see `cache_folder`), then the publisher's release (or `base_url`,
    or `YOLOOM_MODEL_URL`). `progress` shows a bar on stderr; by default only on a terminal.

    Raises `ModelNotFound` for a name that is neither a path nor known or published, `DownloadFailed` when the file can
    not be had whole or not be stored, `InvalidOption` for a `base_url` that is not http(s).

    Any number of threads and processes may call it at once: they make one download.
    """
    text = os.fspath(name)
    if text and os.path.exists(text):
        return Path(text).absolute()
    if text not in KNOWN_NAMES:
        raise _unknown(text)
    target = Path(cache_dir or cache_folder()).absolute() / text
    if not os.path.isfile(target):
        _fetch_once(target, _url(text, base_url), progress)
    return target


def cache_folder() -> Path:
    """Where downloads are kept: `models` in `YOLOOM_CACHE`, or in `yoloom` in the user's cache. Read at each call.

    Raises `DownloadFailed` when there is no home folder. Anybody may call it at any time; it creates nothing.
    """
    if own := os.environ.get("YOLOOM_CACHE"):
        return Path(own) / "models"
    shared = os.environ.get("XDG_CACHE_HOME", "")
    if os.path.isabs(shared):
        return Path(shared) / "yoloom" / "models"
    try:
        return Path.home() / ".cache" / "yoloom" / "models"
    except RuntimeError as error:
        raise DownloadFailed("This user has no home folder for downloads: set YOLOOM_CACHE to a folder.") from error


def _unknown(text: str) -> ModelNotFound:
    near = difflib.get_close_matches(Path(text).name.lower(), sorted(KNOWN_NAMES, reverse=True), n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return ModelNotFound(
        f"Expected a model file or folder that exists, or the bare name of a published one such as 'yolov8n.pt'; "
        f"got {text!r}, which is neither.{hint} Check the path."
    )


def _url(name: str, base_url: str | None) -> str:
    base = base_url or os.environ.get("YOLOOM_MODEL_URL") or RELEASE_URL
    if not re.match(r"https?://[^/\s]", base, re.IGNORECASE):
        raise InvalidOption(f"Expected an http(s) address for base_url or YOLOOM_MODEL_URL, got {base!r}.")
    return f"{base.rstrip('/')}/{name}"


def _fetch_once(target: Path, url: str, progress: bool | None) -> None:
    shown = _has_terminal() if progress is None else progress
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _lock(target) as others_failed:
            # Ten threads found no file. One of them downloads it; the nine waited here, and the file is there now.
            if target.is_file():
                return
            # Or it is not, because whoever held the lock has just failed. Offline, with full patience for each of
            # nine, the last would hear of it after half a minute.
            pauses = () if others_failed else _PAUSES_S
            with _progress_bar(target.name, shown) as tick:
                _Download(target, url).run(pauses, tick)
            _say_licence(target, shown)
    except YoloomError:
        raise
    except OSError as error:
        raise DownloadFailed(
            f"{target.name} could not be stored in {str(target.parent)!r}: {error}. "
            f"Make room or give write permission there, or set YOLOOM_CACHE to another folder."
        ) from error


@contextmanager
def _lock(target: Path) -> Iterator[bool]:
    """Hold the target's lock between threads and processes; yields whether somebody else had it when we came."""
    from filelock import FileLock  # here, because it installs fork and exit hooks when imported

    lock = FileLock(target.with_name(f".{target.name}.lock"))
    waited = _acquire(lock, target)
    try:
        yield waited
    finally:
        lock.release()


def _acquire(lock: BaseFileLock, target: Path) -> bool:
    for waited, patience_s in ((False, 0.0), (True, _LOCK_WAIT_S)):
        with suppress(TimeoutError):
            lock.acquire(timeout=patience_s)
            return waited
    raise DownloadFailed(
        f"Another thread or process has been downloading {target} for more than {_LOCK_WAIT_S:.0f} s: "
        f"look for a process that is stopped."
    )


def _say_licence(target: Path, shown: bool) -> None:
    text = _LICENCE.format(name=target.name)
    try:
        target.with_name(".licence-said").open("x").close()
    except FileExistsError:
        return
    if shown:
        sys.stderr.write(f"{text}\n")
    else:
        _log.warning(text)


class _Cut(Exception):
    """A failure that another attempt may mend."""


class _Download:
    """One file on its way into the cache. Used by one thread at a time: the holder of the target's lock."""

    def __init__(self, target: Path, url: str) -> None:
        self.target = target
        self.url = url
        self.part = target.with_name(f".{target.name}.part")
        self.version = target.with_name(f".{target.name}.version")
        self.digests: dict[str, str] = {}

    def run(self, pauses: Sequence[float], tick: _Tick) -> None:
        """Put the file under its name whole, or not at all; after a cut, keep what can be resumed later."""
        try:
            self._fetch(pauses, tick)
            self._check()
            os.replace(self.part, self.target)
        except _Cut as cut:
            if not self._resume_headers():
                self._discard()
            raise self._failed(str(cut)) from cut
        except Exception:
            self._discard()
            raise
        self.version.unlink(missing_ok=True)

    def _fetch(self, pauses: Sequence[float], tick: _Tick) -> None:
        for pause in pauses:
            with suppress(_Cut):
                self._attempt(tick)
                return
            time.sleep(pause)
        self._attempt(tick)

    def _attempt(self, tick: _Tick) -> None:
        with self._open() as response:
            total = self._total(response)
            self._receive(response, total, tick)
        size = self._size()
        if total is not None and size != total:
            raise _Cut(f"the connection ended after {size} of {total} bytes")

    def _open(self) -> HTTPResponse:
        resume = self._resume_headers()
        try:
            return _get(self.url, resume)
        except HTTPError as error:
            with error:
                if error.code == 416 and resume:  # nothing follows the bytes we have: start over
                    self._discard()
                    return self._open()
                raise self._refusal(error) from error

    def _resume_headers(self) -> dict[str, str]:
        size = self._size()
        version = self.version.read_text("latin-1") if self.version.is_file() else ""
        if not size or not _VALIDATOR.fullmatch(version):
            return {}
        return {"Range": f"bytes={size}-", "If-Range": version}

    def _size(self) -> int:
        return self.part.stat().st_size if self.part.exists() else 0

    def _total(self, response: HTTPResponse) -> int | None:
        if response.headers.get_content_type() == "text/html":
            raise self._failed("a web page came instead of a model (the sign-in page of a network or proxy?)")
        if response.status != 206:
            return response.length
        span = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
        if span is None or int(span[1]) != self._size():
            self._discard()
            raise _Cut("the server did not resume where it was asked to")
        return None if span[2] == "*" else int(span[2])

    def _receive(self, response: HTTPResponse, total: int | None, tick: _Tick) -> None:
        resumed = response.status == 206
        with self.part.open("ab" if resumed else "wb") as file:
            # The part is empty before its new version is noted. The other way round, a process killed in between would
            # leave old bytes under the new version, and the next one would resume them into a mixture.
            if not resumed:
                self._note_version(response.headers)
            self.digests |= _announced_digests(response.headers, whole=not resumed)
            while chunk := _read(response):
                file.write(chunk)
                tick(file.tell(), total)
            file.flush()
            os.fsync(file.fileno())

    def _note_version(self, headers: Message) -> None:
        self.digests.clear()
        for validator in (headers.get("ETag", ""), headers.get("Last-Modified", "")):
            if _VALIDATOR.fullmatch(validator):
                self.version.write_text(validator, "latin-1")
                return
        self.version.unlink(missing_ok=True)

    def _check(self) -> None:
        fault = _digest_fault(self.part, self._expected_digests()) or _content_fault(self.part, self.target.suffix)
        if fault:
            raise self._failed(f"what came is not the file: {fault}")

    def _expected_digests(self) -> dict[str, str]:
        pinned = KNOWN_SHA256.get(self.target.name)
        return self.digests | ({"sha256": pinned} if pinned else {})

    def _discard(self) -> None:
        for path in (self.part, self.version):
            with suppress(OSError):
                path.unlink()

    def _failed(self, why: str) -> DownloadFailed:
        return DownloadFailed(
            f"{self.target.name} could not be downloaded from {self.url}: {why}. Try again; or fetch it by hand "
            f"and put it at {self.target}; or set YOLOOM_MODEL_URL to a mirror that this machine can reach."
        )

    def _refusal(self, error: HTTPError) -> Exception:
        answer = f"the server answered {error.code} {error.reason}"
        if error.code in (404, 410):
            return ModelNotFound(f"There is no {self.target.name} at {self.url}: {answer}. {self._other_way()}")
        if error.code in (408, 425, 429) or error.code >= 500:
            return _Cut(answer)
        return self._failed(answer)

    def _other_way(self) -> str:
        if self.target.suffix == ".pt":
            return "Check the name and YOLOOM_MODEL_URL."
        checkpoint = self.target.with_suffix(".pt").name
        return f"The publisher has .pt files: use {checkpoint!r}, or export that to ONNX and give the path."


class _SafeRedirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects to http(s), and never from https down to http."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Message, newurl: str
    ) -> urllib.request.Request | None:
        allowed = ("https:",) if req.full_url.lower().startswith("https:") else ("https:", "http:")
        if not newurl.lower().startswith(allowed):
            raise HTTPError(newurl, code, f"with an unsafe redirect to {newurl}", headers, fp)
        return super().redirect_request(req, fp, code, msg, headers, newurl)  # type: ignore[arg-type]


def _get(url: str, headers: dict[str, str]) -> HTTPResponse:
    """Open a URL. Raises `HTTPError` for an answer that is a refusal, `_Cut` when there is no answer."""
    request = urllib.request.Request(url, headers={"User-Agent": "yoloom", **headers})
    try:
        response: HTTPResponse = urllib.request.build_opener(_SafeRedirects).open(request, timeout=_TIMEOUT_S)
    except HTTPError:
        raise
    except (OSError, HTTPException) as error:
        raise _Cut(f"no answer ({getattr(error, 'reason', None) or repr(error)})") from error
    return response


def _read(response: HTTPResponse) -> bytes:
    try:
        return response.read(_CHUNK_BYTES)
    except (OSError, HTTPException) as error:  # apart from the writing, whose OSError is a disk's
        raise _Cut(f"the connection was cut ({error!r})") from error


def _announced_digests(headers: Message, *, whole: bool) -> dict[str, str]:
    """Algorithm → hexadecimal digest of the whole file, as far as the server says."""
    digests = {}
    if sha256 := _SHA256.search(headers.get("Repr-Digest") or headers.get("Digest") or ""):
        digests["sha256"] = base64.b64decode(sha256[1]).hex()
    if whole and re.fullmatch(r"[A-Za-z0-9+/]{22}==", md5 := headers.get("Content-MD5", "")):
        digests["md5"] = base64.b64decode(md5).hex()
    return digests


def _digest_fault(path: Path, expected: dict[str, str]) -> str | None:
    for algorithm, digest in expected.items():
        came = _digest(path, algorithm)
        if came != digest.lower():
            return f"expected {algorithm} {digest}, got {came}"
    return None


def _digest(path: Path, algorithm: str) -> str:
    digest = hashlib.new(algorithm, usedforsecurity=False)
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def _content_fault(path: Path, suffix: str) -> str | None:
    with path.open("rb") as file:
        if _HTML.match(file.read(256)):
            return "it is a web page (the sign-in page of a network or proxy?)"
    return _checkpoint_fault(path) if suffix == ".pt" else _onnx_fault(path)


def _checkpoint_fault(path: Path) -> str | None:
    try:
        with zipfile.ZipFile(path) as archive:
            torn = archive.testzip()
            names = archive.namelist()
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, ValueError, struct.error) as error:
        return f"not a whole zip archive ({error})"
    if torn is not None:
        return f"the checksum of {torn!r} in it is wrong"
    return None if any(name.endswith("data.pkl") for name in names) else "a zip archive that is no checkpoint"


def _onnx_fault(path: Path) -> str | None:
    try:
        fields = {number for number, _, _ in protobuf.fields(protobuf.mapped(path))}
    except ValueError as error:
        return f"not a whole ONNX model ({error})"
    missing = {"ir_version": 1, "graph": 7, "opset_import": 8}
    absent = [name for name, number in missing.items() if number not in fields]
    return f"an ONNX model without {' and '.join(absent)}" if absent else None


def _has_terminal() -> bool:
    return sys.stderr is not None and sys.stderr.isatty()


@contextmanager
def _progress_bar(name: str, shown: bool) -> Iterator[_Tick]:
    if not shown:
        yield lambda _done, _total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

    columns = ("{task.description}", BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(name, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
