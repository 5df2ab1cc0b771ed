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
.licence-said          the licence of the weights was shown here once
```
"""

from __future__ import annotations

import difflib
import logging
import os
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from yoloom.errors import DownloadFailed, InvalidOption, ModelNotFound, YoloomError
from yoloom.system.user_cache import user_cache

if TYPE_CHECKING:
    from filelock import BaseFileLock

    from yoloom.store.download import Tick

__all__ = ["KNOWN_NAMES", "RELEASE_URL", "cache_folder", "resolve"]

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
"""The file names that `resolve` may request from the publisher."""

_LICENCE = (
    "Ultralytics publishes its weights (here: {name}) under AGPL-3.0, unless you hold its Enterprise License "
    "(https://www.ultralytics.com/license). The Apache-2.0 licence of yoloom does not cover them. "
    "This is said once for each cache folder."
)

_PAUSES_S = (0.5, 1.0, 2.0)  # between attempts
_LOCK_WAIT_S = 3600.0
_log = logging.getLogger("yoloom.hub")


def resolve(
    name: str | os.PathLike[str],
    *,
    cache_dir: Path | None = None,
    base_url: str | None = None,
    progress: bool | None = None,
) -> Path:
    """Return the absolute path of a model file or folder, downloaded first if it is a known name that is not here yet.

    A local path wins, then the cache, then the publisher's release. Thread safety: any number of threads, and of
    processes: they make one download.

    Args:
        name: A path, or one of `KNOWN_NAMES`.
        cache_dir: The folder of downloads, `cache_folder` when None.
        base_url: The http(s) address that has the files, `YOLOOM_MODEL_URL` or the publisher's release when None.
        progress: Whether to show a bar on stderr; by default only on a terminal.

    Raises:
        ModelNotFound: The name is neither a path, nor known, nor published.
        DownloadFailed: The file can not be had whole, or not be stored.
        InvalidOption: The address is not http(s).
    """
    if not isinstance(name, (str, os.PathLike)):
        raise ModelNotFound(f"Expected the path or the name of a model, got {type(name).__name__}.")
    text = os.fsdecode(name)
    if text and os.path.exists(text):
        return Path(text).absolute()
    if f"{text}.pt" in KNOWN_NAMES:  # "yolov8n", as people write it
        return resolve(f"{text}.pt", cache_dir=cache_dir, base_url=base_url, progress=progress)
    if text not in KNOWN_NAMES:
        raise _not_found(text)
    target = Path(cache_dir or cache_folder()).absolute() / text
    if not os.path.isfile(target):
        base = base_url or os.environ.get("YOLOOM_MODEL_URL") or RELEASE_URL
        if not re.match(r"https?://[^/\s]", base, re.IGNORECASE):
            raise InvalidOption(f"Expected an http(s) address for base_url or YOLOOM_MODEL_URL, got {base!r}.")
        _fetch_once(target, f"{base.rstrip('/')}/{text}", progress)
    return target


def _not_found(name: str) -> ModelNotFound:
    """Make the error for a name that is neither a file nor published, with the nearest thing that is."""
    bare = Path(name).name.lower()
    if bare.startswith(("http:", "https:", "rtsp:")) or "://" in name:
        way_out = "An address is not opened: download the file, and give its path."
    elif bare.endswith((".yaml", ".yml")):
        trained = bare.rpartition(".")[0] + ".pt"
        way_out = "A .yaml describes a network without weights: open a trained one" + (
            f", {trained!r}." if trained in KNOWN_NAMES else ", a .pt file."
        )
    elif bare.startswith(("rtdetr", "sam", "fastsam", "mobile_sam", "yolo_nas")) or "world" in bare or "yoloe" in bare:
        way_out = "It names a network that yoloom does not run: run it with Ultralytics."
    else:
        near = difflib.get_close_matches(bare, sorted(KNOWN_NAMES, reverse=True), n=1)
        way_out = f"Did you mean {near[0]!r}? Check the path." if near else "Check the path."
    return ModelNotFound(
        f"Expected a model file or folder that exists, or the bare name of a published one such as 'yolov8n.pt'; "
        f"got {name!r}, which is neither. {way_out}"
    )


def cache_folder() -> Path:
    """Return the folder of downloads: `models` in `user_cache`, read at each call. Creates nothing.

    Raises:
        DownloadFailed: This user has no home folder.
    """
    try:
        return user_cache() / "models"
    except RuntimeError as error:
        raise DownloadFailed("This user has no home folder for downloads: set YOLOOM_CACHE to a folder.") from error


def _fetch_once(target: Path, url: str, progress: bool | None) -> None:
    from yoloom.store.download import Download  # here, because most calls find their file, and HTTP is slow to import

    shown = _has_terminal() if progress is None else progress
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _lock(target) as has_waited:
            # Ten threads see no file. One of them downloads it; the other nine wait here, and then the file is there.
            if target.is_file():
                return
            # Or it is not, because the holder of the lock has just failed. Offline, with all pauses for each of the
            # nine in turn, the last one would fail after half a minute: the others try once.
            pauses = () if has_waited else _PAUSES_S
            with _progress_bar(target.name, shown) as tick:
                Download(target, url).run(pauses, tick)
            _show_licence(target, shown)
    except YoloomError:
        raise
    except OSError as error:
        raise DownloadFailed(
            f"{target.name} could not be stored in {str(target.parent)!r}: {error}. "
            f"Make room or give write permission there, or set YOLOOM_CACHE to another folder."
        ) from error


@contextmanager
def _lock(target: Path) -> Iterator[bool]:
    """Hold the target's lock between threads and processes; yield whether another one held it before."""
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


def _show_licence(target: Path, shown: bool) -> None:
    text = _LICENCE.format(name=target.name)
    try:
        target.with_name(".licence-said").open("x").close()
    except FileExistsError:
        return
    if shown:
        sys.stderr.write(f"{text}\n")
    else:
        _log.warning(text)


def _has_terminal() -> bool:
    return sys.stderr is not None and sys.stderr.isatty()


@contextmanager
def _progress_bar(name: str, shown: bool) -> Iterator[Tick]:
    if not shown:
        yield lambda _done, _total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

    columns = ("{task.description}", BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(name, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
