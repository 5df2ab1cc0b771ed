"""Every option of Ultralytics is understood, or refused in a sentence that says what to do instead."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from yoloom.options import parse_options

DEFAULTS = "import json; from ultralytics.cfg import DEFAULT_CFG_DICT; print('OPTIONS', json.dumps(DEFAULT_CFG_DICT))"


def test_every_option_of_ultralytics_is_taken_with_its_default(files: Path) -> None:
    """Seen to fail for 60 of 113 options, those of training and export, which have no part in a prediction."""
    command = [files.parent / "bin" / "python", "-c", DEFAULTS]
    settings = {"YOLO_CONFIG_DIR": str(files.parent), "YOLO_AUTOINSTALL": "false"}
    done = subprocess.run(command, env=settings, capture_output=True, text=True, check=True, timeout=100)
    line = next(line for line in done.stdout.splitlines() if line.startswith("OPTIONS "))
    options = json.loads(line.removeprefix("OPTIONS "))
    assert len(options) > 90
    for name, value in options.items():
        if name != "source":
            parse_options({name: value})
