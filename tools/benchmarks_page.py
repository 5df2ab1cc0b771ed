"""Write docs/benchmarks.md and its plots from benchmarks/results/field.json.

python tools/benchmarks_page.py            # writes them, docs/hazards.md, and the figures of other pages and README.md
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from string import Template
from typing import Any

import hazards_page
import readme_figures
import verify_table
import workers_tables
from bar_chart import bar_chart
from yoloom.telemetry.charts import LineChart, render_svg

DOCS = readme_figures.ROOT / "docs"
PAGE = "benchmarks.md"
TEMPLATE = Path(__file__).with_suffix(".md")
RATES, BARS, MEMORY = "benchmarks-rates.svg", "benchmarks-eight-callers.svg", "benchmarks-memory.svg"
BAR_CALLERS = "8"
NOTHING = "-"

Found = Mapping[str, Any]


def page_and_plots(result: Found) -> dict[str, str]:
    """File names below docs/ and their text."""
    contenders: Mapping[str, Found] = result["contenders"]
    return {
        PAGE: page(result, contenders),
        RATES: rates_plot(contenders),
        BARS: bars_plot(contenders),
        MEMORY: memory_plot(contenders),
    }


def page(result: Found, contenders: Mapping[str, Found]) -> str:
    callers = [str(count) for count in result["callers"]]
    by_callers = [f"{count} caller{'s' * (count != '1')}" for count in callers]
    return Template(TEMPLATE.read_text()).substitute(
        seconds=f"{result['seconds']:g}",
        rounds=f"{result['rounds']} time{'s' * (result['rounds'] != 1)}",
        shortened=shortened(result),
        network=result["network"],
        cpu=result["machine"]["cpu"],
        cores=result["machine"]["cores"],
        disturbance=disturbance(contenders),
        rates=table(["", "wrong answers", *by_callers], rate_rows(contenders, callers)),
        notes=notes(contenders),
        latencies=table(["", *by_callers], latency_rows(contenders, callers)),
        costs=table(
            ["", "CPU ms", *(f"MiB, {count}" for count in callers), "first result, s"], cost_rows(contenders, callers)
        ),
        versions=table(["", "versions"], version_rows(contenders)),
        skipped=skipped(result["skipped"]),
    )


def disturbance(contenders: Mapping[str, Found]) -> str:
    """What others took of the machine in the turns that counted: the median of the contenders, and the most."""
    levels = [level for found in contenders.values() for level in found["levels"].values()]
    if not levels:
        return NOTHING
    median = statistics.median(level["taken_by_others"]["median"] for level in levels)
    return f"{median:.0%} (at most {max(level['taken_by_others']['max'] for level in levels):.0%})"


def table(columns: Sequence[str], rows: Iterator[Sequence[str]]) -> str:
    lines = [columns, ["---", *["---:"] * (len(columns) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def rate_rows(contenders: Mapping[str, Found], callers: Sequence[str]) -> Iterator[list[str]]:
    for name, found in contenders.items():
        yield [name, wrong(found["wrong_answers"]), *(rate(found, count) for count in callers)]


def rate(found: Found, callers: str) -> str:
    if callers in found["failed"]:
        return failed(found["failed"][callers])
    if callers not in found["levels"]:
        return NOTHING
    one = found["levels"][callers]["images_per_s"]
    return f"{one['median']:.1f} ({one['min']:.1f} to {one['max']:.1f})"


def failed(words: str) -> str:
    return next((short for short in ("hung", "no time") if short in words), "failed")


def shortened(result: Found) -> str:
    """What had to be cut to keep to the time."""
    asked = result.get("asked", {})
    if not asked or (asked["rounds"], asked["seconds"]) == (result["rounds"], result["seconds"]):
        return ""
    return (
        f"\n\nTurns of {asked['seconds']:g} s in {asked['rounds']} rounds do not fit into {asked['minutes']:g} minutes "
        "on this machine, so they were cut to what is said above."
    )


def wrong(judged: Found) -> str:
    if "error" in judged:
        return failed(judged["error"])
    raised = f", {judged['raised']} of them raised" if judged["raised"] else ""
    others = f", {judged['others']} another caller's" if judged["others"] else ""
    text = f"{judged['wrong']} of {judged['of']}{raised}{others}"
    return f"**{text}**" if judged["wrong"] else text


def notes(contenders: Mapping[str, Found]) -> str:
    """Why a place in the table is empty."""
    lines = []
    for name, found in contenders.items():
        if found["because"]:
            lines.append(f"- {name}: at most {found['most_callers']} callers, because {found['because']}.")
        for callers, words in found["failed"].items():
            lines.append(f"- {name}, {callers} callers: {words}.")
        if "error" in found["wrong_answers"]:
            lines.append(f"- {name}, wrong answers: {found['wrong_answers']['error']}.")
    return "\n".join(lines) + "\n" if lines else ""


def latency_rows(contenders: Mapping[str, Found], callers: Sequence[str]) -> Iterator[list[str]]:
    for name, found in contenders.items():
        yield [name, *(latency(found["levels"].get(count)) for count in callers)]


def latency(level: Found | None) -> str:
    return NOTHING if level is None else f"{level['p50_ms']:.0f} / {level['p99_ms']:.0f}"


def cost_rows(contenders: Mapping[str, Found], callers: Sequence[str]) -> Iterator[list[str]]:
    for name, found in contenders.items():
        level = found["levels"].get(BAR_CALLERS)
        cpu = NOTHING if level is None else f"{level['cpu_ms_per_image']['median']:.0f}"
        held = [f"{found['memory_mib'][count]:.0f}" if count in found["memory_mib"] else NOTHING for count in callers]
        yield [name, cpu, *held, f"{found['first_result_s']['median']:.2f}"]


def version_rows(contenders: Mapping[str, Found]) -> Iterator[list[str]]:
    for name, found in contenders.items():
        yield [name, ", ".join(f"{package} {version}" for package, version in found["versions"].items())]


def skipped(reasons: Mapping[str, str]) -> str:
    """Who was to take part, and could not."""
    if not reasons:
        return ""
    return "## Left out\n\n" + "".join(f"- {name}: {reason}.\n" for name, reason in reasons.items())


def rates_plot(contenders: Mapping[str, Found]) -> str:
    """Only of those whose answers are right: a rate of wrong answers is no rate."""
    right = {name: found for name, found in contenders.items() if is_right(found)}
    lines = {name: points(found["levels"], "images_per_s") for name, found in right.items() if found["levels"]}
    return render_svg(LineChart(lines, "callers", "images/s", "Right answers only", log_x=True), alone=True)


def bars_plot(contenders: Mapping[str, Found]) -> str:
    """All of them; those with wrong answers are set back."""
    bars = {
        name: float(found["levels"][BAR_CALLERS]["images_per_s"]["median"])
        for name, found in contenders.items()
        if BAR_CALLERS in found["levels"]
    }
    notes_ = {name: f"{wrong(contenders[name]['wrong_answers']).strip('*').split(',')[0]} wrong" for name in bars}
    grey = [name for name in bars if not is_right(contenders[name])]
    return bar_chart("Eight callers", "images/s", bars, {name: notes_[name] for name in grey}, grey)


def memory_plot(contenders: Mapping[str, Found]) -> str:
    lines = {
        name: [(float(count), float(mib)) for count, mib in found["memory_mib"].items()]
        for name, found in contenders.items()
        if found["memory_mib"]
    }
    return render_svg(LineChart(lines, "callers", "MiB", "Memory", log_x=True), alone=True)


def points(levels: Found, member: str) -> list[tuple[float, float]]:
    return [(float(count), float(level[member]["median"])) for count, level in levels.items()]


def is_right(found: Found) -> bool:
    return bool(found["wrong_answers"].get("wrong") == 0)


def write(folder: Path, results: Mapping[str, Found]) -> None:
    if "field" in results:
        for name, text in page_and_plots(results["field"]).items():
            (folder / name).write_text(text)
    if "hazards" in results:
        (folder / hazards_page.PAGE).write_text(hazards_page.page(results["hazards"]))
    for name, text in filled_pages(folder, results).items():
        (folder / name).write_text(text)


def filled_pages(folder: Path, results: Mapping[str, Found]) -> dict[str, str]:
    """Pages that are written by hand but for their figures, with those of `results`."""
    workers = (folder / workers_tables.PAGE).read_text()
    pages = {workers_tables.PAGE: workers_tables.page(workers, results.get("workers"), results.get("workers_memory"))}
    if "verify" in results:
        pages[verify_table.PAGE] = verify_table.page((folder / verify_table.PAGE).read_text(), results["verify"])
    return pages


def main() -> None:
    write(DOCS, readme_figures.read_results(readme_figures.RESULTS))
    readme_figures.main([])


if __name__ == "__main__":
    main()
