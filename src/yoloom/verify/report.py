"""The report of a check, as users get it."""

from __future__ import annotations

import dataclasses
import enum
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from yoloom.verify.html_report import render_html
from yoloom.verify.report_data import ReportData
from yoloom.verify.text_report import render_text


@dataclass(frozen=True)
class Report(ReportData):
    """Outcome of `yoloom.verify.check`, with its renderings. `print` shows the most of it.

    Immutable; it pickles. Its attributes are those of `ReportData`.

    Thread safety: any number of threads.
    """

    def to_dict(self) -> dict[str, Any]:
        """Return plain values only: numbers, texts, lists and dicts, as in the JSON."""
        return {"ok": self.ok, **_plain(self), "growth_bytes": self.memory.growth_bytes}

    def to_json(self) -> str:
        """Return `to_dict` as indented JSON."""
        return json.dumps(self.to_dict(), indent=2, ensure_ascii=False, allow_nan=False)

    def to_html(self) -> str:
        """Return one HTML page that needs nothing else, with plots."""
        return render_html(self)

    def __str__(self) -> str:
        return render_text(self)


def _plain(value: Any) -> Any:
    if isinstance(value, enum.Enum):
        return value.value
    if dataclasses.is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value
