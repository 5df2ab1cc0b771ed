"""The folder that one call writes to: each call has its own, however many begin at the same moment."""

from __future__ import annotations

import contextlib
import itertools
import threading
from pathlib import Path

from yoloom.errors import InvalidOption
from yoloom.options import SaveOptions
from yoloom.results.results import Results
from yoloom.results.save import writes_color

DEFAULT_PROJECT = Path("runs")


class OutputFolder:
    """The pictures, texts and crops of one call. Thread safety: any number of threads."""

    def __init__(self, path: Path, options: SaveOptions) -> None:
        """Write to `path`, a folder that exists, what `options` ask for."""
        self.path = path
        self._options = options
        # Guards the stems in use: two sources of one call may have the same file name.
        self._lock = threading.Lock()
        self._stems: set[str] = set()

    def write(self, results: Results) -> None:
        """Write the picture, the text and the crops of one image, as far as the call asked for them.

        Raises:
            InvalidOption: A file can not be written.
        """
        options = self._options
        source = Path(results.path)
        with self._lock:
            names = itertools.chain([source.stem], (f"{source.stem}-{number}" for number in itertools.count(2)))
            stem = next(name for name in names if name not in self._stems)
            self._stems.add(stem)
        if options.save:
            suffix = source.suffix if writes_color(source.suffix) else ".jpg"
            results.save(self.path / f"{stem}{suffix}", **plot_options(options))
        if options.save_txt:
            results.save_txt(self.path / "labels" / f"{stem}.txt", save_conf=options.save_conf)
        if options.save_crop:
            results.save_crop(self.path / "crops", f"{stem}.jpg")


def open_output(options: SaveOptions, task: str) -> OutputFolder | None:
    """Create the folder of one call, or return None when the call writes nothing.

    It is `project`/`name`, by default runs/`task`/predict; with a number behind it when it exists and `exist_ok` is
    False.

    Raises:
        InvalidOption: The folder can not be made.
    """
    if not options.writes:
        return None
    base = Path(options.project or DEFAULT_PROJECT / task) / (options.name or "predict")
    try:
        base.parent.mkdir(parents=True, exist_ok=True)
        if options.exist_ok:
            base.mkdir(exist_ok=True)
            return OutputFolder(base, options)
        path, number = base, 1
        while True:
            # `mkdir` decides the race between callers: of all that try one name, it succeeds for one. Looking first and
            # creating then would let two of them share a folder.
            with contextlib.suppress(FileExistsError):
                path.mkdir()
                return OutputFolder(path, options)
            number += 1
            path = base.with_name(f"{base.name}{number}")
    except OSError as error:
        raise InvalidOption(f"the output folder {base} can not be made: {error.strerror or error}") from error


def plot_options(options: SaveOptions) -> dict[str, bool | int | None]:
    """Return the keyword arguments of `Results.plot` that a call asked for."""
    return {
        "conf": options.show_conf,
        "labels": options.show_labels,
        "boxes": options.show_boxes,
        "line_width": options.line_width,
    }
