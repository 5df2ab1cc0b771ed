"""What a process does while its memory runs out: each step's outcome is one line of JSON.

    python pressure_steps.py SCENARIO LIMIT_MIB MODEL OTHER FOLDER

The limit is of address space, beyond what is in use after the imports; 0 is none. An outcome is the digest of the rows,
or the name of an error that is typed (a YoloomError) or clean (a MemoryError). Anything else ends the process.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import json
import os
import resource
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import yoloom
from yoloom import YOLO, Workers
from yoloom.errors import YoloomError
from yoloom.results.results import Results

SIZES = (320, 1024, 320, 2048, 640, 320)
PATIENCE_S = 60


def digest(results: Results) -> str:
    return hashlib.sha256(results.boxes.data.tobytes()).hexdigest()[:12]


class Steps:
    """Runs steps, and prints how each ended."""

    def __init__(self, model: str, other: str, folder: Path) -> None:
        self.model, self.other, self.folder = model, other, folder
        self.picture = str(Path(yoloom.__file__).parent / "assets" / "scene-1.jpg")

    def step(self, name: str, work: Callable[[], object]) -> None:
        try:
            outcome = {"right": work()}
        except (YoloomError, MemoryError) as error:
            outcome = {"error": type(error).__name__, "text": str(error)[:1000]}
        os.write(1, (json.dumps({"step": name, **outcome}) + "\n").encode())  # in one piece, also of many threads

    @contextlib.contextmanager
    def opened(self, **options: object) -> Iterator[YOLO]:
        """A model, or nothing to do where it can not be opened."""
        found: list[YOLO] = []
        self.step("open", lambda: found.append(YOLO(self.model, **options)))
        for model in found:
            with model:
                yield model
            return
        yield None  # type: ignore[misc]

    def sizes(self, model: YOLO | None, sizes: tuple[int, ...] = SIZES) -> None:
        for number, size in enumerate(sizes if model is not None else ()):
            self.step(
                f"{number}: {size}",
                lambda size=size: digest(model.predict(self.picture, imgsz=size, conf=0.05, timeout=PATIENCE_S)[0]),
            )

    # ---- Scenarios

    def one_thread(self) -> None:
        with self.opened(threads=1) as model:
            self.sizes(model)

    def two_threads(self) -> None:
        with self.opened(threads=2) as model:
            self.sizes(model)

    def onnxruntime(self) -> None:
        with self.opened(threads=1, backend="onnxruntime") as model:
            self.sizes(model)

    def many(self) -> None:
        """Both forms: several callers at once, each with sizes of its own."""
        with self.opened(threads=2) as model:
            if model is None:
                return

            def ask(caller: int) -> None:
                for size in (320, 640 + 320 * caller, 320):
                    self.step(
                        f"{caller}: {size}",
                        lambda size=size: digest(model.predict(self.picture, imgsz=size, conf=0.05, timeout=60)[0]),
                    )

            callers = [threading.Thread(target=ask, args=(caller,)) for caller in range(3)]
            started = []
            for caller in callers:
                with contextlib.suppress(RuntimeError):  # no thread to be had
                    caller.start()
                    started.append(caller)
            for caller in started:
                caller.join()

    def swap(self) -> None:
        """The rows of the model that serves: the other one, unless it could not be opened."""
        with self.opened(threads=1) as model:
            if model is None:
                return
            swapped: list[bool] = []
            self.sizes(model, (320,))
            self.step("swap", lambda: swapped.append(model.swap(self.other) is None))
            name = "after" if swapped else "before"
            self.step(name, lambda: digest(model.predict(self.picture, imgsz=640, conf=0.05, timeout=60)[0]))

    def workers(self) -> None:
        with self.opened(threads=1, workers=Workers(1, restarts=2)) as model:
            self.sizes(model, (320, 1024, 320))

    def export(self) -> None:
        target = self.folder / "exported_openvino_model"

        def exported() -> str:
            from yoloom.facade.export_model import export_model, parse_export_options

            export_model(Path(self.model), parse_export_options({"format": "openvino"}), target)
            return hashlib.sha256((target / "demo.bin").read_bytes()).hexdigest()[:12]

        self.step("export", exported)
        self.step("left", lambda: sorted(os.listdir(self.folder)) if not target.exists() else None)


def main() -> None:
    scenario, limit_mib, model, other, folder = sys.argv[1:]
    for module in ("yoloom.runtime.openvino", "yoloom.runtime.onnxruntime"):
        with contextlib.suppress(yoloom.errors.BackendUnavailable):
            importlib.import_module(module)
    steps = Steps(model, other, Path(folder))
    if int(limit_mib):
        used = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
        resource.setrlimit(resource.RLIMIT_AS, (used + int(limit_mib) * 2**20,) * 2)
    getattr(steps, scenario)()


if __name__ == "__main__":
    main()
