"""Write the figures of README.md and docs/figures.md, and the chart of wrong answers, from benchmarks/results/*.json.

    python tools/readme_figures.py            # writes them
    python tools/readme_figures.py --check    # says whether they have what the results say

What stands between the two marks of a page is made here and nowhere else. A result that is not there has no row.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from marked_block import filled
from yoloom.telemetry.charts import COLORS, svg_file, svg_text

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
PAGE = ROOT / "docs" / "figures.md"
CHART = ROOT / "docs" / "wrong-answers.svg"
RESULTS = ROOT / "benchmarks" / "results"
HEAD = ("| | yoloom | against | ratio or figure | on |", "|---|---|---|---|---|")
FIELD = (
    "Raw runtimes, Ultralytics in four patterns, batched, yowo, onnx-predictor-yolo and openvino-model-api, with their "
    "wrong answers counted: [benchmarks.md](benchmarks.md)."
)
Result = Mapping[str, Any]


@dataclass(frozen=True)
class Row:
    """A line of the table: what is measured, ours, theirs, how they compare. first: it stands in the README too."""

    what: str
    ours: str = ""
    theirs: str = ""
    figure: str = ""
    first: bool = False


def throughput_rows(result: Result) -> list[Row]:
    rows = []
    for count, compared in result["ratios"].items():
        ours = result["contenders"][f"yoloom {count}"]["images_per_s"]["median"]
        theirs = result["contenders"][compared["ceiling"]]["images_per_s"]["median"]
        form = "LATENCY" if "latency" in compared["ceiling"] else "THROUGHPUT"
        rows.append(
            Row(
                f"{count} caller{'s' * (count != '1')}",
                f"{ours:.1f} images/s",
                f"a bare OpenVINO {form} loop, its best, {theirs:.1f}",
                f"{spread(compared['over_ceiling'])} of its speed",
                count == "8",
            )
        )
    return rows


def ultralytics_rows(result: Result) -> list[Row]:
    own, shared = result["over_model_per_thread"], result["over_shared_model"]
    return [
        Row(
            "best of 1 to 8 callers",
            "",
            "Ultralytics 8.4.190, a model in each thread",
            f"{spread(own)} times its rate",
            first=True,
        ),
        Row("", "", "Ultralytics, one model shared, half of its answers wrong", f"{spread(shared)} times its rate"),
    ]


def hazards_rows(result: Result) -> list[Row]:
    shared = result["patterns"]["shared_model"]
    what = "wrong answers, 6 threads with different options on one model"
    return [Row(what, of(shared["yoloom"]), "Ultralytics, one model shared", of(shared["ultralytics"]), first=True)]


def wrong_answers_chart(result: Result) -> str:
    """Draw the wrong answers of each pattern of the guide under both libraries, one above the other."""
    patterns, parts = result["patterns"], []
    found = {
        "one model, shared by threads": patterns["shared_model"],
        "two models, passed into threads": {name: one["two"] for name, one in patterns["models_passed_in"].items()},
        "a model in each thread": patterns["model_per_thread"],
    }
    libraries = (
        ("ultralytics", f"Ultralytics {result['versions']['ultralytics']}", COLORS[1]),
        ("yoloom",) * 2 + COLORS[:1],
    )
    for index, (pattern, both) in enumerate(found.items()):
        top = 44 + 76 * index
        parts.append(svg_text(20, top + 12, pattern))
        for line, (library, label, color) in enumerate(libraries):
            y, one = top + 18 + 24 * line, both[library]
            length = 420 * one["wrong"] / one["of"]
            parts.append(svg_text(180, y + 15, label, "end"))
            parts.append(f'<rect x="190" y="{y}" width="{max(length, 2):.1f}" height="20" fill="{color}"/>')
            parts.append(svg_text(196 + length, y + 15, f"{one['wrong']} of {one['of']} wrong"))
    return svg_file(720, 44 + 76 * len(found), "Wrong answers", "six threads with options of their own", parts)


def memory_rows(result: Result) -> list[Row]:
    handles = result["handles"]
    ours, theirs = result["yoloom_mib_per_thread"]["median"], result.get("ultralytics_mib_per_thread")
    rival = ("", "") if theirs is None else ("Ultralytics, a model in each thread", f"{theirs:.1f} MiB")
    opened = f"{handles['engines']} engine, +{handles['growth_mib']:.1f} MiB"
    return [
        Row("memory for each further thread, its image aside", f"{ours:.1f} MiB", *rival, first=True),
        Row(f"`YOLO(same file)` in each of {handles['handles']} threads", opened),
    ]


def startup_rows(result: Result) -> list[Row]:
    rows = []
    if "ultralytics" in result:
        rows.append(
            Row(
                "process start to first result, a trained YOLOv8s `.pt`",
                seconds(result["yoloom"]["total_s"]),
                f"Ultralytics, {seconds(result['ultralytics']['total_s'])}",
                f"{spread(result['yoloom_over_ultralytics'])} of its time",
                first=True,
            )
        )
    opening = seconds(result["yoloom"]["parts_s"]["open"])
    over_onnx = f"{spread(result['open_pt_over_open_onnx'])} of its time"
    return [*rows, Row("opening that `.pt`, converted now", opening, "opening its `.onnx`", over_onnx)]


def opening_rows(result: Result) -> list[Row]:
    one = result["best.pt"]
    size = f"the file, {one['bytes'] / 1e6:.1f} MB"
    return [Row("peak memory of reading and converting it", "", size, f"{one['growth_over_file']['median']:.1f}")]


def field_rows(result: Result) -> list[Row]:
    """With eight callers on squares of 640 pixels: the fastest of the others whose answers are right."""
    rates = {
        name: found["levels"]["8"]["images_per_s"]["median"]
        for name, found in result["contenders"].items()
        if "8" in found.get("levels", {}) and found["wrong_answers"].get("wrong") == 0
    }
    others = {name: rate for name, rate in rates.items() if not name.startswith(("yoloom", "OpenVINO"))}
    if "yoloom" not in rates or not others:
        return []
    best = max(others, key=others.__getitem__)
    ours = rates["yoloom"]
    what = "8 callers, squares of 640 pixels, the best of the others whose answers are right"
    return [
        Row(what, f"{ours:.1f} images/s", f"{best}, {others[best]:.1f}", f"{ours / others[best]:.2f} times its rate")
    ]


def dispatch_rows(result: Result) -> list[Row]:
    rows = []
    for name, what in (("8 threads", "8 threads in `predict`"), ("8 tasks", "8 tasks in `predict_async`")):
        found = result["contenders"][name]
        figure = f"p99 {found['p99_ms']:.1f} ms"
        rows.append(Row(f"{what}, a no-op network", f"{found['images_per_s']['median']:.0f} requests/s", "", figure))
    if (paced := result["contenders"].get("8 threads, paced")) is not None:
        what = f"8 threads in `predict`, {result['paced_per_s']:.0f} requests/s together, a no-op network"
        rows.append(Row(what, f"p50 {paced['p50_ms']:.1f} ms", "", f"p99 {paced['p99_ms']:.1f} ms"))
    return rows


def fairness_rows(result: Result) -> list[Row]:
    flood, shares = result["flood"], result["shares"]
    return [
        Row(
            "a client beside one that keeps 1,000 requests queued, p99",
            "",
            "what a lane takes for one request",
            f"{flood['p99_over_service']:.2f} times as long",
        ),
        Row(
            "16 clients with 2 to 17 requests under way, 10 s",
            "",
            "an equal share",
            f"{shares['smallest_over_mean']:.2f} to {shares['largest_over_mean']:.2f} of it",
        ),
    ]


def precision_rows(result: Result) -> list[Row]:
    found = result["average_precision"]
    exact = found["fp32"]
    what = f"the bundled model on {found['scenes']} unseen scenes (pycocotools)"
    return [Row(what, f"mAP50 {exact['map50']:.3f}, mAP50-95 {exact['map50_95']:.3f}")]


SOURCES: Mapping[str, Callable[[Result], list[Row]]] = {
    "throughput": throughput_rows,
    "hazards": hazards_rows,
    "versus_ultralytics": ultralytics_rows,
    "field": field_rows,
    "memory": memory_rows,
    "startup": startup_rows,
    "opening": opening_rows,
    "dispatch": dispatch_rows,
    "fairness": fairness_rows,
    "precision": precision_rows,
}


def spread(one: Mapping[str, float]) -> str:
    return f"{one['median']:.2f} ({one['min']:.2f} to {one['max']:.2f})"


def of(one: Mapping[str, int]) -> str:
    return f"{one['wrong']} of {one['of']}"


def seconds(one: Mapping[str, float]) -> str:
    return f"{one['median']:.2f} s"


def table(results: Mapping[str, Result], first_only: bool = False) -> str:
    """The lines between the marks of docs/figures.md, or of the README, which has the first ones only."""
    found = {name: results[name] for name in SOURCES if name in results}
    letters = machine_letters(list(found.values()))
    lines = [*HEAD]
    for name, result in found.items():
        letter = letters[machine_words(result)]
        rows = [row for row in SOURCES[name](result) if row.first or not first_only]
        lines += [f"| {row.what} | {row.ours} | {row.theirs} | {row.figure} | {letter} |" for row in rows]
    machines = "; ".join(f"{letter}: {words}" for words, letter in letters.items())
    lines += [
        "",
        f"Measured on {machines}{versions(found.values())}. Medians, with the smallest and the largest round.",
    ]
    return "\n".join([*lines, *([FIELD] if "field" in results and not first_only else [])])


def machine_letters(results: Sequence[Result]) -> dict[str, str]:
    machines = list(dict.fromkeys(machine_words(result) for result in results))
    return {words: chr(ord("A") + index) for index, words in enumerate(machines)}


def versions(results: Iterable[Result]) -> str:
    """Of Python and OpenVINO, all that there were."""
    told = []
    for name, package in (("Python", "python"), ("OpenVINO", "openvino")):
        used = {result["versions"][package] for result in results if package in result.get("versions", {})}
        told += [f"{name} {' and '.join(sorted(used))}"] if used else []
    return f", with {', '.join(told)}" if told else ""


def machine_words(result: Result) -> str:
    return f"{result['machine']['cpu']}, {result['machine']['cores']} CPUs"


def read_results(folder: Path) -> dict[str, Result]:
    return {path.stem: json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))}


def with_table(page: str, made: str) -> str:
    """The page with `made` between the marks. Raises ValueError where they are not."""
    return filled(page, "figures", "readme_figures", made)


def pages(results: Mapping[str, Result]) -> dict[Path, str]:
    """The files that are made of the results, with their texts."""
    return {
        README: with_table(README.read_text(), table(results, first_only=True)),
        PAGE: with_table(PAGE.read_text(), table(results)),
        CHART: wrong_answers_chart(results["hazards"]),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="change nothing")
    asked = parser.parse_args(arguments)
    made = pages(read_results(RESULTS))
    differ = [path.name for path, text in made.items() if not path.exists() or path.read_text() != text]
    if asked.check:
        print(f"these differ from what the results say: {', '.join(differ)}" if differ else "as the results say")
        return int(bool(differ))
    for path, text in made.items():
        path.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
