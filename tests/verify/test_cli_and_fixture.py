"""`yoloom verify`, its adapters and the pytest fixture, as people and scripts meet them."""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
import pytest

import broken_models as broken
import pytest_yoloom
import yoloom
from scenes import scene
from yoloom.assets import DEMO_MODEL
from yoloom.cli.command_line import parse_arguments
from yoloom.cli.commands.verify import CODES
from yoloom.cli.exit_codes import ExitCode
from yoloom.cli.main import run_command
from yoloom.errors import BackendUnavailable, InvalidOption, ModelNotFound
from yoloom.verify import Verdict, adapters, check
from yoloom.verify.check_settings import SECONDS, THREADS

pytestmark = pytest.mark.slow

HERE = Path(yoloom.__file__).absolute().parents[1]
TESTS = Path(__file__).parents[1] / "support"
QUICK = ("--seconds", 1, "--threads", "2,8")


def environment(*folders: Path) -> dict[str, str]:
    paths = [str(path) for path in (HERE, Path(pytest_yoloom.__file__).absolute().parents[1], *folders)]
    return {**os.environ, "PYTHONPATH": os.pathsep.join([*paths, os.environ.get("PYTHONPATH", "")])}


def finished(program: list[object], cwd: Path) -> subprocess.CompletedProcess[str]:
    words = [str(word) for word in program]
    return subprocess.run(
        words, check=False, cwd=cwd, env=environment(), capture_output=True, encoding="utf-8", timeout=100
    )


def verify(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    return finished([sys.executable, "-W", "error", "-m", "yoloom", "verify", *arguments], cwd)


def verify_here(*arguments: object) -> int:
    try:
        return run_command(["verify", *map(str, arguments)])
    except SystemExit as end:  # how argparse answers
        return int(end.code or 0)


@pytest.fixture(autouse=True)
def _same_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a command puts in front of it is gone after the test."""
    monkeypatch.setattr(sys, "path", list(sys.path))


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    for seed in range(3):
        cv2.imwrite(str(folder / f"{seed}.png"), scene(seed, (96, 64 + 32 * seed)).image)
    return folder


# ---- The command


def test_a_model_passes(tiny_onnx: Callable[..., Path], pictures: Path, tmp_path: Path) -> None:
    page = tmp_path / "out.html"
    done = verify(tiny_onnx(), pictures, "--task", "detect", *QUICK, "--report", page, cwd=tmp_path)
    assert done.returncode == ExitCode.OK, done.stderr
    facts = dict(line.split("  ", 1) for line in done.stdout.split("\n\n")[0].splitlines())
    assert facts["mismatches"].strip() == "0"
    assert done.stderr.splitlines()[-1].startswith("pass: ")
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")


def test_a_file_beside_is_a_target_and_json_has_everything(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = (TESTS / "broken_models.py").read_text()
    (tmp_path / "beside.py").write_text(source + "\n\ndef make(name, every='500'):\n    return globals()[name]()\n")
    done = verify(
        "--target", "beside:make", "--target-arg", "SharedOptions", "--target-arg", "every=3", "--json", *QUICK,
        cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == ExitCode.WRONG_ANSWERS, done.stderr
    told = json.loads(done.stdout)
    assert told["verdict"] == "cross-talk"
    assert told["mismatches"] > 0
    assert told["shown"][0]["whose"]
    assert done.stderr.splitlines()[-1].startswith("cross-talk: ")


def test_a_hang_ends_the_process_with_its_stacks(tmp_path: Path) -> None:
    """Also when the target's own threads would keep it alive: its pool is joined at exit."""
    (tmp_path / "stuck.py").write_text(
        textwrap.dedent("""
            import threading
            from concurrent.futures import ThreadPoolExecutor

            def make():
                pool, lock, calls = ThreadPoolExecutor(4), threading.Lock(), iter(range(10 ** 9))

                def work(image):
                    if next(calls) > 150:
                        threading.Event().wait()
                    return image.mean()

                return lambda image: pool.submit(work, image).result()
        """)
    )
    done = verify("--target", "stuck:make", "--hang-after", 1, "--threads", 4, "--seconds", 5, cwd=tmp_path)
    assert done.returncode == ExitCode.HUNG, done.stderr
    assert "threading.Event().wait()" in done.stdout
    assert done.stderr.splitlines()[-1].startswith("hang: ")


def test_every_verdict_has_a_code() -> None:
    assert set(CODES) == set(Verdict)
    assert CODES[Verdict.PASS] == 0
    assert all(code >= 10 for verdict, code in CODES.items() if verdict is not Verdict.PASS)


def test_the_help_tells_the_defaults(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse_arguments(["verify", "--help"])
    told = " ".join(capsys.readouterr().out.split())
    assert ",".join(map(str, THREADS)) in told
    assert f"(default: {SECONDS:g})" in told
    assert all(f" {code:d} " in told for code in {*CODES.values()} - {0})


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ((), ExitCode.USAGE, "expected a MODEL, or --target"),
        (("x.onnx", "--seconds", 0), ExitCode.USAGE, "in 0 s nothing can be shown"),
        (("x.onnx", "--hang-after", 0), ExitCode.USAGE, "no request ends within 0 s"),
        (("x.onnx", "--threads", "0,2"), ExitCode.USAGE, "at least 1"),
        (("x.onnx", "--threads", "8,x"), ExitCode.USAGE, "expected numbers such as 1,2,8"),
        (("x.onnx", "--report", "."), ExitCode.USAGE, "name a file in it"),
        (("broken_models:Sound",), ExitCode.USAGE, "--target broken_models:Sound"),
        (("x.onnx", "--report", "no/such/folder/out.html"), ExitCode.USAGE, "there is no such folder"),
        (("x.onnx",), ExitCode.MODEL, "which is neither"),
        (("x.onnx", "none.jpg"), ExitCode.NO_INPUT, "no such image"),
        (("x.onnx", "."), ExitCode.NO_INPUT, "no images in this folder"),
        (("--target", "broken_models"), ExitCode.MODEL, "package.module:factory"),
        (("--target", "no_such_module:make"), ExitCode.MODEL, "'no_such_module'. It is looked for in the working"),
        (("--target", "needs_a_package:make"), ExitCode.MODEL, "'no_such_package'. Run yoloom in the environment"),
        (("--target", "needs_a_gpu.py:make"), ExitCode.MODEL, "Name the module, not its file: needs_a_gpu"),
        (("--target", "says_nothing:make"), ExitCode.MODEL, "says_nothing:make, asked for scene-1(): an "),
        (("--target", "broken_models:Sounds"), ExitCode.MODEL, "did you mean 'Sound'?"),
        (("--target", "broken_models:CELL"), ExitCode.MODEL, "must be a function"),
        (("--target", "broken_models:anchors_of", "--target-arg", "1"), ExitCode.MODEL, "raised IndexError: string"),
        (("--target", "broken_models:Noisy"), ExitCode.MODEL, "Noisy(noise) was called with (): missing"),
        (("--target", "broken_models:Sound", "--target-arg", "1"), ExitCode.MODEL, "too many positional arguments"),
        (("--target", "os.path:basename", "--target-arg", "a/b"), ExitCode.MODEL, "must return a callable"),
        (("--target", "broken_models:Sound", "--asyncio"), ExitCode.USAGE, "predict_async"),
        (("--target", "broken_models:Sound", "--workers", "2"), ExitCode.USAGE, "--target-arg"),
        (("--target", "broken_models:Sound", "--precision", "bf16"), ExitCode.USAGE, "--target-arg"),
        ((DEMO_MODEL, "--precision", "int8"), ExitCode.USAGE, "precision must be one of"),
        (("--target", "needs_a_gpu:make"), ExitCode.MODEL, "because of OSError: libcuda.so.1: no such file"),
    ],
)  # fmt: skip
def test_bad_input_is_told_in_one_line(
    arguments: tuple[object, ...],
    code: ExitCode,
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "needs_a_gpu.py").write_text(
        "def make():\n"
        "    try:\n"
        "        raise OSError('libcuda.so.1: no such file')\n"
        "    except OSError as error:\n"
        "        raise RuntimeError('no CUDA device') from error\n"
    )
    (tmp_path / "needs_a_package.py").write_text("import no_such_package\n")
    (tmp_path / "says_nothing.py").write_text("def make():\n    return lambda image: None\n")
    monkeypatch.chdir(tmp_path)
    assert verify_here(*arguments) == code
    told = capsys.readouterr()
    assert told.out == ""
    assert words in told.err
    assert len(told.err.splitlines()) == 1


def test_what_a_target_prints_is_not_in_the_json(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "talks.py").write_text(
        "def make():\n"
        "    print('loading')\n"
        "    def predict(image, conf):\n"
        "        print('working')\n"
        "        return image.mean() * conf\n"
        "    return predict\n"
    )
    monkeypatch.chdir(tmp_path)
    assert verify_here("--target", "talks:make", "--rounds", 1, "--threads", 2, "--json") == ExitCode.OK
    told = capsys.readouterr()
    assert json.loads(told.out)["target"] == "talks:make"
    assert "loading" in told.err
    assert "working" in told.err


def test_worker_processes_are_verified(tiny_onnx: Callable[..., Path], capsys: pytest.CaptureFixture[str]) -> None:
    command = (tiny_onnx(), "--task", "detect", "--workers", 2, "--rounds", 1, "--threads", 2)
    assert verify_here(*command) == ExitCode.OK, capsys.readouterr()


@pytest.mark.skipif(sys.platform == "win32", reason="sends SIGINT")
def test_ctrl_c_ends_it(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(
        "import os, time\n"
        "def predict(image):\n"
        "    os.write(2, b'running\\n')\n"  # whole lines: fresh instances are called by several threads at once
        "    time.sleep(0.01)\n"
        "    return image.mean()\n"
        "def make():\n"
        "    return predict\n"
    )
    start = "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
    run = "from yoloom.cli.main import main; sys.exit(main())"
    with subprocess.Popen(
        [sys.executable, "-c", start + run, "verify", "--target", "slow:make", "--seconds", "60"],
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    ) as child:
        assert child.stderr is not None
        assert child.stderr.readline() == "running\n"
        child.send_signal(signal.SIGINT)
        _, told = child.communicate(timeout=60)
    assert child.returncode == ExitCode.INTERRUPTED
    assert told.splitlines()[-1] == "interrupted"


# ---- Adapters


def test_a_shared_session_of_onnx_runtime_passes(tiny_onnx: Callable[..., Path], pictures: Path) -> None:
    target = adapters.onnxruntime(str(tiny_onnx()), threads="1", imgsz="64")
    report = check(target, pictures, threads=8, rounds=3)
    assert report.ok, str(report)
    assert report.facts["library"] == f"onnxruntime {onnxruntime.__version__}"


def test_the_shared_infer_request_of_a_compiled_model_does_not(tiny_onnx: Callable[..., Path], pictures: Path) -> None:
    """`compiled(image)` is what people write first: a second thread gets an error, or another's answer."""
    report = check(adapters.openvino(str(tiny_onnx()), imgsz="640"), pictures, threads=8, seconds=2)
    assert not report.ok
    assert "Infer Request is busy" in str(report)


def test_an_infer_request_for_each_call_passes(tiny_onnx: Callable[..., Path], pictures: Path) -> None:
    report = check(adapters.openvino(str(tiny_onnx()), request="each", imgsz="64"), pictures, threads=8, rounds=3)
    assert report.ok, str(report)


def test_adapters_take_fixed_sizes_and_batches(tiny_onnx: Callable[..., Path]) -> None:
    path = str(tiny_onnx(batch=2, hw=(64, 96)))
    image = np.zeros((40, 30, 3), np.uint8)
    for target in (adapters.onnxruntime(path), adapters.openvino(path)):
        [answer] = target(image).values() if hasattr(target(image), "values") else target(image)
        assert answer.shape == (2, 7, 8 * 12)


def test_wrong_arguments_of_adapters_are_told(tiny_onnx: Callable[..., Path]) -> None:
    with pytest.raises(InvalidOption, match="request must be 'shared' or 'each'"):
        adapters.openvino(str(tiny_onnx()), request="both")
    with pytest.raises(InvalidOption, match="imgsz must be at least 1"):
        adapters.onnxruntime(str(tiny_onnx()), imgsz="0")
    with pytest.raises(InvalidOption, match="threads must be a whole number, got 'many'"):
        adapters.onnxruntime(str(tiny_onnx()), threads="many")
    for adapter in (adapters.onnxruntime, adapters.openvino):
        with pytest.raises(ModelNotFound, match=r"a model file that exists, got 'none\.onnx'"):
            adapter("none.onnx")


def test_a_library_that_is_missing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ultralytics", "onnxruntime"):
        monkeypatch.setitem(sys.modules, name, None)
        with pytest.raises(BackendUnavailable, match=f"needs {name}, which can not be imported here"):
            getattr(adapters, name)("x.onnx")


# ---- The pytest fixture


def run_pytest(folder: Path, body: str) -> subprocess.CompletedProcess[str]:
    (folder / "test_shared.py").write_text(f"import broken_models as broken\n\n{textwrap.dedent(body)}")
    environment_ = {**environment(TESTS), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "pytest_yoloom", "-W", "error", "test_shared.py"]
    return subprocess.run(
        command, check=False, cwd=folder, env=environment_, capture_output=True, encoding="utf-8", timeout=100
    )


def test_the_fixture_passes_and_returns_the_report(tmp_path: Path) -> None:
    done = run_pytest(
        tmp_path,
        """
        def test_it(yoloom_verify):
            report = yoloom_verify(broken.Sound(), threads=4, seconds=0.5, seed=3)
            assert report.ok and report.seed == 3
        """,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_fixture_fails_the_test_with_the_report(tmp_path: Path) -> None:
    done = run_pytest(
        tmp_path,
        """
        def test_it(yoloom_verify):
            yoloom_verify(broken.SharedOptions(), threads=4, seconds=0.5)
        """,
    )
    assert done.returncode == 1
    assert "SharedOptions: cross-talk: " in done.stdout
    assert "expected\n" in done.stdout
    assert "Traceback" not in done.stdout


def test_the_plugin_imports_nothing_heavy(tmp_path: Path) -> None:
    code = "import sys, pytest_yoloom; print([n for n in ('yoloom', 'numpy', 'cv2', 'openvino') if n in sys.modules])"
    assert finished([sys.executable, "-c", code], tmp_path).stdout == "[]\n"


def test_the_package_has_verify_and_imports_it_when_asked(tmp_path: Path) -> None:
    code = (
        "import sys, yoloom; before = 'yoloom.verify' in sys.modules; "
        "print(before, yoloom.verify.check.__name__, hasattr(yoloom, 'verity'))"
    )
    assert finished([sys.executable, "-c", code], tmp_path).stdout == "False check False\n"


def test_pytest_finds_the_plugin() -> None:
    """By the entry point that the wheel declares."""
    project = (TESTS.parents[1] / "pyproject.toml").read_text()
    assert '[project.entry-points.pytest11]\nyoloom = "pytest_yoloom"\n' in project
    assert callable(importlib.import_module("pytest_yoloom").yoloom_verify)


def test_the_sound_target_of_the_docs_passes(tmp_path: Path) -> None:
    assert verify_here("--target", "broken_models:Sound", "--rounds", 1, "--threads", 4) == ExitCode.OK
    assert broken.Sound.options
