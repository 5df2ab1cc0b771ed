"""What Ultralytics finds with exported model files. Runs in the oracle's environment, with OpenVINO.

    python tools/oracle_exports.py FOLDER

FOLDER/asked.json is a list of {"file", "task", "cases"}, each case [image, options]. For each file FOLDER gets its
answers, see oracle_tasks.py. OpenVINO computes in 32 bits, also where the CPU would have it faster in 16.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import openvino

from oracle_tasks import answers


def compute_in_32_bits() -> None:
    compile_model = openvino.Core.compile_model

    def exactly(core: Any, model: Any, device_name: str, config: dict[str, Any]) -> Any:
        return compile_model(core, model, device_name, {**config, "INFERENCE_PRECISION_HINT": "f32"})

    openvino.Core.compile_model = exactly


def main(folder: Path) -> None:
    compute_in_32_bits()
    for asked in json.loads((folder / "asked.json").read_text()):
        path = folder / asked["file"]
        np.savez_compressed(path.with_suffix(".answers.npz"), **answers(path, asked["cases"], asked["task"]))


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
