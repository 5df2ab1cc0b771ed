"""What Ultralytics finds with exported files. Runs in the oracle's environment.

    python tools/oracle_exports.py FOLDER IMAGE

For each NAME.onnx in FOLDER, NAME.answers.npz holds one case, as tools/oracle_tasks.py writes it.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import numpy as np

from oracle_tasks import answers

OPTIONS = {"imgsz": 320, "conf": 0.3, "max_det": 40}


def main(folder: Path, image: Path) -> None:
    shutil.copy(image, folder)
    for path in sorted(folder.glob("*.onnx")):
        np.savez(path.with_suffix(".answers.npz"), **answers(path, [(image.name, OPTIONS)]))


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve())
