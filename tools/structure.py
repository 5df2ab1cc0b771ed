"""Measures how the code is laid out: sizes, comments, import depth, and how many calls one prediction takes.

    python tools/structure.py            # a table, with what is aimed at
    python tools/structure.py --json     # the figures, and each name behind them

Functions of stubs and protocols are left out of the sizes, and docstrings are not counted. A
helper is a private function or method; it is used once when its name stands in one more place of the package than its
definition. The functions are those of the package that run while one array is predicted, in all threads, each counted
once, and the calls are all calls of them; carriers are the package's classes of which such a call makes an object.
"""

from __future__ import annotations

import argparse
import ast
import collections
import io
import json
import statistics
import sys
import threading
import tokenize
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

ROOT = Path(__file__).resolve().parent.parent / "src" / "yoloom"
Function = ast.FunctionDef | ast.AsyncFunctionDef
MEASURED_FOR_COMMENTS = ("engine", "workers")


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def functions(tree: ast.AST) -> Iterator[Function]:
    """All functions and methods that do something."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and not is_stub(node):
            yield node


def is_stub(function: Function) -> bool:
    return all(isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant) for line in function.body)


def length(function: Function) -> int:
    """Lines from `def` to the end, without the docstring."""
    lines = (function.end_lineno or 0) - function.lineno + 1
    first = function.body[0]
    if ast.get_docstring(function) is not None:
        lines -= (first.end_lineno or 0) - first.lineno + 1
    return lines


def percentile(values: list[int], share: float) -> int:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def helpers_used_once(texts: dict[str, str], trees: dict[str, ast.Module]) -> tuple[list[str], int]:
    """Private functions whose name is used once, and how many functions there are."""
    words: collections.Counter[str] = collections.Counter()
    for text in texts.values():
        tokens = tokenize.generate_tokens(io.StringIO(text).readline)
        words.update(token.string for token in tokens if token.type == tokenize.NAME)
    everything = [(module, function) for module, tree in trees.items() for function in functions(tree)]
    private = [(m, f) for m, f in everything if f.name.startswith("_") and not f.name.startswith("__")]
    defined = collections.Counter(function.name for _, function in private)
    once = [
        f"{module}:{function.name}"
        for module, function in private
        if words[function.name] - defined[function.name] == 1 and not function.decorator_list
    ]
    return once, len(everything)


def comment_share(texts: dict[str, str], part: str | None = None) -> float:
    """Comment lines by the hundred lines that are not empty."""
    comments = lines = 0
    for module, text in texts.items():
        if part is None or module.split(".")[1:2] == [part]:
            lines += sum(bool(line.strip()) for line in text.splitlines())
            tokens = tokenize.generate_tokens(io.StringIO(text).readline)
            comments += sum(token.type == tokenize.COMMENT and "noqa" not in token.string for token in tokens)
    return 100 * comments / max(1, lines)


def imports(module: str, tree: ast.Module, modules: set[str]) -> set[str]:
    """The package's modules that a module imports when it is imported itself."""
    found = set()
    for node in top_statements(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in modules else node.module for name in names}
    return (found & modules) - {module, "yoloom"}


def top_statements(tree: ast.AST) -> Iterator[ast.AST]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            continue
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield node
            yield from top_statements(node)


def deepest_chain(trees: dict[str, ast.Module]) -> list[str]:
    """The longest way down by imports."""
    modules = set(trees)
    below = {module: imports(module, tree, modules) for module, tree in trees.items()}
    longest: dict[str, list[str]] = {}

    def chain(module: str) -> list[str]:
        if module not in longest:
            longest[module] = []  # a circle ends here
            longest[module] = [module, *max((chain(other) for other in sorted(below[module])), key=len, default=[])]
        return longest[module]

    return max((chain(module) for module in sorted(modules)), key=len)


def names_twice(trees: dict[str, ast.Module]) -> tuple[list[str], list[str]]:
    """File names, and top-level classes, that the package has more than once."""
    packages = {module for module in trees if any(other.startswith(module + ".") for other in trees)}
    plain = collections.Counter(module.rpartition(".")[2] for module in trees if module not in packages)
    classes = collections.Counter(
        node.name for tree in trees.values() for node in tree.body if isinstance(node, ast.ClassDef)
    )
    return [name for name, count in plain.items() if count > 1], [name for name, count in classes.items() if count > 1]


class PredictProfile:
    """Counts what one prediction calls, in every thread that begins after `install`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._on = False
        self.calls: collections.Counter[CodeType] = collections.Counter()
        self.carriers: set[str] = set()

    def install(self) -> None:
        threading.setprofile(self._called)
        sys.setprofile(self._called)

    def _called(self, frame: FrameType, event: str, _: Any) -> None:
        if not self._on or event != "call":
            return
        code = frame.f_code
        with self._lock:
            if code.co_filename.startswith(str(ROOT)) and not code.co_name.startswith("<"):
                self.calls[code] += 1
            if code.co_name in ("__init__", "__new__") and code.co_argcount:
                first = frame.f_locals.get(code.co_varnames[0])
                kind = first if isinstance(first, type) else type(first)
                if kind.__module__.startswith("yoloom"):
                    self.carriers.add(f"{kind.__module__}.{kind.__qualname__}")

    def measure(self) -> None:
        import numpy as np

        from yoloom import YOLO
        from yoloom.assets import DEMO_MODEL

        self.install()
        with YOLO(DEMO_MODEL) as model:
            image = np.random.default_rng(0).integers(0, 256, (240, 320, 3), np.uint8)
            model.predict(image)
            self._on = True
            model.predict(image)
            self._on = False
        sys.setprofile(None)
        threading.setprofile(None)


def measured() -> dict[str, Any]:
    texts = {module_name(path): path.read_text(encoding="utf-8") for path in sorted(ROOT.rglob("*.py"))}
    trees = {module: ast.parse(text) for module, text in texts.items()}
    sizes = [length(function) for tree in trees.values() for function in functions(tree)]
    files = [text.count("\n") for text in texts.values() if text.count("\n") > 2]
    once, count = helpers_used_once(texts, trees)
    chain = deepest_chain(trees)
    twice_files, twice_classes = names_twice(trees)
    profile = PredictProfile()
    profile.measure()
    return {
        "functions": count,
        "function_median": statistics.median(sizes),
        "function_p90": percentile(sizes, 0.9),
        "files": len(files),
        "file_median": statistics.median(files),
        "loose_files": len(list(ROOT.glob("*.py"))),
        "helpers_once_percent": round(100 * len(once) / count, 1),
        "helpers_once": once,
        "comments_percent": round(comment_share(texts), 1),
        "comments_percent_by_part": {part: round(comment_share(texts, part), 1) for part in MEASURED_FOR_COMMENTS},
        "deepest_chain": len(chain),
        "chain": chain,
        "file_names_twice": twice_files,
        "class_names_twice": twice_classes,
        "predict_calls": sum(profile.calls.values()),
        "predict_functions": len(profile.calls),
        "predict_files": len({code.co_filename for code in profile.calls}),
        "predict_carriers": len(profile.carriers),
        "carriers": sorted(profile.carriers),
        "calls": {
            f"{Path(code.co_filename).relative_to(ROOT)}:{getattr(code, 'co_qualname', code.co_name)}": n
            for code, n in profile.calls.most_common()
        },
    }


def table(figures: dict[str, Any]) -> str:
    by_part = ", ".join(f"{part} {share}" for part, share in figures["comments_percent_by_part"].items())
    rows = [
        ("function, median / p90 lines", f"{figures['function_median']:g} / {figures['function_p90']}", "6-8 / 20-25"),
        ("file, median lines", f"{figures['file_median']:g} of {figures['files']}", "120-180"),
        ("loose files at the top", figures["loose_files"], ""),
        ("private helpers used once", f"{figures['helpers_once_percent']} %", "< 8 %"),
        ("comment lines", f"{figures['comments_percent']} % ({by_part})", ">= 6 % in engine, workers"),
        ("deepest import chain", figures["deepest_chain"], "<= 20"),
        ("one predict: functions (calls)", f"{figures['predict_functions']} ({figures['predict_calls']})", "<= 110"),
        ("one predict: files", figures["predict_files"], "<= 30"),
        ("one predict: carriers", figures["predict_carriers"], "<= 11"),
        ("names twice: files", len(figures["file_names_twice"]), "0 in the path"),
        ("names twice: classes", len(figures["class_names_twice"]), "0 in the path"),
    ]
    return "\n".join(f"{name:<30} {value!s:<34} {aim}".rstrip() for name, value, aim in rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--json", action="store_true", help="all figures, with the names behind them")
    figures = measured()
    print(json.dumps(figures, indent=1) if parser.parse_args().json else table(figures))


if __name__ == "__main__":
    main()
