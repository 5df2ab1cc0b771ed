"""The folder that one call writes to: its own, however many calls begin at the same moment."""

from __future__ import annotations

import itertools
import threading
from pathlib import Path

from yoloom.errors import InvalidOption
from yoloom.options import SaveOptions
from yoloom.results.results import Results
from yoloom.results.save import writes_color

DEFAULT_PROJECT = Path("runs")


class OutputFolder:
    """Where the pictures, texts and crops of one call go. Shared freely."""

    def __init__(self, path: Path, options: SaveOptions) -> None:
        self.path = path
        self._options = options
        # Guards the stems in use: two sources of one call may have the same file name.
        self._lock = threading.Lock()
        self._stems: set[str] = set()

    def write(self, results: Results) -> None:
        """Write what the call asked for."""
        options = self._options
        source = Path(results.path)
        stem = self._free_stem(source.stem)
        if options.save:
            suffix = source.suffix if writes_color(source.suffix) else ".jpg"
            results.save(self.path / f"{stem}{suffix}", **plot_options(options))
        if options.save_txt:
            results.save_txt(self.path / "labels" / f"{stem}.txt", save_conf=options.save_conf)
        if options.save_crop:
            results.save_crop(self.path / "crops", f"{stem}.jpg")

    def _free_stem(self, stem: str) -> str:
        with self._lock:
            names = itertools.chain([stem], (f"{stem}-{number}" for number in itertools.count(2)))
            free = next(name for name in names if name not in self._stems)
            self._stems.add(free)
            return free


def open_output(options: SaveOptions, task: str) -> OutputFolder | None:
    """The folder for one call, made now; None when the call writes nothing.

    `project`/`name`, by default runs/`task`/predict; with a number behind it when it exists and `exist_ok` is False.
    """
    if not options.writes:
        return None
    base = Path(options.project or DEFAULT_PROJECT / task) / (options.name or "predict")
    try:
        return OutputFolder(_made(base, options.exist_ok), options)
    except OSError as error:
        raise InvalidOption(f"the output folder {base} can not be made: {error.strerror or error}") from error


def plot_options(options: SaveOptions) -> dict[str, bool | int | None]:
    """The keyword arguments of `Results.plot` that a call asked for."""
    return {
        "conf": options.show_conf,
        "labels": options.show_labels,
        "boxes": options.show_boxes,
        "line_width": options.line_width,
    }


def _made(base: Path, exist_ok: bool) -> Path:
    base.parent.mkdir(parents=True, exist_ok=True)
    if exist_ok:
        base.mkdir(exist_ok=True)
        return base
    path, number = base, 1
    while not _newly_made(path):
        number += 1
        path = base.with_name(f"{base.name}{number}")
    return path


def _newly_made(path: Path) -> bool:
    try:
        path.mkdir()  # decides the race between callers; looking first and making then would not
    except FileExistsError:
        return False
    return True
