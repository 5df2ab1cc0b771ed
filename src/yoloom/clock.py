"""Time as something that is handed in, so that a test can turn the hands."""

from __future__ import annotations

import time
from collections.abc import Callable

Clock = Callable[[], float]
"""Seconds on a scale that never runs backwards; the zero means nothing. Anybody may call it."""

monotonic: Clock = time.monotonic
