"""Logging from threads that others wait for: a handler that raises loses its record and stops nothing else."""

from __future__ import annotations

import contextlib
import logging


class SafeLogger:
    """A logger whose handlers can not fail its caller. Thread safety: any number of threads.

    Never call it under a lock: a handler of the program may use the model.
    """

    def __init__(self, name: str) -> None:
        """Take the logger of `name`, as `logging.getLogger` does."""
        self._logger = logging.getLogger(name)

    def debug(self, message: str, *values: object, exc_info: bool = False) -> None:
        """Log `message % values` at the level DEBUG."""
        self._log(logging.DEBUG, message, values, exc_info)

    def info(self, message: str, *values: object) -> None:
        """Log `message % values` at the level INFO."""
        self._log(logging.INFO, message, values)

    def warning(self, message: str, *values: object, exc_info: bool = False) -> None:
        """Log `message % values` at the level WARNING."""
        self._log(logging.WARNING, message, values, exc_info)

    def error(self, message: str, *values: object) -> None:
        """Log `message % values` at the level ERROR."""
        self._log(logging.ERROR, message, values)

    def exception(self, message: str, *values: object) -> None:
        """Log an error, with the exception that is being handled."""
        self._log(logging.ERROR, message, values, exc_info=True)

    def _log(self, level: int, message: str, values: tuple[object, ...], exc_info: bool = False) -> None:
        with contextlib.suppress(Exception):  # handlers that keep to the rules of `logging` raise nothing
            self._logger.log(level, message, *values, exc_info=exc_info, stacklevel=3)
