"""Write docs/precision.md from what benchmarks/precision.py measured.

python tools/precision_table.py
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "precision.md"
RESULTS = ROOT / "benchmarks" / "results" / "precision.json"
DISTURBED = 0.1
"""Others that take more than this part of the machine make rates doubtful."""

HEAD = """# Precision

`YOLO(path, precision=...)`, and `--precision` on the command line, say what a network is computed with.

- `"fp32"`: float32, the default. The parity with Ultralytics ([parity.md](parity.md)) is that of float32.
- `"bf16"`: bfloat16, which has the range of float32 and a significand of 8 bits. It is there where OpenVINO lists it
  among what the CPU computes natively (AVX512-BF16, AMX), and an `UnsupportedOption` elsewhere and with ONNX Runtime.
- `"auto"`: bfloat16 where `"bf16"` is there and known to be faster (AMX, and AMD's AVX512-BF16), else float32: on
  Intel's CPUs with AVX512-BF16 and without AMX it takes 1.5 times as long.

`yoloom info MODEL` says which ones this machine offers, and `model.guarantee()` which one a handle has. Handles on one
file share an engine, and its weights, when their precision is the same. A pickled handle carries what was asked for, so
`"auto"` is decided anew where it arrives.

A network that was quantised when it was exported (ONNX with QuantizeLinear, IR with FakeQuantize) computes with 8-bit
whole numbers in any case, and `guarantee()` says `"int8"`, with the precision of the rest behind it where that is not
float32. Where its scales are taken from the values of each run (DynamicQuantizeLinear), images are never batched: they
would change each other's bits. Operators that ONNX Runtime alone defines (QLinearAdd, QLinearMul, ...) are refused by
OpenVINO's backend, because OpenVINO 2026.4 gives wrong numbers for some of them without an error.

What follows the last convolutions of a network (the decoding of boxes, NMS in the graph) stays in float32, so
coordinates are not rounded to every second or fourth pixel. OpenVINO would also accept bfloat16 on other CPUs with
AVX-512 and emulate it, at 0.4 of float32's speed (measured): yoloom refuses that.

This page is written by `tools/precision_table.py` from what `benchmarks/precision.py` measured.
"""

LIMITS = """## Where the method ends

One machine. CPUs with AMX have other kernels of bfloat16, whose bits were not compared: `yoloom`'s contract tests
(`tests/runtime/test_contract.py`) compare them wherever they run. The trained network is one, with two classes. The
photographs are two, and of what is found below a confidence of 0.1 in them much is noise.
"""


def main() -> None:
    PAGE.write_text(page(json.loads(RESULTS.read_text(encoding="utf-8"))), encoding="utf-8")


def page(measured: Mapping[str, Any]) -> str:
    """The whole page."""
    parts = [
        HEAD,
        _where(measured),
        _bits(measured["bits"]),
        _precision(measured["average_precision"]),
        _agreement(measured["agreement"]),
        _speed(measured["speed"]),
        LIMITS,
    ]
    return "\n".join(parts)


def _where(measured: Mapping[str, Any]) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in measured["versions"].items())
    machine = measured["machine"]
    return f"All figures: {machine['cores']} virtual cores of an {machine['cpu']} with AVX512-BF16;\n{versions}.\n"


def _bits(rows: Sequence[Mapping[str, Any]]) -> str:
    compared, different = (sum(row[name] for row in rows) for name in ("compared", "different"))
    finding = "Not one differs" if not different else f"{different} differ"
    tasks = ", ".join(sorted({row["task"] for row in rows}))
    return f"""## Same bits

A result in bfloat16 has the same bits whatever else runs, as in float32. {len(rows)} files with networks of all
families ({tasks}) were run in both forms, on one thread and on two, in batches of
1, 2 and 4 where the batch is free, with sizes of odd multiples of the stride.
Of {compared} images, each was compared with the same image alone in the LATENCY form.
{finding}.
"""


def _precision(found: Mapping[str, Any]) -> str:
    rows = [f"| {name} | {found[name]['map50']:.4f} | {found[name]['map50_95']:.4f} |" for name in ("fp32", "bf16")]
    count = found["scenes"]
    head = f"## Average precision\n\nThe bundled model on {count} scenes that it was not trained on, 640 x 480.\n"
    return "\n".join([head, "| | mAP50 | mAP50-95 |", "|---|---|---|", *rows, ""])


def _agreement(found: Mapping[str, Any]) -> str:
    cases = found["cases"]
    pairs, alone = (sum(row[name] for row in cases) for name in ("pairs", "alone"))
    pixels, score = (max(row[name] for row in cases) for name in ("pixels_max", "score_max"))
    return f"""## Boxes and confidences

A trained YOLOv8s (`{found["model"]}`) in both precisions. Detections of one class are pairs when they overlap by an IoU
of {found["least_iou"]} or more, the best first. *Alone* counts those of either side without a partner, with how far the
surest of them is above the confidence that was asked for. Differences of coordinates are in pixels of the photograph.

{_agreement_table(cases)}
All cases: {pairs} pairs, {alone} alone; the largest difference of a coordinate is {pixels:.2f} px, of a confidence
{score:.4f}.
"""


def _agreement_table(cases: Sequence[Mapping[str, Any]]) -> str:
    head = (
        "| image | imgsz | conf | pairs | alone | alone, above conf | px, mean | px, largest | confidence, largest |\n"
        "|---|---|---|---|---|---|---|---|---|\n"
    )
    return head + "".join(_agreement_row(row) for row in cases)


def _agreement_row(row: Mapping[str, Any]) -> str:
    size = row["imgsz"] if isinstance(row["imgsz"], int) else " x ".join(map(str, row["imgsz"]))
    alone = f"{row['alone_above_conf']:.4f}" if row["alone"] else ""
    return (
        f"| {row['image']} | {size} | {row['conf']} | {row['pairs']} | {row['alone']} | {alone} "
        f"| {row['pixels_mean']:.2f} | {row['pixels_max']:.2f} | {row['score_max']:.4f} |\n"
    )


def _speed(found: Mapping[str, Any]) -> str:
    head = """## Speed

Both precisions are open in one process and take turns. *CPU time* is that of float32 for an image over that of
bfloat16, from the medians of the rounds. *Images per second* is the rate of bfloat16 over that of float32, the median
of the rounds with the smallest and the largest. The last column is what others took of the machine meanwhile.

| network | callers | CPU time | CPU-ms an image, fp32 and bf16 | images per second | taken by others |
|---|---|---|---|---|---|
"""
    rows = [_speed_row(name, callers, timed) for name, timed in found.items() for callers in timed["bf16_over_fp32"]]
    return head + "".join(rows) + _disturbed(found)


def _speed_row(network: str, callers: str, timed: Mapping[str, Any]) -> str:
    ratio = timed["bf16_over_fp32"][callers]
    exact, brief = (timed["contenders"][f"{precision} {callers}"] for precision in ("fp32", "bf16"))
    cpu = [one["cpu_ms_per_image"]["median"] for one in (exact, brief)]
    others = max(one["taken_by_others"]["median"] for one in (exact, brief))
    return (
        f"| {network} | {callers} | {cpu[0] / cpu[1]:.2f} | {cpu[0]:.0f} and {cpu[1]:.0f} "
        f"| {ratio['median']:.2f} ({ratio['min']:.2f} to {ratio['max']:.2f}) | {others:.0%} |\n"
    )


def _disturbed(found: Mapping[str, Any]) -> str:
    """A warning, when others took much of the machine."""
    reports = [report for timed in found.values() for report in timed["contenders"].values()]
    if max(report["taken_by_others"]["median"] for report in reports) < DISTURBED:
        return ""
    return (
        "\nOthers had most of the machine while this was measured: the ratios of CPU time hold, those of images per\n"
        "second depend on who happened to run beside which turn.\n"
    )


if __name__ == "__main__":
    main()
