"""Names resolve safely. Every download here runs against a real server on 127.0.0.1 that can misbehave on purpose."""

from __future__ import annotations

import base64
import errno
import hashlib
import io
import logging
import os
import pickle
import random
import re
import socket
import subprocess
import sys
import threading
import time
import urllib.request
import zipfile
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.error import HTTPError

import pytest

from yoloom.errors import DownloadFailed, InvalidOption, ModelNotFound
from yoloom.store import download, hub

NAME = "yolov9t.pt"  # none of those whose digest is known


# ---- The publisher


def checkpoint(seed: int = 0) -> bytes:
    """A zip like a checkpoint's, of a megabyte that does not compress."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("yolov8n/data.pkl", b"not executed")
        archive.writestr("yolov8n/data/0", random.Random(seed).randbytes(1 << 20))
    return file.getvalue()


WHOLE = checkpoint()
HALF = len(WHOLE) // 2
UNSAID = -1
ONNX = b"\x08\x09" + b"\x3a\x05graph" + b"\x42\x02\x10\x11"  # ir_version 9, graph, opset_import 17


@dataclass
class Reply:
    """How the publisher answers one request; the defaults are those of a good server."""

    status: int = 200
    body: bytes = WHOLE
    cut_at: int | None = None
    length: int | None = None
    ranges: bool = True
    headers: dict[str, str] = field(default_factory=lambda: {"ETag": '"v1"'})
    hold: threading.Event | None = None  # after half of the body


@dataclass(frozen=True)
class Asked:
    path: str
    range: str | None
    if_range: str | None


class Publisher(ThreadingHTTPServer):
    """Answers with the scripted `replies` first, then with `default`; remembers what was asked. Used by one test."""

    daemon_threads = False  # so that closing the server joins them

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.replies: deque[Reply] = deque()
        self.default = Reply()
        self.asked: list[Asked] = []
        self.sent_half = threading.Semaphore(0)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that was killed is part of the tests."""


class Handler(BaseHTTPRequestHandler):
    server: Publisher

    def do_GET(self) -> None:
        self.server.asked.append(Asked(self.path, self.headers["Range"], self.headers["If-Range"]))
        try:
            reply = self.server.replies.popleft()
        except IndexError:
            reply = self.server.default
        self.answer(reply, self.start_of_range(reply))

    def start_of_range(self, reply: Reply) -> int | None:
        wanted = re.fullmatch(r"bytes=(\d+)-", self.headers["Range"] or "")
        current = self.headers["If-Range"] in (None, reply.headers.get("ETag"), reply.headers.get("Last-Modified"))
        return int(wanted[1]) if wanted and reply.ranges and current and reply.status == 200 else None

    def answer(self, reply: Reply, start: int | None) -> None:
        if start is not None and start >= len(reply.body):
            self.send_error(416)
            return
        body = reply.body[start or 0 :]
        self.send_response(reply.status if start is None else 206)
        if start is not None:
            self.send_header("Content-Range", f"bytes {start}-{len(reply.body) - 1}/{len(reply.body)}")
        if reply.length != UNSAID:
            self.send_header("Content-Length", str(len(body) if reply.length is None else reply.length))
        for key, value in reply.headers.items():
            self.send_header(key, value)
        self.end_headers()
        self.send_body(body[: reply.cut_at], reply.hold)

    def send_body(self, body: bytes, hold: threading.Event | None) -> None:
        half = len(body) // 2
        self.wfile.write(body[:half])
        self.server.sent_half.release()
        if hold:
            hold.wait(20)
        self.wfile.write(body[half:])

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def publisher(monkeypatch: pytest.MonkeyPatch) -> Iterator[Publisher]:
    """A publisher to talk to without pauses; what the test leaves behind fails it."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(hub, "_PAUSES_S", (0.0, 0.0, 0.0))
    before = set(threading.enumerate())
    with Publisher() as server:
        serving = threading.Thread(target=server.serve_forever, args=(0.01,))
        serving.start()
        yield server
        server.shutdown()
        serving.join()
    assert set(threading.enumerate()) <= before


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def get(publisher: Publisher, cache: Path) -> Callable[..., Path]:
    def get(name: str = NAME, **options: bool) -> Path:
        return hub.resolve(name, cache_dir=cache, base_url=publisher.url, **options)

    return get


def left_in(cache: Path) -> set[str]:
    return {path.name for path in cache.iterdir()} - {f".{NAME}.lock", ".licence-said"}


# ---- Names


def test_a_local_file_wins_over_cache_and_publisher(
    get: Callable[..., Path], publisher: Publisher, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(NAME).write_bytes(b"mine")
    assert get() == tmp_path / NAME
    assert not publisher.asked
    assert not cache.exists()


def test_a_local_folder_is_returned_and_a_symlink_is_kept(tmp_path: Path) -> None:
    folder = tmp_path / "yolov8n_openvino_model"
    folder.mkdir()
    link = tmp_path / "link"
    link.symlink_to(folder)
    assert hub.resolve(folder) == folder
    assert hub.resolve(str(link)) == link


@pytest.mark.parametrize(
    "name",
    [
        "yolov3u.pt",
        "yolov3-tinyu.pt",
        "yolov5n6u.pt",
        "yolov8x-oiv7.pt",
        "yolov8l-cls.onnx",
        "yolov9e.pt",
        "yolov10b.pt",
        "yolo11n.onnx",
        "yolo11s-seg.pt",
        "yolo12m.pt",
        "yolo26n-pose.pt",
        "yolo26x-obb.pt",
    ],
)
def test_published_names_are_known(name: str) -> None:
    assert name in hub.KNOWN_NAMES


@pytest.mark.parametrize(
    "name",
    [
        *("../yolov8n.pt", "a/yolov8n.pt", "a\\yolov8n.pt", "/nowhere/yolov8n.pt", "yolov8n.pt/", "%2e%2e/yolov8n.pt"),
        *("yolov8n.pt\n", "yolov8n.pt\0", "yolov8n.pt?x=1", "", "x" * 5000),
        *("YOLOv8n.pt", "YOLOv8n", "yolov12n.pt", "best.pt", "best"),
    ],
)
def test_other_names_are_not_found_and_ask_nobody(
    get: Callable[..., Path], publisher: Publisher, cache: Path, name: str
) -> None:
    with pytest.raises(ModelNotFound, match="bare name of a published one") as caught:
        get(name)
    assert repr(name)[:500] in str(caught.value)
    assert not publisher.asked
    assert not cache.exists()


@pytest.mark.parametrize("typo", ["yolov11n.pt", "yolov11n", "weights/YOLO11n.pt", "yolo-11n.pt"])
def test_the_nearest_name_is_suggested(typo: str) -> None:
    with pytest.raises(ModelNotFound, match=r"Did you mean 'yolo11n\.pt'"):
        hub.resolve(typo)


@pytest.mark.slow
def test_importing_does_nothing(tmp_path: Path) -> None:
    script = "import sys, yoloom.store.hub; sys.exit('filelock' in sys.modules or 'rich' in sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True, env=child_env(HOME=str(tmp_path)), timeout=20)
    assert not list(tmp_path.iterdir())


# ---- Where it comes from and goes to


def test_a_download_is_whole_and_made_once(get: Callable[..., Path], publisher: Publisher, cache: Path) -> None:
    assert get() == cache / NAME
    assert get().read_bytes() == WHOLE
    assert publisher.asked == [Asked(f"/v1/{NAME}", None, None)]
    assert left_in(cache) == {NAME}


@pytest.mark.parametrize(
    ("variables", "folder"),
    [
        ({"YOLOOM_CACHE": "{}/own", "XDG_CACHE_HOME": "{}/xdg"}, "own/models"),
        ({"YOLOOM_CACHE": "", "XDG_CACHE_HOME": "{}/xdg"}, "xdg/yoloom/models"),
        ({"XDG_CACHE_HOME": "relative"}, ".cache/yoloom/models"),
        ({}, ".cache/yoloom/models"),
    ],
)
def test_the_environment_is_read_when_called(
    publisher: Publisher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], folder: str
) -> None:
    for name in ("YOLOOM_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("YOLOOM_MODEL_URL", publisher.url + "/")
    for name, value in variables.items():
        monkeypatch.setenv(name, value.format(tmp_path))
    assert hub.resolve(NAME) == tmp_path / folder / NAME
    assert publisher.asked == [Asked(f"/v1/{NAME}", None, None)]


def test_without_a_home_folder_the_error_says_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("YOLOOM_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    with pytest.raises(DownloadFailed, match="YOLOOM_CACHE"):
        hub.resolve(NAME)


@pytest.mark.parametrize("address", ["file:///etc", "ftp://127.0.0.1", "mirror.example", "http://"])
def test_only_http_addresses_are_taken(cache: Path, address: str) -> None:
    with pytest.raises(InvalidOption, match=re.escape(repr(address))):
        hub.resolve(NAME, cache_dir=cache, base_url=address)


def test_a_redirect_is_followed(get: Callable[..., Path], publisher: Publisher) -> None:
    publisher.replies.append(Reply(302, b"", headers={"Location": "/store/x"}))
    assert get().read_bytes() == WHOLE
    assert [asked.path for asked in publisher.asked] == [f"/v1/{NAME}", "/store/x"]


@pytest.mark.parametrize(
    ("old", "new", "allowed"),
    [
        ("https://a/x", "https://b/x", True),
        ("http://a/x", "https://b/x", True),
        ("http://a/x", "http://b/x", True),
        ("https://a/x", "http://b/x", False),
        ("HTTPS://a/x", "http://b/x", False),
        ("http://a/x", "ftp://b/x", False),
    ],
)
def test_a_redirect_never_leaves_https(old: str, new: str, allowed: bool) -> None:
    arguments = (urllib.request.Request(old), io.BytesIO(), 302, "Found", Message(), new)
    if allowed:
        assert download._SafeRedirects().redirect_request(*arguments)
        return
    with pytest.raises(HTTPError, match="unsafe redirect") as caught:
        download._SafeRedirects().redirect_request(*arguments)
    caught.value.close()


def test_a_refused_redirect_is_a_failed_download(get: Callable[..., Path], publisher: Publisher, cache: Path) -> None:
    publisher.default = Reply(302, b"", headers={"Location": "ftp://127.0.0.1/x"})
    with pytest.raises(DownloadFailed, match="ftp://127"):
        get()
    assert left_in(cache) == set()


# ---- Many at once

CHILD = """
import sys, threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from yoloom.store import download, hub
name, cache, url = sys.argv[1:]
start = threading.Barrier(16)
def get(_):
    start.wait()
    return hub.resolve(name, cache_dir=Path(cache), base_url=url).read_bytes()
print("ready", flush=True)
sys.stdin.readline()
with ThreadPoolExecutor(16) as pool:
    same = len(set(pool.map(get, range(16))))
sys.exit(same != 1)
"""


def child_env(**more: str) -> dict[str, str]:
    source = str(Path(hub.__file__).parents[2])
    return {**os.environ, "PYTHONPATH": source, "PYTHONWARNINGS": "error", "no_proxy": "127.0.0.1", **more}


def child(publisher: Publisher, cache: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", CHILD, NAME, str(cache), publisher.url]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=child_env())


def go(process: subprocess.Popen[str]) -> None:
    assert process.stdin
    process.stdin.write("go\n")
    process.stdin.flush()


def wait_until_ready(process: subprocess.Popen[str]) -> None:
    assert process.stdout
    assert process.stdout.readline() == "ready\n"


def wait_until(true: Callable[[], bool]) -> None:
    """For what another process does and has no way to tell."""
    deadline = time.monotonic() + 10
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.mark.slow
def test_16_threads_in_each_of_4_processes_make_one_download(publisher: Publisher, cache: Path) -> None:
    """Seen to fail without the lock (141 to 199 requests, parts that vanish under their writers, failed downloads),
    and without the second look after the lock (one request after the other).
    """
    processes = [child(publisher, cache) for _ in range(4)]
    for process in processes:
        wait_until_ready(process)
    for process in processes:
        go(process)
    for process in processes:
        process.communicate(timeout=30)
    assert [process.returncode for process in processes] == [0] * 4
    assert publisher.asked == [Asked(f"/v1/{NAME}", None, None)]
    assert (cache / NAME).read_bytes() == WHOLE
    assert left_in(cache) == {NAME}


def test_who_waits_gets_the_file_of_who_downloads(
    get: Callable[..., Path], publisher: Publisher, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """1. A downloads half. 2. B comes and finds the lock taken. 3. A ends. 4. B has A's file and asked nobody.

    Seen to fail without the lock (B downloads) and without the second look (B downloads again).
    """
    step_2, step_3 = threading.Event(), threading.Event()
    publisher.replies.append(Reply(hold=step_3))
    acquire = hub._acquire

    def scripted(lock: object, target: Path) -> bool:
        if threading.current_thread().name.endswith("_1"):
            step_2.set()
        return acquire(lock, target)  # type: ignore[arg-type]

    monkeypatch.setattr(hub, "_acquire", scripted)
    with ThreadPoolExecutor(2) as pool:
        a = pool.submit(get)
        assert publisher.sent_half.acquire(timeout=10)
        b = pool.submit(get)
        assert step_2.wait(10)
        assert not (cache / NAME).exists()
        step_3.set()
        assert a.result(10) == b.result(10) == cache / NAME
    assert len(publisher.asked) == 1


def test_who_waited_for_a_failure_tries_once_without_patience(
    get: Callable[..., Path], publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    publisher.default = Reply(500, b"")
    monkeypatch.setattr(hub, "_acquire", lambda lock, _target: bool(lock.acquire()))
    with pytest.raises(DownloadFailed):
        get()
    assert len(publisher.asked) == 1


def test_a_lock_that_never_comes_free_is_an_error(
    get: Callable[..., Path], publisher: Publisher, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "_LOCK_WAIT_S", 0.05)
    cache.mkdir()
    with hub._lock(cache / NAME), ThreadPoolExecutor(1) as pool:
        error = pool.submit(get).exception(10)
    assert isinstance(error, DownloadFailed)
    assert "process that is stopped" in str(error)
    assert not publisher.asked


@pytest.mark.slow
def test_a_killed_process_leaves_no_torn_file_and_the_next_one_resumes(
    get: Callable[..., Path], publisher: Publisher, cache: Path
) -> None:
    release = threading.Event()
    part = cache / f".{NAME}.part"
    publisher.replies.append(Reply(hold=release))
    process = child(publisher, cache)
    try:
        go(process)
        assert publisher.sent_half.acquire(timeout=20)
        wait_until(lambda: part.exists() and part.stat().st_size > 0)
    finally:
        process.kill()
        process.communicate(timeout=10)
        release.set()
    assert not (cache / NAME).exists()
    assert get().read_bytes() == WHOLE
    assert publisher.asked[-1].range not in (None, "bytes=0-")
    assert left_in(cache) == {NAME}


# ---- Connections that break


def test_a_cut_connection_is_resumed(get: Callable[..., Path], publisher: Publisher, cache: Path) -> None:
    publisher.replies.append(Reply(cut_at=HALF))
    assert get().read_bytes() == WHOLE
    first, second = publisher.asked
    assert first.range is None
    assert second.range
    assert second.if_range == '"v1"'
    assert HALF - download._CHUNK_BYTES <= int(second.range[6:-1]) <= HALF
    assert left_in(cache) == {NAME}


def test_a_date_is_enough_to_resume(get: Callable[..., Path], publisher: Publisher) -> None:
    date = {"Last-Modified": "Wed, 01 Jan 2025 00:00:00 GMT", "ETag": 'W/"weak"'}
    publisher.default = Reply(headers=date)
    publisher.replies.append(Reply(cut_at=HALF, headers=date))
    assert get().read_bytes() == WHOLE
    assert publisher.asked[1].if_range == date["Last-Modified"]


def test_without_ranges_it_starts_over(get: Callable[..., Path], publisher: Publisher) -> None:
    publisher.default = Reply(ranges=False)
    publisher.replies.append(Reply(cut_at=HALF, ranges=False))
    assert get().read_bytes() == WHOLE
    assert len(publisher.asked) == 2


def test_without_a_version_it_starts_over(get: Callable[..., Path], publisher: Publisher) -> None:
    publisher.default = Reply(headers={})
    publisher.replies.append(Reply(cut_at=HALF, headers={}))
    assert get().read_bytes() == WHOLE
    assert publisher.asked[1].range is None


def test_a_file_that_changed_meanwhile_is_not_mixed(get: Callable[..., Path], publisher: Publisher) -> None:
    """Seen to fail without `If-Range`: the first half of one file and the second half of another."""
    other = checkpoint(seed=1)
    publisher.default = Reply(body=other, headers={"ETag": '"v2"'})
    publisher.replies.append(Reply(cut_at=HALF))
    assert get().read_bytes() == other


def test_a_server_that_resumes_elsewhere_is_not_believed(get: Callable[..., Path], publisher: Publisher) -> None:
    publisher.replies.append(Reply(cut_at=HALF))
    publisher.replies.append(Reply(206, headers={"ETag": '"v1"', "Content-Range": f"bytes 7-9/{len(WHOLE)}"}))
    assert get().read_bytes() == WHOLE
    assert publisher.asked[2].range is None


def test_a_part_that_was_whole_already_starts_over(get: Callable[..., Path], publisher: Publisher, cache: Path) -> None:
    cache.mkdir()
    (cache / f".{NAME}.part").write_bytes(WHOLE)
    (cache / f".{NAME}.version").write_text('"v1"')
    assert get().read_bytes() == WHOLE
    assert [bool(asked.range) for asked in publisher.asked] == [True, False]


def test_a_part_with_a_spoilt_version_starts_over(get: Callable[..., Path], publisher: Publisher, cache: Path) -> None:
    cache.mkdir()
    (cache / f".{NAME}.part").write_bytes(b"x")
    (cache / f".{NAME}.version").write_bytes(b'"v1"\r\nX-Header: \xff')
    assert get().read_bytes() == WHOLE
    assert publisher.asked[0].range is None


def test_always_cut_fails_cleanly_and_the_next_call_goes_on(
    get: Callable[..., Path], publisher: Publisher, cache: Path
) -> None:
    publisher.replies.extend([Reply(cut_at=1000)] * 4)
    with pytest.raises(DownloadFailed, match=rf"of {len(WHOLE)} bytes|cut"):
        get()
    assert len(publisher.asked) == 4
    assert NAME not in left_in(cache)
    assert get().read_bytes() == WHOLE
    assert publisher.asked[4].range
    assert left_in(cache) == {NAME}


def test_what_can_not_be_resumed_is_not_kept(get: Callable[..., Path], publisher: Publisher, cache: Path) -> None:
    publisher.default = Reply(cut_at=HALF, headers={})
    with pytest.raises(DownloadFailed):
        get()
    assert left_in(cache) == set()


def test_a_silent_server_runs_into_the_time_out(
    get: Callable[..., Path], publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "_TIMEOUT_S", 0.1)
    release = threading.Event()
    publisher.replies.append(Reply(hold=release))
    assert get().read_bytes() == WHOLE
    assert len(publisher.asked) == 2
    release.set()


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_busy_server_is_asked_again(get: Callable[..., Path], publisher: Publisher, status: int) -> None:
    publisher.replies.extend([Reply(status, b"")] * 3)
    assert get().read_bytes() == WHOLE


def test_offline_the_error_says_what_was_tried_and_what_to_do(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "_PAUSES_S", (0.0,))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # bound and not listening: a connection is refused
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        with pytest.raises(DownloadFailed) as caught:
            hub.resolve(NAME, cache_dir=cache, base_url=url)
    message = str(caught.value)
    assert f"{url}/{NAME}" in message
    assert os.strerror(errno.ECONNREFUSED) in message
    assert f"put it at {cache / NAME}" in message
    assert str(pickle.loads(pickle.dumps(caught.value))) == message
    assert left_in(cache) == set()


# ---- Answers that are not the model


@pytest.mark.parametrize("status", [404, 410])
def test_a_name_that_is_not_published_is_not_found(
    get: Callable[..., Path], publisher: Publisher, cache: Path, status: int
) -> None:
    publisher.default = Reply(status, b"Not Found")
    with pytest.raises(ModelNotFound, match=rf"There is no {NAME} at {publisher.url}"):
        get()
    assert len(publisher.asked) == 1
    assert left_in(cache) == set()


def test_an_onnx_that_is_not_published_points_to_the_checkpoint(get: Callable[..., Path], publisher: Publisher) -> None:
    publisher.default = Reply(404, b"")
    with pytest.raises(ModelNotFound, match=r"use 'yolo11n\.pt', or export"):
        get("yolo11n.onnx")


def test_a_refusal_is_not_repeated(get: Callable[..., Path], publisher: Publisher) -> None:
    publisher.default = Reply(403, b"")
    with pytest.raises(DownloadFailed, match="answered 403"):
        get()
    assert len(publisher.asked) == 1


@pytest.mark.parametrize("headers", [{"Content-Type": "text/html; charset=utf-8"}, {}])
def test_a_web_page_is_called_a_web_page(
    get: Callable[..., Path], publisher: Publisher, cache: Path, headers: dict[str, str]
) -> None:
    publisher.default = Reply(body=b"\n<!DOCTYPE html><title>Sign in</title>", headers=headers)
    with pytest.raises(DownloadFailed, match="web page"):
        get()
    assert left_in(cache) == set()


def damaged() -> bytes:
    return WHOLE[:HALF] + bytes([WHOLE[HALF] ^ 1]) + WHOLE[HALF + 1 :]


def other_zip() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("readme.txt", "hello")
    return file.getvalue()


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        (Reply(length=HALF), "not a whole zip"),
        (Reply(body=b""), "not a whole zip"),
        (Reply(204, b""), "not a whole zip"),
        (Reply(body=b"garbage" * 100), "not a whole zip"),
        (Reply(body=damaged()), "checksum of 'yolov8n/data/0'"),
        (Reply(body=other_zip()), "no checkpoint"),
        (Reply(headers={"Content-MD5": base64.b64encode(bytes(16)).decode()}), "expected md5 0000"),
        (Reply(headers={"Digest": "sha-256=" + base64.b64encode(bytes(32)).decode()}), "expected sha256 0000"),
        (Reply(headers={"Repr-Digest": f"sha-256=:{base64.b64encode(bytes(32)).decode()}:"}), "expected sha256 0000"),
    ],
)
def test_what_fails_the_check_is_deleted(
    get: Callable[..., Path], publisher: Publisher, cache: Path, reply: Reply, why: str
) -> None:
    publisher.default = reply
    with pytest.raises(DownloadFailed, match=why):
        get()
    assert left_in(cache) == set()


def test_a_length_that_promises_too_much_is_a_cut(get: Callable[..., Path], publisher: Publisher, cache: Path) -> None:
    publisher.default = Reply(length=len(WHOLE) + 1, ranges=False, headers={})
    with pytest.raises(DownloadFailed):
        get()
    assert left_in(cache) == set()


def test_a_length_that_is_not_said_is_not_needed(get: Callable[..., Path], publisher: Publisher) -> None:
    publisher.default = Reply(length=UNSAID)
    assert get().read_bytes() == WHOLE


def test_a_cut_that_no_length_tells_is_found_by_the_check(
    get: Callable[..., Path], publisher: Publisher, cache: Path
) -> None:
    publisher.default = Reply(length=UNSAID, cut_at=HALF)
    with pytest.raises(DownloadFailed, match="not a whole zip"):
        get()
    assert left_in(cache) == set()


def test_digests_of_the_server_are_kept_through_a_resume(get: Callable[..., Path], publisher: Publisher) -> None:
    headers = {"ETag": '"v1"', "Content-MD5": base64.b64encode(hashlib.md5(WHOLE).digest()).decode()}
    publisher.replies.append(Reply(cut_at=HALF, headers=headers))
    publisher.default = Reply(headers=headers)
    assert get().read_bytes() == WHOLE
    assert publisher.asked[1].range


@pytest.mark.parametrize("right", [True, False])
def test_a_pinned_digest_decides(get: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, right: bool) -> None:
    pinned = hashlib.sha256(WHOLE if right else b"").hexdigest()
    monkeypatch.setitem(download.KNOWN_SHA256, NAME, pinned.upper())
    if right:
        assert get().read_bytes() == WHOLE
        return
    with pytest.raises(DownloadFailed, match="expected sha256"):
        get()


def test_the_publisher_s_files_are_pinned(get: Callable[..., Path], publisher: Publisher) -> None:
    # Before, whatever a mirror sent under a published name was taken, if it was a whole archive.
    assert download.KNOWN_SHA256.keys() <= hub.KNOWN_NAMES
    assert all(re.fullmatch("[0-9a-f]{64}", digest) for digest in download.KNOWN_SHA256.values())
    assert len(set(download.KNOWN_SHA256.values())) == len(download.KNOWN_SHA256)
    for name in ("yolov8n.pt", "yolo11x.pt", "yolo26s-seg.pt", "yolo26m-cls.pt"):
        with pytest.raises(DownloadFailed, match=rf"expected sha256 {download.KNOWN_SHA256[name]}, got"):
            get(name)


def test_an_onnx_model_is_taken(get: Callable[..., Path], publisher: Publisher) -> None:
    publisher.default = Reply(body=ONNX)
    assert get("yolo11n.onnx").read_bytes() == ONNX


def test_a_model_of_the_onnx_package_is_taken(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    value = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1])
    node = onnx.helper.make_node("Identity", ["x"], ["y"])
    graph = onnx.helper.make_graph([node], "g", [value], [onnx.helper.make_tensor_value_info("y", 1, [1])])
    onnx.save(onnx.helper.make_model(graph), tmp_path / "a.onnx")
    assert download._content_fault(tmp_path / "a.onnx", ".onnx") is None


@pytest.mark.parametrize("size", range(len(ONNX)))
def test_an_onnx_model_cut_anywhere_is_refused(tmp_path: Path, size: int) -> None:
    (tmp_path / "a.onnx").write_bytes(ONNX[:size])
    assert download._content_fault(tmp_path / "a.onnx", ".onnx")


@pytest.mark.parametrize("body", [b"PK\3\4", b"{}", b"\x08" + b"\xff" * 20, b"\0\0", WHOLE[:5000]])
def test_what_is_no_onnx_model_is_refused(tmp_path: Path, body: bytes) -> None:
    (tmp_path / "a.onnx").write_bytes(body)
    assert download._content_fault(tmp_path / "a.onnx", ".onnx")


# ---- Disks


def test_a_folder_that_can_not_be_made_is_an_error(publisher: Publisher, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DownloadFailed, match=r"could not be stored in .*YOLOOM_CACHE"):
        hub.resolve(NAME, cache_dir=tmp_path / "file" / "models", base_url=publisher.url)
    assert not publisher.asked


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a disk that is always full")
def test_a_full_disk_is_an_error_and_gets_its_room_back(get: Callable[..., Path], cache: Path) -> None:
    cache.mkdir()
    (cache / f".{NAME}.part").symlink_to("/dev/full")
    with pytest.raises(DownloadFailed, match=os.strerror(errno.ENOSPC)):
        get()
    assert left_in(cache) == set()


def test_a_rename_that_is_refused_is_an_error(get: Callable[..., Path], cache: Path) -> None:
    (cache / NAME).mkdir(parents=True)
    with pytest.raises(DownloadFailed, match="could not be stored"):
        get()
    assert left_in(cache) == {NAME}


def test_the_bytes_are_on_disk_before_the_name_is(get: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[str] = []

    def noted(name: str) -> Callable[..., None]:
        original = getattr(os, name)

        def call(*arguments: object) -> None:
            steps.append(name)
            original(*arguments)

        return call

    for name in ("fsync", "replace"):
        monkeypatch.setattr(os, name, noted(name))
    get()
    assert steps == ["fsync", "replace"]


# ---- What the user sees


def test_the_licence_is_said_once_for_each_cache(get: Callable[..., Path], caplog: pytest.LogCaptureFixture) -> None:
    get()
    get("yolov9s.pt")
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "AGPL-3.0" in caplog.text


def test_without_a_terminal_it_is_silent(get: Callable[..., Path], capfd: pytest.CaptureFixture[str]) -> None:
    get()
    assert capfd.readouterr() == ("", "")


def test_the_bar_and_the_licence_are_on_stderr(
    get: Callable[..., Path], capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    get(progress=True)
    out, err = capsys.readouterr()
    assert not out
    assert NAME in err
    assert "AGPL-3.0" in err
    assert not caplog.records


@pytest.mark.parametrize("stderr", [None, "terminal", "file"])
def test_the_bar_is_for_terminals(monkeypatch: pytest.MonkeyPatch, stderr: str | None) -> None:
    stream = io.StringIO()
    stream.isatty = lambda: stderr == "terminal"  # type: ignore[method-assign]
    monkeypatch.setattr(sys, "stderr", stream if stderr else None)
    shown = hub._has_terminal()
    monkeypatch.undo()
    assert shown == (stderr == "terminal")
