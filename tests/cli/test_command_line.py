"""What may be typed: options anywhere, `name=value`, questions, and what is answered to a word that is not known.

Seen to fail, all of them: before, options were argparse's, and there were neither suggestions nor `name=value`.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import cv2
import numpy as np
import pytest

import yoloom
from scenes import scene
from yoloom import YOLO
from yoloom.assets import DEMO_MODEL
from yoloom.cli.arguments import BACKENDS, PRECISIONS
from yoloom.cli.command_arguments import (
    ADD_ARGUMENTS,
    CONF,
    IOU,
    MAX_DET,
    MODEL_FORMATS,
    RESULT_FORMATS,
    SHELLS,
    TUNING_S,
)
from yoloom.cli.command_line import COMMANDS, parse_arguments, whole_parser
from yoloom.cli.exit_codes import ExitCode
from yoloom.cli.inputs import find_inputs
from yoloom.cli.main import run_command
from yoloom.cli.stderr import progress_bar
from yoloom.cli.writers import FORMATS
from yoloom.engine.tuning.tuner import SECONDS
from yoloom.errors import BackendUnavailable
from yoloom.facade import export_model
from yoloom.options import PredictOptions
from yoloom.results.results import Results
from yoloom.runtime import precision, registry
from yoloom_command import is_question

HERE = Path(yoloom.__file__).absolute().parents[1]


def run_here(*words: object) -> int:
    try:
        return run_command([str(word) for word in words])
    except SystemExit as end:
        return int(end.code or 0)


@pytest.fixture
def picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """a.jpg, in the folder where the command runs."""
    monkeypatch.chdir(tmp_path)
    cv2.imwrite("a.jpg", scene(0, (160, 120)).image)
    return Path("a.jpg")


def parsed(line: str) -> Any:
    return parse_arguments(line.split())


@pytest.mark.parametrize(
    "line",
    [
        "predict m.pt a.jpg b.jpg --conf 0.4 --imgsz 320,480 --classes 0,1 --save",
        "predict --conf 0.4 m.pt --imgsz 320 480 a.jpg --save --classes 0 1 b.jpg",
        "--conf 0.4 predict m.pt --save a.jpg b.jpg --imgsz 320 480 --classes 0 --classes=1",
        "predict model=m.pt conf=0.4 source=a.jpg b.jpg save=True imgsz=[320,480] classes=[0,1]",
        "predict b.jpg source=a.jpg model=m.pt save=true imgsz=(320,480) classes=0,1 conf=0.4 iou=None",
        "mode=predict model=m.pt a.jpg b.jpg save=1 imgsz=320,480 classes=0,1 conf=0.4 exist_ok=False",
    ],
)
def test_options_stand_anywhere_in_any_form(line: str) -> None:
    found = parsed(line)
    assert (found.model, sorted(found.source), found.conf, found.imgsz) == ("m.pt", ["a.jpg", "b.jpg"], 0.4, [320, 480])
    assert (found.classes, found.save, found.exist_ok, found.iou) == ([0, 1], True, False, None)


def test_a_task_may_stand_before_the_command() -> None:
    for line in ("detect predict model=m.pt source=a.jpg", "predict m.pt a.jpg task=detect"):
        assert parsed(line).task == "detect"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("export model=m.pt format=openvino dynamic=True half=True nms=False", ("openvino", True, True, False)),
        ("export m.pt format=onnx dynamic=False half=False nms=True", ("onnx", False, False, None)),
    ],
)
def test_switches_of_both_kinds_take_true_and_false(line: str, expected: tuple[object, ...]) -> None:
    found = parsed(line)
    assert (found.format, found.dynamic, found.half, found.nms) == expected


def test_words_that_belong_to_an_option_are_not_options() -> None:
    found = parsed("verify --target a:b --target-arg seconds=3 c.jpg seconds=2")
    assert (found.target_arg, found.inputs, found.seconds) == (["seconds=3"], ["c.jpg"], 2.0)
    assert parsed("verify source=a.jpg model=m.pt").inputs == ["m.pt", "a.jpg"]
    assert parsed("predict m.pt --no-save -- --odd.jpg conf=1.jpg").source == ["--odd.jpg", "conf=1.jpg"]


def test_a_file_with_that_name_is_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("conf=0.4").touch()
    assert parsed("predict m.pt conf=0.4").source == ["conf=0.4"]


def test_other_options_of_predict_are_passed_on(picture: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = (f"model={DEMO_MODEL}", "source=a.jpg", "imgsz=160", "verbose=False", "stream=True", "show_labels=False")
    assert run_here("predict", *words, "save=True", "project=out", "format=jsonl") == ExitCode.OK
    assert json.loads(capsys.readouterr().out)["file"] == "a.jpg"
    assert Path("out/predict/a.jpg").is_file()
    assert run_here("predict", *words, "augment=True") == ExitCode.USAGE
    assert "augment=True is not available" in capsys.readouterr().err
    assert run_here("predict", DEMO_MODEL, "a.jpg", "--option", "augment") == ExitCode.USAGE
    assert "expected NAME=VALUE" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("predit m.pt a.jpg", "no command 'predit'; did you mean 'predict'? (see yoloom --help)"),
        ("predit demo", "no command 'predit'; did you mean 'predict'?"),
        ("zzz", "there are predict, info"),
        ("help predit", "did you mean 'predict'?"),
        ("train data=coco.yaml", "'yoloom train' is not available in yoloom: train with Ultralytics"),
        ("best.pt a.jpg", "such as 'yoloom predict best.pt'"),
        ("model=best.pt source=a.jpg", "expected a COMMAND"),
        ("predict m.pt a.jpg --cofn 0.4", "no option --cofn; did you mean --conf? (see yoloom predict --help)"),
        ("predict m.pt a.jpg --confidence=0.4", "no option --confidence; did you mean --conf?"),
        ("predict m.pt a.jpg -conf 0.4", "no option -conf; did you mean --conf?"),
        ("predict m.pt a.jpg confidence=0.4", "no option 'confidence'. Did you mean 'conf'?"),
        ("predict m.pt a.jpg save=maybe", "save must be True or False, got 'maybe'"),
        ("bench m.pt second=3", "no option --second; did you mean --seconds? (see yoloom bench --help)"),
        ("info m.pt --jsno", "did you mean --json?"),
        ("predict conf=0.4", "required: MODEL, SOURCE"),
    ],
)
def test_a_slip_is_answered_with_what_may_be_meant(line: str, hint: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_here(*line.split()) == ExitCode.USAGE
    out, err = capsys.readouterr()
    assert out == ""
    assert hint in err
    assert len(err.splitlines()) == 1


def test_the_arguments_know_what_the_commands_know() -> None:
    """They stand apart, so that help does not wait for the imports of the commands."""
    assert ADD_ARGUMENTS.keys() == COMMANDS.keys()
    assert tuple(FORMATS) == RESULT_FORMATS
    assert (MODEL_FORMATS, TUNING_S) == (export_model.FORMATS, SECONDS)
    assert (PredictOptions().conf, PredictOptions().iou, PredictOptions().max_det) == (CONF, IOU, MAX_DET)
    assert (precision.PRECISIONS, tuple(registry.BACKENDS)) == (PRECISIONS, BACKENDS)


@pytest.mark.parametrize("words", [[], ["help"], ["--help"], ["-h"]])
def test_help_has_four_examples(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run_here(*words) == ExitCode.OK
    out = capsys.readouterr().out
    _, _, examples = out.partition("examples:\n")
    lines = examples.split("\n\n")[0].splitlines()
    assert len(lines) == 4
    for line in lines[:3]:
        parse_arguments(line.split()[1:])
    assert all(f"\n    {name} " in out for name in COMMANDS)


def test_help_of_a_command(capsys: pytest.CaptureFixture[str]) -> None:
    texts = []
    for words in (("help", "predict"), ("predict", "--help"), ("predict", "-h"), ("predict", "m.pt", "--conf", "-h")):
        assert run_here(*words) == ExitCode.OK
        texts.append(capsys.readouterr().out)
    assert texts[0].startswith("usage: yoloom predict")
    assert len({*texts}) == 1


@pytest.mark.parametrize("word", ["-V", "--version", "version"])
def test_every_way_to_ask_for_the_version(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_here(word) == ExitCode.OK
    assert capsys.readouterr().out == f"yoloom {yoloom.__version__}\n"


def test_what_is_a_question() -> None:
    questions = "help,-h,--help,-V,--version,version,help predict,predict -h,predict m.pt --conf --help"
    assert all(is_question(line.split()) for line in questions.split(","))
    assert is_question([])
    assert not any(map(is_question, (["info"], ["predict", "m.pt", "version"], ["verify", "m.pt", "--", "--help"])))


@pytest.mark.slow
@pytest.mark.parametrize("how", [["-m", "yoloom"], ["-c", "import yoloom_command; yoloom_command.main()"]])
@pytest.mark.parametrize("question", [[], ["--help"], ["--version"], ["predict", "--help"], ["help", "verify"]])
def test_a_question_imports_next_to_nothing(how: list[str], question: list[str], tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-W", "error", "-X", "importtime", *how, *question],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(HERE)},
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=True,
    )
    imported = [line.rsplit("|", 1)[-1].strip() for line in run.stderr.splitlines()]
    assert run.stdout.startswith(("usage: yoloom", "yoloom "))
    assert "yoloom.cli.main" in imported
    assert {"numpy", "cv2", "rich", "yoloom.yolo", "yoloom.results", "yoloom.engine", "importlib.metadata"} & {
        *imported
    } == set()
    assert sum(name.startswith("yoloom") for name in imported) < 20


@pytest.mark.slow
def test_a_program_that_is_started_as_a_module_has_all_of_the_package(tmp_path: Path) -> None:
    """Only `python -m yoloom` itself is a question, whatever the arguments of others are."""
    (tmp_path / "mine.py").write_text("import sys, yoloom\nassert 'yoloom.yolo' in sys.modules\nyoloom.YOLO\n")
    run = [sys.executable, "-m", "mine", "--help"]
    subprocess.run(run, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(HERE)}, timeout=60, check=True)


def test_the_command_is_installed_by_its_light_module() -> None:
    project = Path(__file__).parents[2] / "pyproject.toml"
    if not project.is_file():
        pytest.skip("not in a checkout")
    text = project.read_text(encoding="utf-8")
    assert '[project.scripts]\nyoloom = "yoloom_command:main"\n' in text
    assert '"src/yoloom_command"' in text


def test_completion_without_shtab_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "shtab", None)
    assert run_here("completion", "bash") == ExitCode.USAGE
    assert "pip install 'yoloom[completion]'" in capsys.readouterr().err
    with pytest.raises(BackendUnavailable):
        run_here("completion", "fish", "--debug")
    assert run_here("completion", "csh") == ExitCode.USAGE


@pytest.mark.parametrize("shell", SHELLS)
def test_completion_asks_shtab_for_every_command_and_option(
    shell: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fake = ModuleType("shtab")
    asked: list[tuple[Any, str]] = []
    fake.complete = lambda parser, shell: asked.append((parser, shell)) or f"# {shell}\n"  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "shtab", fake)
    assert run_here("completion", shell) == ExitCode.OK
    assert capsys.readouterr().out == f"# {shell}\n"
    [(parser, name)] = asked
    assert name == shell
    assert parser.parse_args(["predict", "m", "a", "--conf", "0.4", "--debug"]).conf == 0.4


@pytest.mark.parametrize("shell", SHELLS)
def test_shtab_can_complete_what_there_is(shell: str) -> None:
    shtab = pytest.importorskip("shtab")
    script = shtab.complete(whole_parser(loaded=True), shell)
    assert "agnostic-nms" in script
    assert "completion" in script


class Piped(io.BytesIO):
    """A pipe that holds these bytes."""


class Terminal(io.BytesIO):
    """A terminal: nobody types a picture."""

    def isatty(self) -> bool:
        return True

    def read(self, _size: int | None = -1) -> bytes:
        raise AssertionError("it waits for its user")


def test_a_dash_is_the_picture_on_stdin(
    picture: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    records = []
    for source in ("-", "a.jpg"):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(Piped(picture.read_bytes())))
        words = (DEMO_MODEL, source, "--imgsz", 160, "--conf", 0.05, "--format", "jsonl", "--save-txt")
        assert run_here("predict", *words, "--save-dir", "saved") == ExitCode.OK
        records.append(json.loads(capsys.readouterr().out))
    piped, named = records
    assert (piped.pop("file"), named.pop("file")) == ("stdin", "a.jpg")
    assert piped == named
    assert sorted(path.name for path in Path("saved/labels").iterdir()) == ["a.txt", "stdin.txt"]


@pytest.mark.parametrize("stdin", [Piped(b""), Terminal()])
def test_a_stdin_without_bytes_is_a_missing_input(stdin: Any) -> None:
    inputs = find_inputs(["-", "-"], stdin)
    assert (inputs.images, [*inputs.missing]) == ([], ["-"])
    assert "stdin" in str(inputs.missing["-"])


def test_bytes_that_are_no_picture_are_listed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(Piped(b"no picture")))
    assert run_here("predict", DEMO_MODEL, "-") == ExitCode.SOME_FAILED
    closing, first, second = capsys.readouterr().err.splitlines()
    assert closing.startswith("0 images, 0 detections, ")
    assert first == "error: 1 of 1 inputs failed:"
    assert second.startswith("  stdin: ")


@pytest.mark.parametrize(
    ("words", "option"),
    [
        (("--agnostic-nms",), {"agnostic_nms": True}),
        (("--retina-masks",), {"retina_masks": True}),
        (("--line-width", "3"), {"line_width": 3}),
        (("--save-dir", "there"), {"save_dir": "there"}),
    ],
)
def test_options_reach_predict(
    words: tuple[str, ...], option: dict[str, Any], picture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict[str, Any]] = []
    map_images = YOLO.map
    monkeypatch.setattr(
        YOLO, "map", lambda self, images, **given: asked.append(given) or map_images(self, images, **given)
    )
    assert run_here("predict", DEMO_MODEL, picture, "--imgsz", 160, *words) == ExitCode.OK
    assert option.items() <= asked[0].items()


def test_the_closing_line_counts_and_says_where(picture: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = (DEMO_MODEL, picture, picture, "--imgsz", 160, "--conf", 0.05, "--save-dir", "here", "--save")
    assert run_here("predict", *words) == ExitCode.OK
    out, err = capsys.readouterr()
    [line] = err.splitlines()
    images, detections, seconds, rate, place = line.split(", ")
    assert (images, place) == ("2 images", "saved to here")
    assert int(detections.removesuffix(" detections")) == len(out.splitlines()) - 1
    # Both are rounded: the rate is that of the seconds in this line.
    assert float(rate.removesuffix(" images/s")) == pytest.approx(2 / float(seconds.removesuffix(" s")), rel=0.2)


@pytest.mark.parametrize("form", ["table", "jsonl", "csv"])
def test_rows_are_written_as_they_come(form: str) -> None:
    """Seen to fail with the table, which was drawn when everything was done."""
    out = io.StringIO()
    image = np.zeros((4, 6, 3), np.uint8)
    with FORMATS[form](out) as write:
        for number in range(3):
            write(Results(image, f"{number}.jpg", {0: "apple"}, [[0, 0, 1, 1, 0.5, 0]]))
            assert f"{number}.jpg" in out.getvalue()


def test_a_table_that_grows_keeps_its_columns() -> None:
    out = io.StringIO()
    image = np.zeros((4, 6, 3), np.uint8)
    with FORMATS["table"](out) as write:
        for path in ("a.jpg", "a much longer name.jpg", "b.jpg"):
            write(Results(image, path, {0: "apple"}, [[0, 0, 1, 1, 0.5, 0]]))
    header, *rows = out.getvalue().splitlines()
    assert header.index("class") == rows[0].index(" 0 ") + 1
    assert rows[1].index("apple") == rows[2].index("apple")


def test_info_without_a_model_is_for_reports_of_bugs(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_here("info", "--json") == ExitCode.OK
    facts = json.loads(capsys.readouterr().out)
    assert facts["yoloom"] == yoloom.__version__
    assert facts["opencv"]["cv2"] == cv2.__version__
    assert {"openvino", "numpy"} <= facts["packages"].keys()
    assert facts["cgroup"].keys() == {"cpus", "memory_bytes"}
    assert run_here("info") == ExitCode.OK
    lines = capsys.readouterr().out.splitlines()
    names = [line.split("  ")[0] for line in lines]
    assert names[:8] == ["yoloom", "python", "system", "cpu", "CPUs", "memory", "control groups", "opencv"]
    assert {"openvino", "onnxruntime", "torch"} <= {*names}
    assert any(word in lines[1] for word in ("with a GIL", "free-threaded"))


class Screen(io.StringIO):
    """A terminal that remembers what was written."""

    def isatty(self) -> bool:
        return True


def test_the_rate_of_the_bar_is_that_of_the_whole_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seen to say nothing at the first images, and then the rate of the burst in which the next ones came."""
    screen, now_s = Screen(), 100.0
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setattr("yoloom.cli.stderr.perf_counter", lambda: now_s)
    with progress_bar("predict", 40) as advance:
        now_s = 105.0
        advance(10)
        now_s = 105.001
        advance(20)
    assert "4.0 images/s" in screen.getvalue()
