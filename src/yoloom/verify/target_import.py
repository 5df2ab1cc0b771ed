"""`package.module:factory` → what the factory makes."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

from yoloom.errors import InvalidTarget, TargetFailed, YoloomError
from yoloom.options import shown
from yoloom.verify.causes import told_with_causes


def make_target(path: str, arguments: Sequence[str] = ()) -> Any:
    """Import the factory that `path` names, call it, and return what it made.

    arguments: handed to it as texts; those of the form name=value by that name.

    Raises InvalidTarget when there is no such factory or it can not be called, TargetFailed when it raises.
    """
    factory = _found(path)
    positional = [argument for argument in arguments if not _is_named(argument)]
    named = dict(argument.split("=", 1) for argument in arguments if _is_named(argument))
    try:
        made = factory(*positional, **named)
    except YoloomError:
        raise
    except Exception as error:
        raise TargetFailed(f"{path} raised {told_with_causes(error)}") from error
    if not callable(made):
        raise InvalidTarget(f"{path} must return a callable predict(image, **options), got {shown(made)}.")
    return made


def _found(path: str) -> Callable[..., Any]:
    module_name, colon, name = path.partition(":")
    if not (colon and module_name and name):
        raise InvalidTarget(f"a target is package.module:factory, got {path!r}.")
    found: Any = _imported(module_name, path)
    for part in name.split("."):
        found = _attribute(found, part, path)
    if not callable(found):
        raise InvalidTarget(f"{path} must be a function that makes a predict(image, **options), got {shown(found)}.")
    return found  # type: ignore[no-any-return]


def _imported(name: str, path: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except Exception as error:
        raise InvalidTarget(f"{path} can not be imported: {told_with_causes(error)}") from error


def _attribute(holder: Any, name: str, path: str) -> Any:
    try:
        return getattr(holder, name)
    except AttributeError as error:
        near = difflib.get_close_matches(name, dir(holder), n=1)
        hint = f"; did you mean {near[0]!r}?" if near else "."
        raise InvalidTarget(f"{path}: there is no {name!r} in {getattr(holder, '__name__', holder)}{hint}") from error


def _is_named(argument: str) -> bool:
    name, equals, _ = argument.partition("=")
    return bool(equals) and name.isidentifier()
