"""Tests against Ultralytics' own answers and trained files: `tools/make_oracle.sh` makes them.

Collected only when YOLOOM_ORACLE_FILES names the prepared folder:

    YOLOOM_ORACLE_FILES=.oracle/files python -m pytest tests/oracle
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

collect_ignore_glob = [] if os.environ.get("YOLOOM_ORACLE_FILES") else ["test_*.py"]


@pytest.fixture(scope="session")
def files() -> Path:
    return Path(os.environ["YOLOOM_ORACLE_FILES"])
