"""Finds out whether a model that is shared answers as it does alone: `check`, for models of any library.

```python
from yoloom import verify

report = verify.check(model, ["a.jpg", "b.jpg"], threads=64)
assert report.ok, str(report)
```
"""

from yoloom.verify.journal import Failure, Mismatch
from yoloom.verify.report import Report
from yoloom.verify.report_data import Level, Memory
from yoloom.verify.run import check
from yoloom.verify.target import Target, target_of
from yoloom.verify.target_import import make_target
from yoloom.verify.verdict import Finding, Verdict

__all__ = [
    "Failure",
    "Finding",
    "Level",
    "Memory",
    "Mismatch",
    "Report",
    "Target",
    "Verdict",
    "check",
    "make_target",
    "target_of",
]
