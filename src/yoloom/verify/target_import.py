"""`package.module:factory` → what the factory makes."""

from __future__ import annotations

import difflib
import importlib
import inspect
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import Any

from yoloom.errors import InvalidTarget, TargetFailed, YoloomError
from yoloom.validation import shown
from yoloom.verify.causes import told_with_causes


def make_target(path: str, arguments: Sequence[str] = ()) -> Any:
    """Import the factory that `path` names, call it, and return what it made.

    arguments: handed to it as texts; those of the form name=value by that name.

    Raises InvalidTarget when there is no such factory or it can not be called, TargetFailed when it raises.
    """
    factory = _found(path)
    positional = [argument for argument in arguments if not _is_named(argument)]
    named = dict(argument.split("=", 1) for argument in arguments if _is_named(argument))
    _check_call(factory, path, positional, named)
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
        raise InvalidTarget(f"a target is package.module:factory, such as 'mycode:make_model', got {path!r}.")
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
        hint = _import_hint(name, error)
        raise InvalidTarget(f"{path} can not be imported: {told_with_causes(error)}{hint}") from error


def _import_hint(name: str, error: Exception) -> str:
    """What to do about a module that is not there: the target's own, or one that it needs."""
    if not isinstance(error, ModuleNotFoundError) or error.name is None:
        return ""
    if name.endswith(".py") and error.name == name:
        return f". Name the module, not its file: {name.removesuffix('.py')}"
    if name == error.name or name.startswith(f"{error.name}."):
        return ". It is looked for in the working folder and in what PYTHONPATH names"
    return ". Run yoloom in the environment in which the target runs"


def _check_call(factory: Callable[..., Any], path: str, positional: Sequence[str], named: Mapping[str, str]) -> None:
    """Raise InvalidTarget when the factory does not take these arguments, as far as that can be told before."""
    try:
        signature = inspect.signature(factory)
    except (TypeError, ValueError):  # built-in functions need not have one
        return
    try:
        signature.bind(*positional, **named)
    except TypeError as error:
        given = ", ".join([*map(repr, positional), *(f"{name}={value!r}" for name, value in named.items())])
        takes = ", ".join(signature.parameters)
        raise InvalidTarget(
            f"{path}({takes}) was called with ({given}): {error}. Each --target-arg is one argument."
        ) from error


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
