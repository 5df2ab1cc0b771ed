"""Write docs/parity.md: how far yoloom's outputs and results are from those of Ultralytics, for every network.

    PYTHONPATH=tests python tools/parity_table.py .oracle/files/ultralytics

Needs the files that tools/make_oracle.sh makes.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from checkpoint_parity import RUNNERS, Parity, compare
from task_parity import Final, compare_final

PAGE = Path(__file__).resolve().parent.parent / "docs" / "parity.md"
TASKS = {"-seg": "segment", "-pose": "pose", "-obb": "obb", "-cls": "classify"}
HEAD = """# Parity with Ultralytics

How far yoloom is from Ultralytics 8.4.190 on the CPU, in float32, for every family of networks in its smallest
scale and at least one larger, for every task it has. Written by `tools/parity_table.py`; `make oracle` checks every
row against the limits, in ONNX Runtime those of files below 12 MB.

**Method.** The networks have random weights, made as lively as trained ones: norms with the statistics of noise and
of photographs, scores that differ from anchor to anchor, one anchor in five above a confidence of 0.25. Ultralytics
writes the checkpoint, yoloom opens it.

- *Raw*: the largest difference of an output for random input of odd, non-square sizes (3 x 5 strides, batch 2),
  relative to the value, but at least to 1 and to the mean size of its channel; of v10 and 26 for both heads. Limit
  1e-4. The reference is the eager network before it is fused; yoloom's is in OpenVINO and in ONNX Runtime (*ORT*).
  What is left is rounding: of yolov10x, which has the largest, Ultralytics itself is 4.3e-5 from its own outputs in
  float64, and yoloom 3.3e-5 in OpenVINO, 2.3e-5 in ONNX Runtime.
- *Results*: `predict` on photographs (two, and a piece of odd size), with several sizes, confidences, IoU limits,
  classes, `max_det`, class-agnostic NMS, `rect=False` and `nms=False`, spread over the networks. Largest difference
  of a box, keypoint or oriented box in pixels (limit 0.1), of an angle in radians (limit 1e-3), of a confidence or
  probability (limit 1e-3), and of a mask, 1 - IoU (limit 0.01). Detections are paired by nearest. One without a partner
  must be due to rounding (*ties*): its score is within 1e-4 of the confidence asked for or of the last of `max_det`, it
  has won a draw, or an IoU limit moved by 1e-3 decides. More than two and 0.5 % of them fail.
- *Exports*: `tests/oracle/test_exports.py` has Ultralytics open ONNX files and OpenVINO folders that yoloom wrote, of
  every task, static and dynamic, of 16 bits, and without NMS, and holds its results to the same limits.

**Where the method ends.** Trained weights are compared for one network only, a YOLOv8s (90 cases in
`tests/oracle/test_parity.py`, within 0.1 px and 1e-3). Networks of other than three channels, and
more than one larger of a family and task, are compared in their raw outputs only.
"""


def main(folder: Path) -> None:
    paths = sorted(path.with_suffix(".pt") for path in folder.glob("*.npz") if ".answers" not in path.name)
    rows = []
    for path in sorted(paths, key=lambda path: (_family(path.stem), _task(path.stem), path.stem)):
        raw = [compare(path, run) for run in RUNNERS.values()]
        final = compare_final(path) if path.with_suffix(".answers.npz").exists() else None
        rows.append(_row(path.stem, raw, final))
        print(rows[-1], flush=True)
    table = (
        "| network | task | raw | ORT | pixels | radians | confidence | mask | detections | ties |\n"
        "|---|---|---|---|---|---|---|---|---|---|\n"
    )
    PAGE.write_text(f"{HEAD}\n{table}" + "\n".join(rows) + "\n", encoding="utf-8")


def _row(name: str, raw: list[Parity], final: Final | None) -> str:
    task = raw[0].task
    found = [""] * 6
    if final is not None:
        pixels = "" if task == "classify" else f"{final.pixels:.4f}"
        radians = f"{final.radians:.1e}" if task == "obb" else ""
        mask = f"{final.mask:.4f}" if task == "segment" else ""
        found = [pixels, radians, f"{final.confidence:.1e}", mask, str(final.found), str(final.ties)]
    worst = [f"{parity.worst:.1e}" for parity in raw]
    return "| " + " | ".join([name.replace(":", ", "), task, *worst, *found]) + " |"


def _family(name: str) -> int:
    """3, 5, 6, 8, 9, 10, 11, 12, 26."""
    return int(re.findall(r"\d+", name)[0])


def _task(name: str) -> str:
    return next((task for suffix, task in TASKS.items() if suffix in name), "")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
