"""Imports go down the layers of the design only, and importing the package changes nothing."""

from __future__ import annotations

import ast
import functools
import importlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import yoloom

ROOT = Path(yoloom.__file__).parent

ORDER = [
    "errors",
    "values",
    "validation",
    "_version",
    "assets",
    "options",
    "formats",
    "system",
    "sync",
    "images",
    "sources",
    "runtime",
    "store",
    "telemetry",
    "postprocess",
    "results",
    "testing",
    "engine",
    "workers",
    "facade",
    "yolo",
    "bench",
    "verify",
    "cli",
    "__main__",
    "__init__",
]
"""The parts of the package: each may import what stands before it, and itself."""

PLACE_OF = {part: place for place, part in enumerate(ORDER)}
OUTSIDE = "testing"  # for users and tests; nothing inside may import it

HEAVY = [
    *(
        "torch",
        "ultralytics",
        "matplotlib",
        "pandas",
        "polars",
        "openvino",
        "openvino_telemetry",
        "onnxruntime",
        "onnx",
    ),
    *("PIL", "yaml", "rich", "typer", "filelock"),
]


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in sorted(ROOT.rglob("*.py"))}


def part_of(module: str) -> str:
    """The folder or file of the package that a module belongs to."""
    return [*module.split("."), "__init__"][1]


def is_for_types_only(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")


@functools.cache
def tree_of(module: str) -> ast.Module:
    return ast.parse(MODULES[module].read_text(encoding="utf-8"))


def statements(node: ast.AST, with_types: bool) -> Iterator[ast.Import | ast.ImportFrom]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.Import, ast.ImportFrom)):
            yield child
        elif with_types or not is_for_types_only(child):
            yield from statements(child, with_types)


@functools.cache
def imports(module: str, with_types: bool = True) -> set[str]:
    """The modules of the package that one module imports, at its top or anywhere in it."""
    found = set()
    for node in statements(tree_of(module), with_types):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        else:
            assert node.level == 0, f"{module}: relative imports hide the layer"
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in MODULES else str(node.module) for name in names}
    return {name for name in found if name.split(".")[0] == "yoloom"}


def test_every_part_has_its_place() -> None:
    assert {part_of(module) for module in MODULES} == set(ORDER)


def test_nothing_inside_imports_what_is_for_tests() -> None:
    users = [module for module in MODULES if any(part_of(name) == OUTSIDE for name in imports(module))]
    assert not users


@pytest.mark.parametrize("module", MODULES)
def test_imports_go_one_way_only(module: str) -> None:
    place = PLACE_OF[part_of(module)]
    onward = {name for name in imports(module) if PLACE_OF[part_of(name)] > place}
    assert not onward, f"{module} (place {place}) imports {', '.join(sorted(onward))}"


def test_no_cycles() -> None:
    """For types neither: a module that needs another one only to name its types belongs above it too."""
    waits_for = {module: imports(module, with_types=True) & MODULES.keys() - {module} for module in MODULES}
    while free := [module for module, others in waits_for.items() if not others & waits_for.keys()]:
        for module in free:
            del waits_for[module]
    assert not waits_for, "these import each other, directly or through others"


def test_pure_layers_have_no_threads_and_no_clock() -> None:
    """But the locks of `images.decode`, which guard images that PIL has not read yet, and are kept below."""
    for module, path in MODULES.items():
        if part_of(module) in ("formats", "postprocess", "images"):
            used = {alias.name for node in statements(ast.parse(path.read_text()), True) for alias in node.names} & {
                "threading",
                "time",
                "queue",
                "multiprocessing",
                "asyncio",
                "socket",
                "subprocess",
            }
            assert not used, module


# ---- In a process of its own


def told_by(code: str) -> Any:
    """What a fresh interpreter prints as JSON on its last line."""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=100, check=False)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout.splitlines()[-1])


IMPORT = f"""
import json, os, signal, sys, threading, warnings
import cv2, numpy
events = []
WATCHED = ("socket.", "subprocess.", "os.fork", "os.posix_spawn", "os.system")
sys.addaudithook(lambda name, _: events.append(name) if name.startswith(WATCHED) else None)

def state():
    return {{
        "opencv threads": cv2.getNumThreads(),
        "opencv optimised": cv2.useOptimized(),
        "threads": [thread.name for thread in threading.enumerate()],
        "tasks": len(os.listdir("/proc/self/task")) if os.path.exists("/proc/self/task") else 0,
        "numpy errors": numpy.geterr(),
        "switch interval": sys.getswitchinterval(),
        "recursion limit": sys.getrecursionlimit(),
        "signals": [str(signal.getsignal(number)) for number in (signal.SIGINT, signal.SIGTERM)],
        "warnings": [str(entry) for entry in warnings.filters],
        "excepthook": str(sys.excepthook),
        "folder": os.getcwd(),
    }}

before = state()
from yoloom import *
after = state()
print(json.dumps({{
    "changed": [key for key in before if before[key] != after[key]],
    "events": events,
    "heavy": [name for name in {HEAVY!r} if name in sys.modules],
}}))
"""

OPEN = """
import json, os, sys, threading
from pathlib import Path
from yoloom.formats.read import read_model
from yoloom.runtime.registry import find_backend
from yoloom.runtime.cpu import latency_profile
import numpy
events = []
WATCHED = ("socket.", "subprocess.", "os.fork", "os.posix_spawn", "os.system")
sys.addaudithook(lambda name, _: events.append(name) if name.startswith(WATCHED) else None)
environment = dict(os.environ)
model = read_model(Path(MODEL))
compiled = find_backend("openvino", "cpu").compile(model, latency_profile(2))
compiled.context().run(numpy.zeros((1, 64, 64, 3), numpy.uint8))
print(json.dumps({
    "environment": dict(os.environ) == environment,
    "telemetry": [name for name in sys.modules if name.startswith("openvino_telemetry")],
    "threads": [thread.name for thread in threading.enumerate()],
    "events": events,
    "heavy": [name for name in ("torch", "onnx", "onnxruntime", "PIL", "matplotlib", "pandas") if name in sys.modules],
}))
"""


@functools.cache
def after_import() -> dict[str, list[str]]:
    return told_by(IMPORT)


@pytest.mark.slow
def test_import_changes_nothing() -> None:
    assert after_import()["changed"] == []


@pytest.mark.slow
def test_import_changes_no_environment_variable() -> None:
    """OpenCV's import does, by itself."""
    code = "import json, os; before = dict(os.environ); from yoloom import *; print(json.dumps(before == os.environ))"
    assert told_by(code) is True


def test_every_public_name_is_found_where_it_lives() -> None:
    for name in {*yoloom.__all__} - {"errors"}:
        found = getattr(yoloom, name)
        assert getattr(importlib.import_module(found.__module__), name) is found
    assert yoloom.errors is importlib.import_module("yoloom.errors")
    assert {*yoloom.__all__, "verify", "__version__"} <= {*dir(yoloom)}
    with pytest.raises(AttributeError, match="has no attribute 'Yolo'"):
        yoloom.Yolo  # noqa: B018


@pytest.mark.slow
def test_public_names_that_many_threads_ask_for_at_once_are_the_same() -> None:
    code = """
import json
import yoloom
from yoloom.testing import barrier_run
print(json.dumps(len({id(found) for found in barrier_run(8, lambda _: yoloom.Workers)})))
"""
    assert told_by(code) == 1


@pytest.mark.slow
def test_a_worker_process_imports_what_it_needs() -> None:
    """Each worker that ends costs the start of another one, which is imports for the most part."""
    code = """
import json, sys
sys.yoloom_worker = True
import yoloom.workers.child.worker
print(json.dumps([name for name in sys.modules if name.startswith("yoloom.")]))
"""
    spared = "engine.engine facade formats.checkpoint results store.conversions store.hub workers.supervisor yolo"
    names = {f"yoloom.{name}" for name in spared.split()}
    assert names <= MODULES.keys(), "a module has another name by now"
    assert {*told_by(code)} & names == set()


@pytest.mark.slow
def test_import_opens_no_socket_and_starts_no_process() -> None:
    assert after_import()["events"] == []


@pytest.mark.slow
def test_import_loads_nothing_heavy() -> None:
    assert after_import()["heavy"] == []


@pytest.mark.slow
def test_opening_a_model_is_as_quiet(demo_model: Path) -> None:
    """OpenVINO's own package reports its import to an analytics service, from a process that it forks."""
    told = told_by(f"MODEL = {str(demo_model)!r}\n{OPEN}")
    assert told == {"environment": True, "telemetry": [], "threads": ["MainThread"], "events": [], "heavy": []}


@pytest.mark.slow
def test_openvino_that_was_imported_before_is_left_as_it_is() -> None:
    told = told_by(
        "import json, sys\n"
        "sys.modules['openvino_telemetry'] = None\n"
        "import openvino\n"
        "from yoloom.runtime.openvino_quietly import openvino as ours\n"
        "print(json.dumps({'same': ours is openvino, 'told': 'openvino_telemetry' in sys.modules}))"
    )
    assert told == {"same": True, "told": True}


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="counts the threads of /proc")
def test_onnxruntime_is_imported_without_the_thread_of_its_telemetry() -> None:
    """Seen to fail with a plain `import onnxruntime` (1.31)."""
    told = told_by(
        "import json, os\n"
        "import yoloom, numpy\n"
        "threads = lambda: len(os.listdir('/proc/self/task'))\n"
        "before, environment = threads(), dict(os.environ)\n"
        "from yoloom.runtime.onnxruntime_quietly import onnxruntime\n"
        "print(json.dumps({'new': threads() - before, 'same': dict(os.environ) == environment}))"
    )
    assert told == {"new": 0, "same": True}
