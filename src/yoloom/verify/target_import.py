"""Imports the factory that `package.module:factory` names, and calls it."""

from __future__ import annotations

import difflib
import importlib
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from yoloom.errors import InvalidTarget, TargetFailed, YoloomError
from yoloom.validation import shown

MAX_CAUSES = 4


def make_target(path: str, arguments: Sequence[str] = ()) -> Any:
    """Import a factory, call it, and return the callable that it made.

    Args:
        path: "package.module:factory".
        arguments: handed to the factory as texts; those of the form name=value by that name.

    Raises:
        InvalidTarget: there is no such factory, it can not be called, or it made nothing that can be called.
        TargetFailed: the factory raised.
    """
    factory = _import_factory(path)
    positional: list[str] = []
    named: dict[str, str] = {}
    for argument in arguments:
        name, equals, value = argument.partition("=")
        if equals and name.isidentifier():
            named[name] = value
        else:
            positional.append(argument)
    _check_arguments(factory, path, positional, named)
    try:
        created = factory(*positional, **named)
    except YoloomError:
        raise
    except Exception as error:
        raise TargetFailed(f"{path} raised {described_with_causes(error)}") from error
    if not callable(created):
        raise InvalidTarget(f"{path} must return a callable predict(image, **options), got {shown(created)}.")
    return created


def described_with_causes(error: BaseException) -> str:
    """Describe an error of foreign code in one line, with the errors that it came from.

    "RuntimeError: no device, because of OSError: libcuda.so.1: no such file".
    """
    parts: list[str] = []
    cause: BaseException | None = error
    while cause is not None and len(parts) <= MAX_CAUSES:
        try:
            message = " ".join(str(cause).split())
        except Exception:  # noqa: BLE001  its message is foreign code
            message = ""
        parts.append(f"{type(cause).__name__}: {message}".rstrip(": "))
        cause = cause.__cause__ or cause.__context__
    return ", because of ".join(parts)


def _import_factory(path: str) -> Callable[..., Any]:
    module_name, colon, name = path.partition(":")
    if not (colon and module_name and name):
        raise InvalidTarget(f"a target is package.module:factory, such as 'mycode:make_model', got {path!r}.")
    try:
        value: Any = importlib.import_module(module_name)
    except Exception as error:
        hint = _import_hint(module_name, error)
        raise InvalidTarget(f"{path} can not be imported: {described_with_causes(error)}{hint}") from error
    for part in name.split("."):
        value = _attribute(value, part, path)
    if not callable(value):
        raise InvalidTarget(f"{path} must be a function that makes a predict(image, **options), got {shown(value)}.")
    return value  # type: ignore[no-any-return]


def _attribute(holder: Any, name: str, path: str) -> Any:
    try:
        return getattr(holder, name)
    except AttributeError as error:
        near = difflib.get_close_matches(name, dir(holder), n=1)
        hint = f"; did you mean {near[0]!r}?" if near else "."
        raise InvalidTarget(f"{path}: there is no {name!r} in {getattr(holder, '__name__', holder)}{hint}") from error


def _import_hint(name: str, error: Exception) -> str:
    """Advice for a module that is not there: the target's own, or one that it needs."""
    if not isinstance(error, ModuleNotFoundError) or error.name is None:
        return ""
    if name.endswith(".py") and error.name == name:
        return f". Name the module, not its file: {name.removesuffix('.py')}"
    if name == error.name or name.startswith(f"{error.name}."):
        return ". It is looked for in the working folder and in what PYTHONPATH names"
    return ". Run yoloom in the environment in which the target runs"


def _check_arguments(
    factory: Callable[..., Any], path: str, positional: Sequence[str], named: Mapping[str, str]
) -> None:
    """Raise InvalidTarget when the factory does not take these arguments, as far as that can be told before."""
    try:
        signature = inspect.signature(factory)
    except (TypeError, ValueError):  # built-in functions need not have one
        return
    try:
        signature.bind(*positional, **named)
    except TypeError as error:
        arguments = ", ".join([*map(repr, positional), *(f"{name}={value!r}" for name, value in named.items())])
        parameters = ", ".join(signature.parameters)
        raise InvalidTarget(
            f"{path}({parameters}) was called with ({arguments}): {error}. Each --target-arg is one argument."
        ) from error
