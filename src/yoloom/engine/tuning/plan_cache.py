"""Plans that were measured, kept for this user: small files that are read with distrust.

```
KEY.json                what it is for (machine, runtime, model), the plan and why, and a digest of all that
.KEY.json.RANDOM.part   one that somebody writes; only its writer knows the name
```

An entry appears under its name by a rename, whole. What is torn, changed, of another key or no plan at all is ignored,
and written again.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from yoloom.errors import InvalidOption
from yoloom.runtime.plan import Plan
from yoloom.system.files import replacing
from yoloom.system.user_cache import check_own, own_files, user_cache

LARGEST_BYTES = 1 << 16

_log = logging.getLogger("yoloom.cache")


@dataclass(frozen=True)
class PlanEntry:
    """A plan that is kept. name: of the model's file. Immutable: shared freely."""

    path: Path
    name: str
    plan: Plan


@dataclass(frozen=True)
class PlanCache:
    """A folder of plans, for any number of threads and processes at once. Immutable: shared freely."""

    folder: Path

    def find(self, about: Mapping[str, str]) -> Plan | None:
        """The plan that was measured for `about`. Anybody may remove it at any time."""
        path = self._path(about)
        try:
            check_own(self.folder)
            with path.open("rb") as file:
                content = file.read(LARGEST_BYTES + 1)
        except OSError:
            return None
        entry = _entry(path, content, about)
        if entry is not None:
            return entry.plan
        _log.warning("%s is damaged or not what its name says; it is measured and written again", path)
        return None

    def store(self, about: Mapping[str, str], name: str, plan: Plan) -> Path:
        """Keep a plan. name: of the model's file. Raises OSError when the folder can not take it, or is a link."""
        told = {
            "about": dict(about),
            "model": name,
            "plan": {"streams": plan.streams, "lanes": plan.lanes, "batch": plan.batch, "because": plan.because},
        }
        path = self._path(about)
        check_own(self.folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        with replacing(path) as part:
            part.write_text(json.dumps({**told, "digest": _digest(told)}, indent=1) + "\n", encoding="utf-8")
        return path

    def entries(self) -> list[PlanEntry]:
        """Sound files of the folder, by name. Nothing behind a symbolic link."""
        found = []
        for path in own_files(self.folder, "*.json"):
            with suppress(OSError):  # somebody removed it just now
                with path.open("rb") as file:
                    entry = _entry(path, file.read(LARGEST_BYTES + 1))
                if entry is not None:
                    found.append(entry)
        return sorted(found, key=lambda entry: (entry.name, entry.path))

    def clear(self) -> list[PlanEntry]:
        """Remove everything, and say what it was. Raises OSError."""
        removed = self.entries()
        for pattern in ("*.json", ".*.part"):
            for path in own_files(self.folder, pattern):
                path.unlink(missing_ok=True)
        return removed

    def _path(self, about: Mapping[str, str]) -> Path:
        return self.folder / f"{_digest(dict(about))}.json"


def plan_cache() -> PlanCache | None:
    """The cache of this user: `plans` in `user_cache`; None where there is no home folder."""
    try:
        return PlanCache(user_cache() / "plans")
    except RuntimeError:
        return None


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def _entry(path: Path, content: bytes, about: Mapping[str, str] | None = None) -> PlanEntry | None:
    """The content of a file; None where it is not sound, or for something else than `about`."""
    if len(content) > LARGEST_BYTES:
        return None
    try:
        told = json.loads(content)
        digest = told.pop("digest")
        if digest != _digest(told) or about not in (None, told["about"]) or path.stem != _digest(told["about"]):
            return None
        return PlanEntry(path, str(told["model"]), Plan(**told["plan"]))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, InvalidOption):
        return None
