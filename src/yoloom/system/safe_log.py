"""Logging from threads that others wait for: what a handler of the program raises ends nothing but its own record."""

from __future__ import annotations

import contextlib
import logging


class SafeLogger:
    """The logger of this name. Shared freely. Never called under a lock: a handler may ask the model something."""

    def __init__(self, name: str) -> None:
        self._logger = logging.getLogger(name)

    def debug(self, words: str, *values: object, exc_info: bool = False) -> None:
        self._log(logging.DEBUG, words, values, exc_info)

    def info(self, words: str, *values: object) -> None:
        self._log(logging.INFO, words, values)

    def warning(self, words: str, *values: object, exc_info: bool = False) -> None:
        self._log(logging.WARNING, words, values, exc_info)

    def error(self, words: str, *values: object) -> None:
        self._log(logging.ERROR, words, values)

    def exception(self, words: str, *values: object) -> None:
        """An error, with the exception that is being handled."""
        self._log(logging.ERROR, words, values, exc_info=True)

    def _log(self, level: int, words: str, values: tuple[object, ...], exc_info: bool = False) -> None:
        with contextlib.suppress(Exception):  # handlers that keep to the rules of `logging` raise nothing
            self._logger.log(level, words, *values, exc_info=exc_info, stacklevel=3)
