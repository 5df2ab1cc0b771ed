"""The command line as people and scripts meet it: real processes, real files, real pipes."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import pytest

import yoloom
from scenes import NAMES, scene
from yoloom import YOLO, errors
from yoloom.assets import DEMO_MODEL
from yoloom.cli.command_line import COMMANDS, parse_arguments
from yoloom.cli.commands import tune
from yoloom.cli.exit_codes import ExitCode, exit_code
from yoloom.cli.inputs import find_inputs
from yoloom.cli.interrupt import until_interrupted
from yoloom.cli.main import run_command
from yoloom.cli.table import print_table
from yoloom.engine.tuning.plans import Plans, Subject
from yoloom.engine.tuning.tuner import Candidate, Tuning
from yoloom.runtime.plan import Plan
from yoloom.runtime.precision import find_precision
from yoloom.runtime.protocol import Precision
from yoloom.runtime.registry import find_backend
from yoloom.system.cpus import available_cpus

# A child of a job that a script runs in the background inherits an ignored SIGINT.
AS_IN_A_SHELL = "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
MODULE = "import runpy; runpy.run_module('yoloom', run_name='__main__', alter_sys=True)"
SMALL = ("--imgsz", "160")
HERE = Path(yoloom.__file__).absolute().parents[1]


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-W", "error", "-m", "yoloom", *map(str, arguments)]


def environment() -> dict[str, str]:
    """The same yoloom as in this process, wherever the child runs."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")])}


def yoloom_cli(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    return finished(command(*arguments), cwd)


def finished(program: list[str], cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        program, check=False, cwd=cwd, env=environment(), capture_output=True, encoding="utf-8", timeout=60
    )


def run_here(*arguments: object) -> int:
    """A command without a process of its own, where that makes no difference."""
    try:
        return run_command([str(argument) for argument in arguments])
    except SystemExit as end:  # how argparse answers
        return int(end.code or 0)


def write_scene(path: Path, seed: int) -> Path:
    cv2.imwrite(str(path), scene(seed, (320, 240)).image)
    return path


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a.jpg, b.png, c d.jpg and broken.jpg, which ends too early."""
    folder = tmp_path_factory.mktemp("pictures")
    for seed, name in enumerate(("a.jpg", "b.png", "c d.jpg")):
        write_scene(folder / name, seed)
    encoded = (folder / "a.jpg").read_bytes()
    (folder / "broken.jpg").write_bytes(encoded[: len(encoded) // 2])
    return folder


@pytest.fixture(scope="module")
def opened() -> Iterator[None]:
    """Keeps the engine, which every run in this process then shares."""
    with YOLO(DEMO_MODEL):
        yield


@pytest.fixture
def in_pictures(pictures: Path, opened: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(pictures)


@pytest.mark.usefixtures("in_pictures")
def test_every_format_tells_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    def written(form: str) -> str:
        assert run_here("predict", DEMO_MODEL, ".", "--conf", 0.1, *SMALL, "--format", form) == ExitCode.SOME_FAILED
        return capsys.readouterr().out

    document = json.loads(written("json"))
    assert document == [json.loads(line) for line in written("jsonl").splitlines()]
    assert [record["file"] for record in document] == ["a.jpg", "b.png", "c d.jpg"]
    assert {(record["width"], record["height"]) for record in document} == {(320, 240)}
    expected = [
        (
            record["file"],
            str(detection["class"]),
            detection["name"],
            detection["confidence"],
            *detection["box"].values(),
        )
        for record in document
        for detection in record["detections"]
    ]
    assert expected
    numbers = ("confidence", "x1", "y1", "x2", "y2")
    rows = csv.DictReader(io.StringIO(written("csv")))
    assert [
        (row["file"], row["class"], row["name"], *(float(row[number]) for number in numbers)) for row in rows
    ] == expected
    header, *lines = written("table").splitlines()
    assert header.split() == ["file", "class", "name", "conf", "x1", "y1", "x2", "y2"]
    assert len(lines) >= len(expected)


@pytest.mark.slow
@pytest.mark.parametrize("form", ["table", "json"])
def test_a_broken_image_fails_alone(pictures: Path, form: str) -> None:
    run = yoloom_cli("predict", DEMO_MODEL, ".", "--conf", 0.1, *SMALL, "--format", form, cwd=pictures)
    assert run.returncode == ExitCode.SOME_FAILED
    assert run.stdout.count("\n") >= 3
    assert "broken" not in run.stdout
    closing, first, second = run.stderr.splitlines()
    assert closing.startswith("3 images, ")
    assert first == "error: 1 of 4 inputs failed:"
    assert second.startswith("  broken.jpg: the JPEG is cut short")


@pytest.mark.usefixtures("in_pictures")
def test_patterns_names_and_ids(capsys: pytest.CaptureFixture[str]) -> None:
    texts = []
    for chosen in (",".join(NAMES[:3]), "0,1,2"):
        sources = ("[ab].*", "c d.jpg", "--classes", chosen, "--classes", NAMES[3])
        assert run_here("predict", DEMO_MODEL, *sources, "--conf", 0.05, *SMALL, "--format", "jsonl") == ExitCode.OK
        texts.append(capsys.readouterr().out)
    assert texts[0] == texts[1]
    records = [json.loads(line) for line in texts[0].splitlines()]
    assert [record["file"] for record in records] == ["a.jpg", "b.png", "c d.jpg"]
    assert {detection["class"] for record in records for detection in record["detections"]} <= {0, 1, 2, 3}


@pytest.mark.usefixtures("in_pictures")
def test_an_image_without_detections_is_still_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_here("predict", DEMO_MODEL, "a.jpg", "--conf", 1, *SMALL) == ExitCode.OK
    assert capsys.readouterr().out.splitlines()[1].split() == ["a.jpg", "(no", "detections)"]
    assert run_here("predict", DEMO_MODEL, "a.jpg", "--conf", 1, *SMALL, "--format", "jsonl") == ExitCode.OK
    assert json.loads(capsys.readouterr().out) == {"file": "a.jpg", "width": 320, "height": 240, "detections": []}


@pytest.mark.usefixtures("in_pictures")
def test_saving(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    saving = ("--save", "--save-txt", "--save-conf", "--save-crop", "--project", tmp_path, "--name", "here")
    code = run_here("predict", DEMO_MODEL, "a.jpg", "none.jpg", "--conf", 0.05, *SMALL, *saving)
    assert code == ExitCode.SOME_FAILED
    out, err = capsys.readouterr()
    closing, *errors_of_inputs = err.splitlines()
    assert closing.endswith(f" images/s, saved to {tmp_path / 'here'}")
    assert errors_of_inputs == ["error: 1 of 2 inputs failed:", "  none.jpg: no such image: none.jpg"]
    lines = (tmp_path / "here" / "labels" / "a.txt").read_text().splitlines()
    assert {len(line.split()) for line in lines} == {6}
    assert cv2.imread(str(tmp_path / "here" / "a.jpg")) is not None
    assert len(list((tmp_path / "here" / "crops").rglob("*.jpg"))) == len(lines) == len(out.splitlines()) - 1


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--json",), ExitCode.USAGE, "expected a COMMAND"),
        (("predict", DEMO_MODEL), ExitCode.USAGE, "required: SOURCE"),
        (("predict", DEMO_MODEL, "a.jpg", "--confidence", "0.5"), ExitCode.USAGE, "--confidence"),
        (("predict", DEMO_MODEL, "a.jpg", "--imgsz", "big"), ExitCode.USAGE, "'big'"),
        (("predict", DEMO_MODEL, "a.jpg", "--imgsz", "1,2,3"), ExitCode.USAGE, "(height, width)"),
        (("predict", DEMO_MODEL, "a.jpg", "--conf", "2"), ExitCode.USAGE, "between 0 and 1"),
        (("predict", DEMO_MODEL, "a.jpg", "--classes", "aple"), ExitCode.USAGE, "did you mean 'apple'"),
        (("predict", DEMO_MODEL, "a.jpg", "--backend", "magic"), ExitCode.USAGE, "openvino, onnxruntime"),
        (("predict", DEMO_MODEL, "a.jpg", "--threads", "0"), ExitCode.USAGE, "at least 1"),
        (("predict", "nothing.onnx", "a.jpg"), ExitCode.MODEL, "nothing.onnx"),
        (("predict", "broken.onnx", "a.jpg"), ExitCode.MODEL, "broken.onnx"),
        (("info", DEMO_MODEL, "--task", "segment"), ExitCode.MODEL, "segment"),
        (("predict", DEMO_MODEL, "none.jpg", "*.gif", "empty", "film.mp4"), ExitCode.NO_INPUT, "4 of 4 inputs"),
    ],
)
def test_exit_codes(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[object, ...],
    code: ExitCode,
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    write_scene(tmp_path / "a.jpg", 0)
    (tmp_path / "broken.onnx").write_bytes(DEMO_MODEL.read_bytes()[:5000])
    (tmp_path / "empty").mkdir()
    assert run_here(*arguments) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ")
    assert message in err
    assert len(err.splitlines()) == (5 if code is ExitCode.NO_INPUT else 1)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("predict", DEMO_MODEL), ExitCode.USAGE),
        (("predict", "nothing.onnx", "a.jpg"), ExitCode.MODEL),
        (("predict", DEMO_MODEL, "none.jpg"), ExitCode.NO_INPUT),
    ],
)
def test_the_exit_code_is_the_process_s(pictures: Path, arguments: tuple[object, ...], code: ExitCode) -> None:
    run = yoloom_cli(*arguments, cwd=pictures)
    assert (run.returncode, run.stdout) == (code, "")
    assert run.stderr.startswith("error: ")
    assert "Traceback" not in run.stderr


@pytest.mark.slow
def test_debug_shows_where_an_error_comes_from(tmp_path: Path) -> None:
    run = yoloom_cli("info", "nothing.onnx", "--debug", cwd=tmp_path)
    assert run.returncode == 1
    assert "Traceback" in run.stderr


def test_every_error_has_an_exit_code() -> None:
    codes = {name: exit_code(kind()) for name, kind in vars(errors).items() if _is_error(kind)}
    assert codes.pop("InputError") is codes.pop("YoloomError") is ExitCode.SOME_FAILED
    assert codes["UnknownClass"] is codes["BackendUnavailable"] is ExitCode.USAGE
    assert codes["DownloadFailed"] is ExitCode.MODEL
    assert codes["NoImagesFound"] is ExitCode.NO_INPUT
    of_one_image = {name for name, code in codes.items() if code is ExitCode.SOME_FAILED}
    assert of_one_image == {"InvalidImage", "ImageDecodeError", "ImageTooLarge"}


def _is_error(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, errors.YoloomError) and kind is not errors.PartialFailure


def test_help_is_quick_and_lists_the_exit_codes(tmp_path: Path) -> None:
    program = (
        "import sys; from yoloom.cli.main import main\n"
        "try: main(['predict', '--help'])\n"
        "except SystemExit as end: assert end.code == 0\n"
        "unneeded = {'openvino', 'onnxruntime', 'rich', 'yoloom.cli.commands.verify', 'yoloom.cli.commands.bench'}\n"
        "loaded = unneeded & set(sys.modules)\n"
        "assert not loaded, loaded"
    )
    run = finished([sys.executable, "-c", program], tmp_path)
    assert (run.returncode, run.stderr) == (0, "")
    assert "130  interrupted by Ctrl-C" in run.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_here(name, "--help") == ExitCode.OK
    out = capsys.readouterr().out
    assert out.startswith("usage: yoloom " + name)
    assert "--debug" in out
    assert "exit codes:" in out
    assert ("verdicts:" in out) is (name == "verify")


def test_the_commands_are_the_modules_of_their_folder() -> None:
    folder = Path(yoloom.__file__).parent / "cli" / "commands"
    assert {path.stem for path in folder.glob("*.py")} - {"__init__"} == COMMANDS.keys()


@pytest.mark.slow
def test_version(tmp_path: Path) -> None:
    run = yoloom_cli("--version", cwd=tmp_path)
    assert (run.returncode, run.stdout) == (0, f"yoloom {yoloom.__version__}\n")


@pytest.mark.slow
def test_info(tmp_path: Path) -> None:
    run = yoloom_cli("info", DEMO_MODEL, "--json", "--threads", 2, cwd=tmp_path)
    assert (run.returncode, run.stderr) == (ExitCode.OK, "")
    facts = json.loads(run.stdout)
    assert facts["names"] == {str(index): name for index, name in enumerate(NAMES)}
    assert facts["bytes"] == DEMO_MODEL.stat().st_size
    assert facts["guarantee"]["bit_identical"] is True
    assert (facts["task"], facts["dynamic"], facts["threads"]) == ("detect", True, 2)
    assert facts["budget"]["cpus"] == available_cpus()
    assert [(engine["threads"], engine["lanes"]) for engine in facts["budget"]["engines"]] == [(2, 1)]


def test_info_warns_of_libraries_that_take_more_than_there_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "4096")
    assert run_here("info", DEMO_MODEL, "--threads", 1) == ExitCode.OK
    assert "warning: OMP_NUM_THREADS=4096 lets other libraries use more threads" in capsys.readouterr().err


@pytest.mark.slow
def test_tune_measures_and_keeps_a_plan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("YOLOOM_CACHE", str(tmp_path))
    assert run_here("tune", DEMO_MODEL, "--threads", 2, "--seconds", 0.1, "--json") == ExitCode.OK
    output = capsys.readouterr()
    facts = json.loads(output.out)
    assert Path(facts["kept"]).parent == tmp_path / "plans"
    first = facts["candidates"][0]
    assert (first["streams"], first["lanes"], first["batch"], first["ratio"]) == (2, 3, 1, 1)
    assert facts["plan"]["because"]
    assert output.err.startswith("measuring for about 0.1 seconds")
    assert run_here("cache") == ExitCode.OK
    assert f"plan of demo.onnx  {facts['plan']['because']}" in capsys.readouterr().out
    assert run_here("cache", "--clear", "--json") == ExitCode.OK
    assert json.loads(capsys.readouterr().out)["plans"] == [{"model": "demo.onnx", **facts["plan"]}]
    assert not list((tmp_path / "plans").iterdir())


@pytest.mark.parametrize("backend", [None, "openvino", "onnxruntime"])
@pytest.mark.parametrize("precision", [None, "fp32", "bf16", "auto"])
def test_tune_measures_in_the_precision_that_was_asked_for(
    backend: str | None,
    precision: str | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    # Before, --precision was taken and ignored: the plan of float32 was kept, and none for what was asked.
    monkeypatch.setenv("YOLOOM_CACHE", str(tmp_path))
    subjects: list[Subject] = []
    candidate = Candidate(Plan(1), 1, 2, 1, 10.0, 1.0)
    tuning = Tuning(Plan(1), (candidate,), 0.1)
    monkeypatch.setattr(tune, "tune", lambda subject, *_: subjects.append(subject) or tuning)
    asked = ("--precision", precision) if precision else ()
    chosen = ("--backend", backend) if backend else ()
    runtime = find_backend(backend or "openvino", "cpu")
    code = run_here("tune", DEMO_MODEL, "--json", *asked, *chosen)
    if precision == "bf16" and Precision.BF16 not in runtime.precisions():
        assert code == ExitCode.USAGE
        assert "precision must be fp32" in capsys.readouterr().err
        return
    expected = find_precision(precision, runtime)
    assert code == ExitCode.OK
    assert [subject.precision for subject in subjects] == [expected]
    assert json.loads(capsys.readouterr().out)["precision"] == expected.value
    assert Plans(tune.tune).auto(subjects[0]) == Plan(1)  # found, and not measured again
    assert len(subjects) == 1


@pytest.mark.parametrize("arguments", [("--precision", "fp64"), ("--device", "cuda"), ("--device", "tpu")])
def test_tune_refuses_what_it_would_not_measure(arguments: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run_here("tune", DEMO_MODEL, *arguments) == ExitCode.USAGE
    assert arguments[0].strip("-") in capsys.readouterr().err


@pytest.mark.parametrize("name", ["converted", "plans"])
@pytest.mark.parametrize("flags", [(), ("--clear",)])
def test_cache_says_that_it_does_not_follow_a_link(
    name: str,
    flags: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Seen to list and to remove what lies behind it."""
    models = tmp_path / "models"
    models.mkdir()
    (models / "mine.onnx").touch()
    (models / "mine.json").touch()
    (tmp_path / name).symlink_to(models)
    monkeypatch.setenv("YOLOOM_CACHE", str(tmp_path))
    assert run_here("cache", *flags) == ExitCode.USAGE
    assert f"{tmp_path / name} is a symbolic link" in capsys.readouterr().err
    assert len(list(models.iterdir())) == 2


@pytest.mark.parametrize("seconds", ["0", "-1", "nan", "inf", "x"])
def test_tune_needs_a_time(seconds: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_here("tune", DEMO_MODEL, "--seconds", seconds) == ExitCode.USAGE
    assert "--seconds" in capsys.readouterr().err


def test_info_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_here("info", DEMO_MODEL, "--threads", 1) == ExitCode.OK
    facts = dict(line.split("  ", 1) for line in capsys.readouterr().out.splitlines())
    assert facts["when shared"].strip().startswith("same bits as alone: ")
    assert facts["CPU budget"].strip().startswith(f"1 thread on {available_cpus()} CPU")
    assert facts["input"].strip() == "any x 3 x any x any"


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["openvino", "onnxruntime"])
def test_info_tells_the_precision_and_what_else_there_is(capsys: pytest.CaptureFixture[str], backend: str) -> None:
    offered = [precision.value for precision in find_backend(backend, "cpu").precisions()]
    arguments = ("info", DEMO_MODEL, "--backend", backend, "--precision", "auto")
    assert run_here(*arguments, "--json") == ExitCode.OK
    facts = json.loads(capsys.readouterr().out)
    assert facts["precisions"] == offered
    chosen = find_precision("auto", find_backend(backend, "cpu")).value
    assert facts["guarantee"]["precision"] == chosen
    assert run_here(*arguments) == ExitCode.OK
    lines = dict(line.split("  ", 1) for line in capsys.readouterr().out.splitlines())
    assert lines["precision"].strip() == f"{chosen} (this machine offers {' and '.join(offered)})"


def test_a_precision_that_is_not_here_is_wrong_usage(pictures: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for backend, precision in (("onnxruntime", "bf16"), ("openvino", "fp16")):
        arguments = ("predict", DEMO_MODEL, pictures / "a.jpg", "--backend", backend, "--precision", precision)
        assert run_here(*arguments) == ExitCode.USAGE
        output = capsys.readouterr()
        assert output.out == ""
        assert output.err.startswith("error: precision must be ")


@pytest.mark.slow
def test_predict_takes_the_best_precision(pictures: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ("predict", DEMO_MODEL, pictures / "a.jpg", "--precision", "auto", *SMALL, "--format", "jsonl")
    assert run_here(*arguments) == ExitCode.OK
    (record,) = map(json.loads, capsys.readouterr().out.splitlines())
    with YOLO(DEMO_MODEL, precision="auto") as model:
        (expected,) = model(pictures / "a.jpg", imgsz=160)
    assert len(record["detections"]) == len(expected) > 0


@pytest.fixture
def many(tmp_path: Path) -> Iterator[Path]:
    """More pictures than anybody waits for."""
    folder = tmp_path / "many"
    folder.mkdir()
    write_scene(folder / "0.jpg", 0)
    for number in range(1, 2000):
        os.link(folder / "0.jpg", folder / f"{number}.jpg")
    return folder


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGINT for one process")
def test_ctrl_c_leaves_no_mess(many: Path, tmp_path: Path) -> None:
    arguments = ("predict", str(DEMO_MODEL), "many", *SMALL, "--format", "jsonl", "--save", "--project", "saved")
    with subprocess.Popen(
        [sys.executable, "-c", AS_IN_A_SHELL + MODULE, *arguments],
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    ) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        process.send_signal(signal.SIGINT)
        # Not `communicate`, which knows nothing of what `readline` has read ahead.
        assert process.stderr is not None
        rest, complaints = process.stdout.read(), process.stderr.read()
        process.wait(30)
    assert process.returncode == ExitCode.INTERRUPTED
    assert complaints == "interrupted\n"
    done = [json.loads(line)["file"] for line in (first + rest).splitlines()]
    assert len(done) < 2000
    saved = sorted((tmp_path / "saved" / "predict").iterdir())
    assert [path.name for path in saved] == sorted(Path(file).name for file in done)
    assert all(cv2.imread(str(path)) is not None for path in saved)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["many", "saved"]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="pipes end otherwise there")
@pytest.mark.parametrize("form", ["jsonl", "json"])
def test_a_reader_that_goes_away_ends_it_quietly(many: Path, tmp_path: Path, form: str) -> None:
    with subprocess.Popen(
        command("predict", DEMO_MODEL, "many", *SMALL, "--conf", 0.01, "--format", form),
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == ExitCode.PIPE_CLOSED


@pytest.mark.slow
def test_the_progress_bar_stays_out_of_stdout(pictures: Path) -> None:
    pty = pytest.importorskip("pty")
    master, terminal = pty.openpty()
    run = subprocess.run(
        command("predict", DEMO_MODEL, "a.jpg", "b.png", *SMALL, "--format", "json"),
        cwd=pictures,
        env={**environment(), "TERM": "xterm"},
        stdout=subprocess.PIPE,
        stderr=terminal,
        encoding="utf-8",
        check=False,
    )
    os.close(terminal)
    shown = os.read(master, 65536).decode()
    os.close(master)
    assert run.returncode == ExitCode.OK
    assert len(json.loads(run.stdout)) == 2
    assert "2/2" in shown


def test_a_missing_source_does_not_stop_the_others(pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(pictures)
    inputs = find_inputs(["none.jpg", "*.png", "*.gif", "a.jpg"])
    assert inputs.images == ["b.png", "a.jpg"]
    assert list(inputs.missing) == ["none.jpg", "*.gif"]


def test_work_under_way_is_finished_before_the_interrupt() -> None:
    done = []

    def press_at_2() -> None:
        for number in until_interrupted(range(10)):
            if number == 2:
                signal.raise_signal(signal.SIGINT)
            done.append(number)

    with pytest.raises(KeyboardInterrupt):
        press_at_2()
    assert done == [0, 1, 2]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_second_interrupt_does_not_wait() -> None:
    def press_twice() -> None:
        for _ in until_interrupted(range(10)):
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)
            pytest.fail("the work went on")

    with pytest.raises(KeyboardInterrupt):
        press_twice()


def test_a_table_cell_can_not_steer_the_terminal() -> None:
    out = io.StringIO()
    print_table(out, ("file", "class"), [("a\x1b[2J\nb\udc80", 10), ("c", 7)])
    assert out.getvalue() == "file      class\na?[2J?b?     10\nc             7\n"


def test_arguments_become_what_predict_takes() -> None:
    parsed = parse_arguments(
        [
            "predict",
            "m",
            "a",
            "b",
            "--imgsz",
            "480,640",
            "--classes",
            "car, 3",
            "--classes",
            "traffic light",
            "--no-save",
        ]
    )
    assert (parsed.source, parsed.imgsz, parsed.save) == (["a", "b"], [480, 640], False)
    assert parsed.classes == ["car", 3, "traffic light"]


@pytest.mark.slow
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
def test_output_that_can_not_be_written_has_its_exit_code(pictures: Path) -> None:
    with Path("/dev/full").open("w") as full:
        run = subprocess.run(
            command("predict", DEMO_MODEL, "a.jpg", *SMALL, "--format", "jsonl"),
            cwd=pictures,
            env=environment(),
            stdout=full,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            check=False,
        )
    assert run.returncode == ExitCode.OUTPUT
    assert run.stderr.startswith("error: the output can not be written: ")


def test_empty_classes_are_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    for text in ("", ","):
        assert run_here("predict", DEMO_MODEL, "a.jpg", "--classes", text) == ExitCode.USAGE
    assert "expected ids or names" in capsys.readouterr().err


CHECKPOINTS = Path(__file__).parents[1] / "data" / "checkpoints"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["v9-segment", "11-pose", "12-obb", "11-classify"])
@pytest.mark.parametrize("form", ["table", "csv", "json"])
def test_every_task_in_every_format(tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, form: str) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), scene(1, (160, 120)).image)
    options = ("--conf", 0.01, "--max-det", 5, "--imgsz", 96, "--format", form)
    assert run_command([str(word) for word in ("predict", CHECKPOINTS / f"{name}.pt", tmp_path, *options)]) == 0
    out = capsys.readouterr().out
    if form == "json":
        (record,) = json.loads(out)
        assert len(record["detections"]) > 1
    elif form == "csv":
        rows = list(csv.DictReader(io.StringIO(out)))
        assert len(rows) > 1
        assert all((row["x1"] == "") == (name == "11-classify") for row in rows)
    else:
        assert out.count("a.png") > 1
