"""Provides the fixture `yoloom_verify`, for tests of any project.

```python
def test_my_model_can_be_shared(yoloom_verify):
    yoloom_verify(my_model, ["a.jpg", "b.jpg"], threads=64, seconds=5)
```

A package of its own, because pytest imports it whenever it starts: `yoloom`, and with it numpy and OpenCV, is imported
when a test asks for the fixture.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from yoloom.verify import Report

SECONDS = 5.0
"""Of concurrent runs, unless the test says otherwise: shorter than on the command line."""


@pytest.fixture
def yoloom_verify() -> Callable[..., Report]:
    """Return `yoloom.verify.check` as a function that fails the test unless the verdict is pass.

    Its arguments are those of `check`, with `seconds` at 5 by default; it returns the report.
    """
    from yoloom.verify import check

    def verify(model: Any = None, images: Any = None, **options: Any) -> Report:
        __tracebackhide__ = True
        report = check(model, images, **{"seconds": SECONDS, **options})
        if not report.ok:
            pytest.fail(str(report), pytrace=False)
        return report

    return verify
