"""One line chart in both forms: as SVG, in a page or alone, and as a picture."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from collections.abc import Sequence

import pytest

from yoloom.telemetry.charts import LineChart, Plot, PlotArea, render_image, render_svg

FRAME = PlotArea(200, 100, left=20, right=20, top=10, bottom=10)


def test_a_plot_is_sound_xml_with_a_line_for_each_name() -> None:
    lines = {"a<b": [(1.0, 3.0), (8.0, 5.0), (64.0, math.nan)], "c": [(1.0, 1.0)]}
    plot = ET.fromstring(render_svg(LineChart(lines, "callers", "ms & more", log_x=True)))
    assert len(plot.findall("polyline")) == 2
    assert len(plot.findall("circle")) == 3
    assert "a<b" in [text.text for text in plot.iter("text")]


def test_a_plot_of_nothing_says_so() -> None:
    assert "nothing was measured" in render_svg(LineChart({"a": []}, "x", "y"))
    assert ET.fromstring(render_svg(LineChart({"a": [(3.0, 0.0)]}, "x", "y"))).tag == "svg"


@pytest.mark.parametrize("alone", [False, True])
def test_the_same_figures_give_the_same_bytes(alone: bool) -> None:
    chart = LineChart({"a < b": [(1, 1.0), (64, 2.0)], "one": [(8, 3.0)]}, "callers", "images/s", "t & t", log_x=True)
    assert ET.fromstring(render_svg(chart, alone)).tag.endswith("svg")
    assert render_svg(chart, alone) == render_svg(chart, alone)


def test_a_chart_alone_has_a_title_and_loads_as_a_file() -> None:
    text = render_svg(LineChart({"a": [(1, 1.0)]}, "callers", "MiB", "Memory", log_x=True), alone=True)
    assert text.startswith('<svg xmlns="http://www.w3.org/2000/svg"')
    assert "Memory, MiB" in text


def test_powers_of_two_are_equally_far_apart() -> None:
    plot = Plot(LineChart({"a": [(1, 0.0), (2, 5.0), (4, 10.0)]}, "x", "y", log_x=True), FRAME)
    assert plot.lines["a"] == [(20, 90), (100, 50), (180, 10)]
    assert plot.x_ticks == [(20, "1"), (100, "2"), (180, "4")]
    assert plot.y_ticks[-1] == (10, "10")


def test_whole_numbers_are_written_where_nothing_lies_between() -> None:
    points = [(float(lap), 1.0) for lap in range(4)]
    assert [text for _, text in Plot(LineChart({"a": points}, "x", "y", whole_x=True), FRAME).x_ticks] == [*"0123"]
    even = Plot(LineChart({"a": points}, "x", "y"), FRAME).x_ticks
    assert [text for _, text in even] == ["0", "0.8", "1.5", "2.2", "3"]


def test_a_picture_has_a_line_of_each_colour() -> None:
    lines: dict[str, Sequence[tuple[float, float]]] = {"ours": [(1, 10), (2, 20)], "theirs": [(1, 5), (2, 4)]}
    latencies = LineChart({"p50": [(1, 1.0)]}, "callers", "ms", "b", log_x=True)
    picture = render_image([LineChart(lines, "callers", "images/s", "a", log_x=True), latencies])
    assert picture.shape == (420, 1280, 3)
    left = picture[70:360, 76:616].reshape(-1, 3)
    assert {(222, 111, 47), (43, 130, 217)} <= {tuple(pixel) for pixel in left.tolist()}


@pytest.mark.parametrize(
    ("value", "top"),
    [(0.0, 1.0), (0.3, 0.4), (9.7, 10.0), (10.0, 10.0), (11.0, 20.0), (31.0, 40.0), (40.0, 40.0), (430.0, 500.0)],
)
def test_an_axis_ends_at_a_round_number(value: float, top: float) -> None:
    plot = Plot(LineChart({"a": [(0.0, value)]}, "x", "y"), FRAME)
    assert plot.y_ticks[-1] == (FRAME.top, f"{top:g}")
