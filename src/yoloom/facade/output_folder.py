"""The folders that a handle writes to: one for all its calls with the same place, and never another handle's."""

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
    """The pictures, texts and crops of one handle. Thread safety: any number of threads."""

    def __init__(self, path: Path) -> None:
        """Write to `path`, a folder that exists."""
        self.path = path
        # Guards the stems in use: two sources may have the same file name, as all arrays have.
        self._lock = threading.Lock()
        self._stems: set[str] = set()
        self._numbers: dict[str, int] = {}  # where to go on looking, or the thousandth array would look at all others

    def write(self, results: Results, options: SaveOptions) -> None:
        """Write the picture, the text and the crops of one image, as far as `options` ask for them.

        Raises:
            InvalidOption: A file can not be written.
        """
        source = Path(results.path)
        with self._lock:
            number = self._numbers.get(source.stem, 1)
            while (stem := f"{source.stem}-{number}" if number > 1 else source.stem) in self._stems:
                number += 1
            self._numbers[source.stem] = number + 1
            self._stems.add(stem)
        if options.save:
            suffix = source.suffix if writes_color(source.suffix) else ".jpg"
            results.save(self.path / f"{stem}{suffix}", **plot_options(options))
        if options.save_txt:
            results.save_txt(self.path / "labels" / f"{stem}.txt", save_conf=options.save_conf)
        if options.save_crop:
            results.save_crop(self.path / "crops", f"{stem}.jpg")


class OutputFolders:
    """The output folders of one handle: calls that ask for the same place share one, as in Ultralytics.

    Thread safety: any number of threads.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()  # guards the table; folders are made under it, so that each place has one
        self._folders: dict[tuple[object, ...], OutputFolder] = {}

    def find(self, options: SaveOptions, task: str) -> OutputFolder | None:
        """Find the folder of a call, made at the first one; None when the call writes nothing.

        It is `project`/`name`, by default runs/`task`/predict; with a number behind it when another program, handle or
        run has made it before and `exist_ok` is False. `save_dir` is taken as it is.

        Raises:
            InvalidOption: The folder can not be made.
        """
        if not options.writes:
            return None
        place = options.save_dir, options.project, options.name, options.exist_ok, task, Path.cwd()
        with self._lock:
            if place not in self._folders:
                self._folders[place] = OutputFolder(_make_folder(options, task))
            return self._folders[place]


def _make_folder(options: SaveOptions, task: str) -> Path:
    path = Path(options.project or DEFAULT_PROJECT / task) / (options.name or "predict")
    path = Path(options.save_dir) if options.save_dir else path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if options.exist_ok or options.save_dir:
            path.mkdir(exist_ok=True)
            return path
        for number in itertools.count(1):
            # `mkdir` decides the race between handles: of all that try one name, it succeeds for one. Looking first and
            # creating then would let two of them share a folder.
            tried = path.with_name(f"{path.name}-{number}" if number > 1 else path.name)
            with contextlib.suppress(FileExistsError):
                tried.mkdir()
                break
        return tried
    except OSError as error:
        raise InvalidOption(f"the output folder {path} can not be made: {error.strerror or error}") from error


def plot_options(options: SaveOptions) -> dict[str, bool | int | None]:
    """Return the keyword arguments of `Results.plot` that a call asked for."""
    return {
        "conf": options.show_conf,
        "labels": options.show_labels,
        "boxes": options.show_boxes,
        "line_width": options.line_width,
    }
