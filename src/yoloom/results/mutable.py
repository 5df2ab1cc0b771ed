"""Results that belong to one caller, who may change them: for programs that can not be changed."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from yoloom.results.boxes import OBB, Boxes
from yoloom.results.data import ResultsData
from yoloom.results.keypoints import Keypoints
from yoloom.results.masks import Masks
from yoloom.results.probs import Probs
from yoloom.results.results import KEPT, Results
from yoloom.results.rows import ResultRows

_KINDS: dict[str, type[ResultRows]] = {
    "boxes": Boxes,
    "masks": Masks,
    "probs": Probs,
    "keypoints": Keypoints,
    "obb": OBB,
}


class MutableResults(Results):
    """`Results` whose picture, names, members and arrays may be changed, and which take attributes of any name.

    All of it is a copy: a change reaches no other results. `YOLO(path, mutable_results=True)` gives these.

    Thread safety: one thread at a time.
    """

    __slots__ = ("_others",)

    _others: dict[str, Any]

    def __init__(self, results: Results) -> None:
        """Copy `results`."""
        members = {name: getattr(results, name) for name in _KINDS}
        super().__init__(
            results.orig_img,
            results.path,
            results.names,
            speed=results.speed,
            save_dir=results.save_dir,
            frame=results.frame,
        )
        self._store(_picture=results.orig_img.copy(), names=dict(results.names), speed=dict(results.speed), _others={})
        for name, member in members.items():
            setattr(self, name, member)

    def __setattr__(self, name: str, value: Any) -> None:  # type: ignore[override]
        if name in _KINDS and value is not None:
            rows = np.array(value.data if isinstance(value, ResultRows) else value)
            value = _KINDS[name](rows, self.orig_shape)
            value.data.flags.writeable = True  # it owns its memory, and nobody else has it
        if name == "orig_img":
            self._store(_picture=np.asarray(value))
        elif name in ResultsData.__slots__:
            self._store(**{name: value})
        else:
            self._others[name] = value

    def __delattr__(self, name: str) -> None:  # type: ignore[override]
        if self._others.pop(name, KEPT) is KEPT:
            raise AttributeError(f"only what was added can be deleted, and {name!r} was not: set it to None.")

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name not in self._others:
            raise AttributeError(f"MutableResults has no attribute {name!r}.")
        return self._others[name]

    def update(self, *args: ArrayLike | None, **members: ArrayLike | None) -> None:  # type: ignore[override]
        """Set members, as in Ultralytics: boxes, masks, probs, obb and keypoints; None leaves one as it is."""
        order = ("boxes", "masks", "probs", "obb", "keypoints")
        for name, value in {**dict(zip(order, args, strict=False)), **members}.items():
            if name not in _KINDS:
                raise TypeError(f"update() takes {', '.join(order)}; got {name!r}.")
            if value is not None:
                setattr(self, name, value)

    def replace(self, **members: Any) -> MutableResults:
        """See `Results.replace`; the new results may be changed as well."""
        return MutableResults(super().replace(**members))

    def __reduce__(self) -> tuple[Any, ...]:
        return _remade, (super().replace(), self._others)


def _remade(results: Results, others: dict[str, Any]) -> MutableResults:
    made = MutableResults(results)
    made._others.update(others)
    return made
