"""Pages and figures are what the committed results say, and say of a contender what happened to it."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

import benchmarks_page
import hazards_page
import precision_table
import readme_figures
import verify_table
import workers_tables
from bar_chart import bar_chart

ROOT = Path(__file__).parents[2]
RESULTS = readme_figures.read_results(ROOT / "benchmarks" / "results")
RIGHT = {"wrong": 0, "of": 96, "others": 0, "raised": 0, "takes_options": True}


def spread(median: float) -> dict[str, float]:
    return {"median": median, "min": median - 1, "max": median + 1}


def level(rate: float) -> dict[str, Any]:
    return {
        "images_per_s": spread(rate),
        "p50_ms": 40.0,
        "p99_ms": 90.0,
        "cpu_ms_per_image": spread(60.0),
        "taken_by_others": {"median": 0.01, "min": 0.0, "max": 0.2},
    }


def contender(rate: float, **changed: Any) -> dict[str, Any]:
    found = {
        "pattern": "shared",
        "versions": {"numpy": "2.4.6"},
        "most_callers": 64,
        "because": "",
        "first_result_s": spread(2.0),
        "memory_mib": {"1": 100.0, "8": 200.0},
        "failed": {},
        "levels": {"1": level(rate / 2), "8": level(rate)},
        "wrong_answers": RIGHT,
    }
    return {**found, **changed}


@pytest.fixture
def result() -> dict[str, Any]:
    return {
        "network": "a network",
        "rounds": 3,
        "seconds": 1.5,
        "callers": [1, 8],
        "machine": {"cpu": "a CPU", "cores": 2},
        "contenders": {
            "yoloom": contender(30.0),
            "OpenVINO, LATENCY": contender(31.0),
            "fast and wrong": contender(40.0, wrong_answers={**RIGHT, "wrong": 60, "others": 20, "raised": 3}),
            "slow and right": contender(10.0),
            "hangs": contender(
                5.0,
                levels={"1": level(5.0)},
                failed={"8": "hung: no answer within 46.5 s"},
                wrong_answers={"error": "hung: no answer within 120 s"},
            ),
        },
        "skipped": {"missing": "no such package"},
    }


# ---- What is committed


def test_the_readme_and_the_page_of_figures_are_what_the_results_make() -> None:
    for path, text in readme_figures.pages(RESULTS).items():
        assert path.read_text() == text, f"{path.name}: run tools/readme_figures.py"


def test_the_hazards_page_has_the_figures_of_the_results() -> None:
    assert (ROOT / "docs" / hazards_page.PAGE).read_text() == hazards_page.page(RESULTS["hazards"])


@pytest.mark.parametrize("name", ["verify.md", "workers.md"])
def test_figures_within_a_page_are_those_of_the_results(name: str) -> None:
    filled = benchmarks_page.filled_pages(ROOT / "docs", RESULTS)[name]
    assert (ROOT / "docs" / name).read_text() == filled, f"{name}: run tools/benchmarks_page.py"


def test_the_precision_page_is_what_the_results_make() -> None:
    assert precision_table.PAGE.read_text(encoding="utf-8") == precision_table.page(RESULTS["precision"])


@pytest.mark.skipif("field" not in RESULTS, reason="make bench has not left its results")
def test_the_benchmarks_page_and_its_plots_are_what_the_results_make() -> None:
    for name, text in benchmarks_page.page_and_plots(RESULTS["field"]).items():
        assert (ROOT / "docs" / name).read_text() == text, f"{name}: run tools/benchmarks_page.py"


# ---- The page of the field


def test_wrong_answers_stand_out(result: dict[str, Any]) -> None:
    page = benchmarks_page.page_and_plots(result)["benchmarks.md"]
    assert "| fast and wrong | **60 of 96, 3 of them raised, 20 another caller's** | 20.0" in page
    assert "| yoloom | 0 of 96 | 15.0 (14.0 to 16.0) | 30.0 (29.0 to 31.0) |" in page


def test_who_hung_and_who_is_missing_is_told_with_the_reason(result: dict[str, Any]) -> None:
    page = benchmarks_page.page_and_plots(result)["benchmarks.md"]
    assert "| hangs | hung | 5.0 (4.0 to 6.0) | hung |" in page
    assert "- hangs, 8 callers: hung: no answer within 46.5 s." in page
    assert "- missing: no such package." in page


def test_the_limits_come_before_the_figures(result: dict[str, Any]) -> None:
    page = benchmarks_page.page_and_plots(result)["benchmarks.md"]
    assert page.index("Where the method ends") < page.index("## Method") < page.index("| yoloom |")
    assert "others took 1% (at most 20%)" in page


def test_a_rate_of_wrong_answers_is_no_line_and_a_grey_bar(result: dict[str, Any]) -> None:
    plots = benchmarks_page.page_and_plots(result)
    assert "fast and wrong" not in plots["benchmarks-rates.svg"]
    assert "hangs" not in plots["benchmarks-rates.svg"]
    assert "40.0  60 of 96 wrong" in plots["benchmarks-eight-callers.svg"]
    assert plots["benchmarks-eight-callers.svg"].count("#c9ced6") == 1


def test_what_was_cut_for_lack_of_time_is_told(result: dict[str, Any]) -> None:
    made = benchmarks_page.page_and_plots(result)["benchmarks.md"]
    assert "turn of 1.5 s, one right after" in " ".join(made.split())
    assert "do not fit into" not in made
    result["contenders"]["slow and right"]["failed"] = {"64": "no time for it: a turn takes 15 s"}
    result |= {"seconds": 0.5, "callers": [1, 8, 64], "asked": {"rounds": 3, "seconds": 1.5, "minutes": 18.0}}
    page = benchmarks_page.page_and_plots(result)["benchmarks.md"]
    assert "Turns of 1.5 s in 3 rounds do not fit into 18 minutes on this machine" in page
    assert "| slow and right | 0 of 96 | 5.0 (4.0 to 6.0) | 10.0 (9.0 to 11.0) | no time |" in page
    assert "- slow and right, 64 callers: no time for it: a turn takes 15 s." in page


# ---- The figures of the README


def test_the_best_of_the_others_has_right_answers_and_is_no_raw_runtime(result: dict[str, Any]) -> None:
    [row] = readme_figures.field_rows(result)
    assert (row.ours, row.theirs, row.figure) == ("30.0 images/s", "slow and right, 10.0", "3.00 times its rate")


def test_each_machine_has_a_letter(result: dict[str, Any]) -> None:
    other = {
        "best.pt": {"bytes": 1_000_000, "growth_over_file": spread(1.0)},
        "machine": {"cpu": "another", "cores": 4},
        "versions": {"python": "3.14.1"},
    }
    made = readme_figures.table({"field": result, "opening": other})
    assert "| A |" in made
    assert "| B |" in made
    assert "Measured on A: a CPU, 2 CPUs; B: another, 4 CPUs, with Python 3.14.1." in made


def test_a_readme_without_the_marks_is_an_error() -> None:
    with pytest.raises(ValueError, match="must have the marks"):
        readme_figures.with_table("# yoloom", "| |")


# ---- Figures within a page


def test_who_gave_wrong_answers_is_told_with_whose_they_were() -> None:
    levels = [
        {"callers": 1, "requests": 1200, "mismatches": 0, "exceptions": 0},
        {"callers": 6, "requests": 60, "mismatches": 12, "exceptions": 3},
    ]
    found = {
        "faults": {"the answer for other options": 12},
        "exceptions": [{"kind": "OSError", "count": 3, "message": "OSError: busy"}],
        "levels": levels,
    }
    result = {
        "callers": [1, 6],
        "seconds": 20.0,
        "contenders": {"somebody": found},
        "versions": dict.fromkeys(verify_table.PACKAGES, "1.0"),
        "machine": {"cpu": "a CPU", "cores": 2},
        "date": "2026-01-02",
    }
    told = "| somebody | 0 of 1,200 | **12 of 60** | 12 the answer for other options | 3 OSError: busy |"
    assert told in verify_table.made(result)


def test_memory_of_workers_is_that_of_the_largest_and_of_all() -> None:
    held = [{"unique_mib": 60 + number, "pss_mib": 70 + number} for number in range(3)]
    made = workers_tables.memory_block({"threads": held[:1], "workers": held})
    assert "| parent of 2 workers, which loads no runtime | 60 MiB | 70 MiB |" in made
    assert "| each of 2 workers | 62 MiB | 72 MiB |" in made
    assert "| parent and workers together |  | 213 MiB |" in made
    assert "Ultralytics" not in made


# ---- Charts


def test_a_bar_chart_is_sound_xml() -> None:
    chart = bar_chart("t & t", "ms", {"a < b": 1.0, "c": 2.0}, {"c": "wrong"}, ["c"])
    assert ET.fromstring(chart).tag.endswith("svg")
    assert chart.index(">c<") < chart.index("a &lt; b"), "the longest comes first"
