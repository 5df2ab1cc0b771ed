"""`yoloom bench`: what it measures, what it shows, and the parts that `benchmarks/` shares with it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from scenes import scene
from yoloom.bench import process_tree
from yoloom.bench.callers import Sample, percentile, run_callers, spread
from yoloom.bench.contenders import BareRuntime, bare_predict
from yoloom.bench.rounds import Series, calmest, interleave, ratios
from yoloom.cli.main import main
from yoloom.formats.read import read_model
from yoloom.runtime.cpu import latency_profile
from yoloom.runtime.registry import find_backend
from yoloom.yolo import YOLO

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
QUICK = ("--seconds", "0.05", "--rounds", "1")


@pytest.fixture
def model(tiny_onnx: Callable[..., Path], ultralytics_notes: Callable[..., dict[str, str]]) -> Path:
    """A network that is compiled at once: what is measured here does not matter."""
    return tiny_onnx(metadata=ultralytics_notes())


def bench(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = main(["bench", *arguments])
    told = capsys.readouterr()
    return code, told.out, told.err


# ---- Callers


def test_every_caller_calls_and_every_call_counts() -> None:
    calls: list[int] = []
    lock = threading.Lock()

    def call(number: int) -> None:
        time.sleep(0.002)  # what is measured
        with lock:
            calls.append(number)

    sample = run_callers([lambda number=number: call(number) for number in range(3)], 0.05)
    assert set(calls) == {0, 1, 2}
    assert len(sample.latencies_ms) == len(calls)
    assert min(sample.latencies_ms) >= 2.0


def test_a_lone_callers_first_calls_do_not_count() -> None:
    calls: list[float] = []
    sample = run_callers([lambda: calls.append(0.0)], 0.01)
    assert len(calls) == len(sample.latencies_ms) + 2


def test_what_a_call_raises_ends_the_turn() -> None:
    def broken() -> None:
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        run_callers([broken, lambda: None], 5.0)
    with pytest.raises(ValueError, match="broken"):
        run_callers([broken], 5.0)


def test_percentile_is_the_nearest_rank() -> None:
    assert percentile([1.0, 2.0, 3.0, 4.0], 50) == 2.0
    assert percentile([1.0, 2.0, 3.0, 4.0], 99) == 4.0
    assert np.isnan(percentile([], 50))


# ---- Turns


def test_contenders_take_turns_and_rounds_begin_with_another_one() -> None:
    order: list[str] = []

    def turn(name: str) -> Sample:
        order.append(name)
        return Sample(1.0)

    series = interleave({name: lambda name=name: turn(name) for name in "abc"}, rounds=3)
    assert order == [*"abc", *"bca", *"cab"]
    assert [len(one.samples) for one in series.values()] == [3, 3, 3]


def test_disturbed_turns_are_repeated_while_there_is_time() -> None:
    """Seen to take every turn twice on a busy machine, so that a bench took twice the time that was asked."""
    order: list[str] = []

    def turn(name: str) -> Sample:
        order.append(name)
        return Sample(1.0, elsewhere=0.5)

    contenders = {name: lambda name=name: turn(name) for name in "abc"}
    series = interleave(contenders, rounds=2, retries=1, all_retries=2)
    assert order == [*"aabbc", *"bca"]
    assert [len(one.samples) for one in series.values()] == [2, 2, 2]


def test_the_calmest_of_a_few_turns_counts() -> None:
    turns = iter([Sample(1.0, elsewhere=0.5), Sample(2.0, elsewhere=0.2), Sample(3.0, elsewhere=0.01), Sample(4.0)])
    assert calmest(lambda: next(turns)).images_per_s == 3.0
    assert len(list(turns)) == 1


def test_a_ratio_is_taken_round_by_round() -> None:
    slow_minute = 0.1
    ours = Series([Sample(10.0), Sample(10.0 * slow_minute)])
    theirs = Series([Sample(20.0), Sample(20.0 * slow_minute)])
    assert ratios(ours, theirs) == {"median": 0.5, "min": 0.5, "max": 0.5}
    assert spread([3.0, 1.0, 2.0]) == {"median": 2.0, "min": 1.0, "max": 3.0}


# ---- The bare runtime


@pytest.mark.slow
def test_the_bare_loop_finds_what_the_model_finds(demo_model: Path) -> None:
    picture = scene(5, (320, 240)).image
    described = read_model(demo_model)
    context = find_backend("openvino", "cpu").compile(described, latency_profile(1)).context()
    found = bare_predict(described, context, picture)
    with YOLO(demo_model) as model:
        [results] = model.predict(picture)
    assert found.boxes is not None
    assert np.array_equal(found.boxes.data, results.boxes.data)
    assert len(results.boxes)


@pytest.mark.slow
def test_the_bare_loop_has_a_context_for_each_thread(demo_model: Path) -> None:
    runtime = BareRuntime(read_model(demo_model), find_backend("openvino", "cpu"), 2)
    picture = scene(5, (160, 120)).image
    for callers in (1, 3):
        assert runtime.turn([picture], callers, 0.05).images_per_s > 0


# ---- Processes


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="Linux tells")
def test_a_process_tree_has_the_memory_and_the_time_of_all_its_processes() -> None:
    before_mib, before_s = process_tree.memory_mib(os.getpid()), process_tree.cpu_seconds(os.getpid())
    program = "held = bytearray(b'x' * (64 << 20)); sum(range(5_000_000)); print(flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        assert before_mib is not None
        assert process_tree.memory_mib(os.getpid()) > before_mib + 60
        assert process_tree.memory_mib(os.getpid(), tree=False) < before_mib + 60
        assert process_tree.cpu_seconds(os.getpid()) > before_s + 0.05
        child.communicate(b"\n")


# ---- The command


@pytest.mark.slow
def test_a_table_and_a_picture(capsys: pytest.CaptureFixture[str], model: Path, tmp_path: Path) -> None:
    path = tmp_path / "plot.png"
    code, out, err = bench(capsys, str(model), "--threads", "1,2", *QUICK, "--png", str(path))
    assert code == 0
    assert err == f"plot: {path}\n"
    rows = out.splitlines()
    assert rows[-3].split()[:4] == ["callers", "images/s", "bare", "ratio"]
    assert [row.split()[0] for row in rows[-2:]] == ["1", "2"]
    assert cv2.imread(str(path)).shape == (420, 1280, 3)
    facts = dict(row.split("  ", 1) for row in out.split("\n\n")[0].splitlines())
    assert {"runtime", "machine", "taken by others", "start to first result", "memory"} <= facts.keys()
    assert "MiB when open" in facts["memory"]


@pytest.mark.slow
def test_json_is_one_object_on_the_last_line(capsys: pytest.CaptureFixture[str], demo_model: Path) -> None:
    code, out, _ = bench(capsys, str(demo_model), "--threads", "2", *QUICK, "--cpus", "1", "--json")
    assert code == 0
    told = json.loads(out.splitlines()[-1])
    [level] = told["levels"]
    assert level["callers"] == 2
    assert level["images_per_s"] > 0
    assert level["p50_ms"] <= level["p99_ms"]
    assert level["ratio_min"] <= level["ratio"] <= level["ratio_max"]
    assert told["asked"] == {"device": "cpu", "threads": 1}
    assert told["start_s"]["total"] == pytest.approx(sum(list(told["start_s"].values())[:-1]), rel=0.01)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "asked"),
    [
        (("--workers", "2"), {"workers": 2}),
        (("--batch", "2"), {"batch": 2}),
        (("--precision", "auto"), {"precision": "auto"}),
        (("--backend", "onnxruntime"), {"backend": "onnxruntime"}),
    ],
)
def test_a_model_is_measured_as_it_is_asked_for(
    capsys: pytest.CaptureFixture[str], model: Path, arguments: tuple[str, ...], asked: dict[str, Any]
) -> None:
    code, out, _ = bench(capsys, str(model), "--threads", "2", *QUICK, *arguments, "--json")
    assert code == 0
    told = json.loads(out)
    assert told["asked"] == {"device": "cpu", **asked}
    assert told["runtime"]["backend"] == asked.get("backend", "openvino")
    [level] = told["levels"]
    assert level["images_per_s"] > 0
    assert level["bare_images_per_s"] > 0
    assert min(level["memory_mib"], told["empty_mib"]) > 0  # this process holds and frees what other tests left
    assert told["start_s"]["total"] > told["start_s"]["open"] > 0


@pytest.mark.slow
def test_ones_own_images(capsys: pytest.CaptureFixture[str], model: Path, tmp_path: Path) -> None:
    path = tmp_path / "mine.png"
    cv2.imwrite(str(path), scene(5, (160, 120)).image)
    code, out, _ = bench(capsys, str(model), "--threads", "1", *QUICK, "--images", str(path), "--json")
    assert code == 0
    assert json.loads(out)["images"] == 1


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--images", "nowhere.jpg"), 4, "nowhere.jpg"),
        (("--png", "nowhere/plot.png"), 2, "no such folder"),
        (("--png", "plot.gif"), 2, "ends in .png"),
        (("--workers", "2", "--batch", "2"), 2, "--batch is for the threads of one process"),
        (("--workers", "99", "--cpus", "1"), 2, "workers must be at most 1"),
        (("--precision", "int8"), 2, "precision must be one of"),
        (("--backend", "onnxruntime", "--batch", "2"), 2, "batch"),
    ],
)
def test_bad_input_is_told_before_anything_is_measured(
    capsys: pytest.CaptureFixture[str], demo_model: Path, arguments: tuple[str, ...], code: int, words: str
) -> None:
    found, out, err = bench(capsys, str(demo_model), *arguments)
    assert (found, out) == (code, "")
    assert words in err


@pytest.mark.parametrize(
    "arguments", [("--seconds", "0"), ("--seconds", "nan"), ("--threads", "0"), ("--threads", "1,x"), ("--rounds", "0")]
)
def test_numbers_that_make_no_sense_are_wrong_usage(demo_model: Path, arguments: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["bench", str(demo_model), *arguments])
    assert ended.value.code == 2


# ---- In the environment of a rival


@pytest.mark.slow
def test_rivals_are_measured_without_yoloom_installed() -> None:
    program = (
        f"import sys; sys.path = [{str(BENCHMARKS)!r}, *(p for p in sys.path if 'site-packages' not in p)]\n"
        "import measure\n"
        "assert 'numpy' not in sys.modules\n"
        "print(measure.run_callers([lambda: None], 0.01).images_per_s > 0)"
    )
    environment = {name: text for name, text in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-S", "-c", program], capture_output=True, text=True, env=environment, timeout=60, check=False
    )
    assert done.stdout == "True\n", done.stderr
