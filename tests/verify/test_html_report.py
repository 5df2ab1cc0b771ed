"""The page of a report in a real browser: it shows its plots, the console stays empty, nothing is asked of anybody.

Skipped where there is no Chromium: `tools/make_browser.sh` installs Debian's.
"""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import broken_models as broken
from browser import Browser, find_browser, painted
from yoloom.telemetry.charts import COLORS
from yoloom.verify import Report, Target, Verdict, check

BROWSER = find_browser()
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(BROWSER is None, reason="no Chromium: see tools/make_browser.sh"),
]

PLOTS = """
[...document.querySelectorAll("svg")].map(plot => {
  const {x, y, width, height} = plot.getBoundingClientRect();
  return {label: plot.getAttribute("aria-label"), place: [x, y + scrollY, width, height],
          visible: plot.checkVisibility({opacityProperty: true, visibilityProperty: true})};
})
"""
OVERFLOW = "document.documentElement.scrollWidth - innerWidth"
CUT_OFF = """
[...document.querySelectorAll("svg text")].filter(text => {
  const plot = text.closest("svg").getBoundingClientRect(), own = text.getBoundingClientRect();
  return own.left < plot.left - 1 || own.right > plot.right + 1 || own.top < plot.top - 1
    || own.bottom > plot.bottom + 1;
}).map(text => text.textContent)
"""


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    assert BROWSER is not None
    with Browser(BROWSER, tmp_path / "profile") as opened:
        yield opened


def written(report: Report, folder: Path) -> Path:
    page = folder / "report.html"
    page.write_text(report.to_html(), encoding="utf-8")
    return page


def rgb(color: str) -> list[int]:
    return [int(color[place : place + 2], 16) for place in (1, 3, 5)]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1200, 400])
def test_the_plots_of_a_pass_are_seen(browser: Browser, width: int, scheme: str, tmp_path: Path) -> None:
    model = broken.Futures()
    report = check(model, threads=(1, 4, 16), asyncio=True, seconds=1)
    model.pool.shutdown()
    page = written(report, tmp_path)
    browser.open(page, width=width, scheme=scheme)
    plots = browser.run(PLOTS)
    picture = browser.picture()
    assert [plot["label"] for plot in plots] == [
        "images/s by callers",
        "latency in ms by callers (threads)",
        "latency in ms by callers (asyncio)",
        "memory in MiB by seconds",
        "memory at rest in MiB by laps",
    ]
    for plot in plots:
        assert plot["visible"]
        assert plot["place"][2] > 300
        assert painted(picture, plot["place"], rgb(COLORS[0])) > 100, "a line is drawn"
    assert browser.run(CUT_OFF) == []
    assert browser.run(OVERFLOW) <= 0
    assert browser.requested == [page.as_uri()]
    assert browser.complaints == []


def test_a_wrong_answer_stands_beside_what_should_have_come(browser: Browser, tmp_path: Path) -> None:
    report = check(broken.SharedOptions(), seconds=1)
    assert report.verdict is Verdict.CROSS_TALK
    browser.open(written(report, tmp_path), width=1200)
    columns = browser.run(
        """(() => {
          const [came, expected] = document.querySelector("mark").closest("tr").querySelectorAll("td");
          const marked = came.querySelector("mark");
          return {came: came.innerText, expected: expected.innerText, marked: marked.innerText,
                  beside: came.getBoundingClientRect().right <= expected.getBoundingClientRect().left + 1,
                  level: came.getBoundingClientRect().top === expected.getBoundingClientRect().top,
                  color: getComputedStyle(marked).backgroundColor,
                  paper: getComputedStyle(document.body).backgroundColor};
        })()"""
    )
    first = report.shown[0]
    assert (columns["came"], columns["expected"]) == (first.came, first.expected)
    assert columns["marked"] in first.came.splitlines()
    assert columns["marked"] not in first.expected.splitlines()
    assert columns["beside"]
    assert columns["level"]
    assert columns["color"] != columns["paper"]


def test_the_stacks_of_a_hang_and_the_trace_of_an_exception_are_on_the_page(browser: Browser, tmp_path: Path) -> None:
    release = threading.Event()
    hung = check(lambda image: release.wait() or image.mean(), hang_after=0.3)
    release.set()
    browser.open(written(hung, tmp_path))
    assert "release.wait()" in browser.run("document.body.innerText")
    browser.open(written(check(broken.RaisesOnceInAWhile(), rounds=6), tmp_path))
    assert "infer request is busy" in browser.run("document.body.innerText")
    assert browser.complaints == []


def test_what_came_from_outside_does_nothing(browser: Browser, tmp_path: Path) -> None:
    """Names of a target and of files are text, whatever is in them."""
    evil = "<img src='http://outside.test/a.png' onerror='document.title = 1'><script>console.error(1)</script>"
    model = broken.SharedOptions()
    facts: dict[str, Any] = {evil: evil}
    report = check(Target(evil, model, options=model.options, facts=facts), seconds=0.5)
    report = dataclasses.replace(report, notes=(evil,), shown=(dataclasses.replace(report.shown[0], came=evil),))
    page = written(report, tmp_path)
    browser.open(page)
    assert browser.run("document.querySelectorAll('img, script').length") == 0
    assert browser.run("document.title") == "yoloom verify: cross-talk"
    assert browser.run("document.body.innerText").count(evil) >= 4
    assert browser.requested == [page.as_uri()]
    assert browser.complaints == []
