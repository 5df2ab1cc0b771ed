"""One file over HTTP: resumed where it was cut, checked, and under its name only when it is whole."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import struct
import time
import urllib.request
import zipfile
import zlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from email.message import Message
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import IO
from urllib.error import HTTPError

from yoloom.errors import DownloadFailed, ModelNotFound
from yoloom.formats import protobuf
from yoloom.store.published_digests import KNOWN_SHA256

_TIMEOUT_S = 15.0  # for the connection and for each read
_CHUNK_BYTES = 1 << 16

_CONTENT_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")
_VALIDATOR = re.compile(r'"[\x21\x23-\x7e]*"|[A-Za-z0-9 ,:]{20,40}')  # a strong ETag, or a date
_SHA256 = re.compile(r"sha-256=:?([A-Za-z0-9+/]{43}=)", re.IGNORECASE)
_HTML = re.compile(rb"\s*<(!doctype|html|head|body|\?xml)", re.IGNORECASE)

Tick = Callable[[int, "int | None"], None]  # bytes so far, bytes in all if known


class _Cut(Exception):
    """A connection that ended too early: another attempt may succeed."""


class Download:
    """One file on its way into the cache. Thread safety: owned by the holder of the target's lock."""

    def __init__(self, target: Path, url: str) -> None:
        """Store where the file comes from and goes to. Connects to nothing."""
        self.target = target
        self.url = url
        self.part = target.with_name(f".{target.name}.part")
        self.version = target.with_name(f".{target.name}.version")
        self.digests: dict[str, str] = {}

    def run(self, pauses: Sequence[float], tick: Tick) -> None:
        """Put the file under its name whole, or not at all; after a cut, keep the part that can be resumed later.

        Args:
            pauses: Seconds to wait before each further attempt.
            tick: Is called with the bytes so far, and all bytes where they are known.

        Raises:
            DownloadFailed: The file can not be had whole.
            ModelNotFound: The server has no such file.
            OSError: It can not be stored.
        """
        try:
            for pause in pauses:
                with suppress(_Cut):
                    self._attempt(tick)
                    break
                time.sleep(pause)
            else:
                self._attempt(tick)
            self._check()
            # The one part that outlives its writer (so not `files.replacing`): a later process resumes it.
            os.replace(self.part, self.target)
        except _Cut as cut:
            if not self._resume_headers():
                self._discard()
            raise self._failed(str(cut)) from cut
        except Exception:
            self._discard()
            raise
        self.version.unlink(missing_ok=True)

    def _attempt(self, tick: Tick) -> None:
        with self._open() as response:
            total = self._total(response)
            self._receive(response, total, tick)
        size = self._size()
        if total is not None and size != total:
            raise _Cut(f"the connection ended after {size} of {total} bytes")

    def _open(self) -> HTTPResponse:
        resume = self._resume_headers()
        request = urllib.request.Request(self.url, headers={"User-Agent": "yoloom", **resume})
        try:
            response: HTTPResponse = urllib.request.build_opener(_SafeRedirects).open(request, timeout=_TIMEOUT_S)
        except HTTPError as error:
            with error:
                if error.code == 416 and resume:  # nothing follows the bytes we have: start over
                    self._discard()
                    return self._open()
                raise self._refusal(error) from error
        except (OSError, HTTPException) as error:
            raise _Cut(f"no answer ({getattr(error, 'reason', None) or repr(error)})") from error
        return response

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

    def _receive(self, response: HTTPResponse, total: int | None, tick: Tick) -> None:
        resumed = response.status == 206
        with self.part.open("ab" if resumed else "wb") as file:
            # The part is empty before its new version is noted. The other way round, a process killed in between would
            # leave old bytes under the new version, and the next one would resume them into a mixture.
            if not resumed:
                self.digests.clear()
                self.version.unlink(missing_ok=True)
                validators = (response.headers.get("ETag", ""), response.headers.get("Last-Modified", ""))
                if strong := next(filter(_VALIDATOR.fullmatch, validators), None):
                    self.version.write_text(strong, "latin-1")
            announced = response.headers.get("Repr-Digest") or response.headers.get("Digest") or ""
            if sha256 := _SHA256.search(announced):
                self.digests["sha256"] = base64.b64decode(sha256[1]).hex()
            md5 = response.headers.get("Content-MD5", "")  # of this answer alone
            if not resumed and re.fullmatch(r"[A-Za-z0-9+/]{22}==", md5):
                self.digests["md5"] = base64.b64decode(md5).hex()
            while True:
                try:
                    chunk = response.read(_CHUNK_BYTES)
                except (OSError, HTTPException) as error:  # apart from the writing, whose OSError is a disk's
                    raise _Cut(f"the connection was cut ({error!r})") from error
                if not chunk:
                    break
                file.write(chunk)
                tick(file.tell(), total)
            file.flush()
            os.fsync(file.fileno())

    def _check(self) -> None:
        """Raise DownloadFailed unless the part has the announced digests, and the content that its name promises."""
        pinned = KNOWN_SHA256.get(self.target.name)
        expected = self.digests | ({"sha256": pinned} if pinned else {})
        faults = []
        for algorithm, digest in expected.items():
            actual = hashlib.new(algorithm, usedforsecurity=False)
            with self.part.open("rb") as file:
                while chunk := file.read(_CHUNK_BYTES):
                    actual.update(chunk)
            if actual.hexdigest() != digest.lower():
                faults.append(f"expected {algorithm} {digest}, got {actual.hexdigest()}")
        if fault := next(iter(faults), None) or _content_fault(self.part, self.target.suffix):
            raise self._failed(f"the downloaded bytes are not the file: {fault}")

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
            hint = "Check the name and YOLOOM_MODEL_URL."
            if self.target.suffix == ".onnx":
                checkpoint = self.target.with_suffix(".pt").name
                hint = f"The publisher has .pt files: use {checkpoint!r}, or export that to ONNX and give the path."
            return ModelNotFound(f"There is no {self.target.name} at {self.url}: {answer}. {hint}")
        if error.code in (408, 425, 429) or error.code >= 500:
            return _Cut(answer)
        return self._failed(answer)


class _SafeRedirects(urllib.request.HTTPRedirectHandler):
    """Redirects to http(s), never from https down to http."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Message, newurl: str
    ) -> urllib.request.Request | None:
        """Follow a redirect. Raises HTTPError for one that is not safe."""
        allowed = ("https:",) if req.full_url.lower().startswith("https:") else ("https:", "http:")
        if not newurl.lower().startswith(allowed):
            raise HTTPError(newurl, code, f"with an unsafe redirect to {newurl}", headers, fp)
        return super().redirect_request(req, fp, code, msg, headers, newurl)  # type: ignore[arg-type]


def _content_fault(path: Path, suffix: str) -> str | None:
    """Say what is wrong with a file of this suffix; None where it is whole."""
    with path.open("rb") as file:
        if _HTML.match(file.read(256)):
            return "it is a web page (the sign-in page of a network or proxy?)"
    if suffix != ".pt":
        try:
            fields = {number for number, _, _ in protobuf.fields(protobuf.mapped(path))}
        except ValueError as error:
            return f"not a whole ONNX model ({error})"
        missing = {"ir_version": 1, "graph": 7, "opset_import": 8}
        absent = [name for name, number in missing.items() if number not in fields]
        return f"an ONNX model without {' and '.join(absent)}" if absent else None
    try:
        with zipfile.ZipFile(path) as archive:
            torn = archive.testzip()
            names = archive.namelist()
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, ValueError, struct.error) as error:
        return f"not a whole zip archive ({error})"
    if torn is not None:
        return f"the checksum of {torn!r} in it is wrong"
    return None if any(name.endswith("data.pkl") for name in names) else "a zip archive that is no checkpoint"
