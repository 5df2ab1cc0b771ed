"""One compiled form of a network, which is made anew after every failure.

```
        ┌─▶ network ──▶ contexts of the slots ──▶ outputs
compile │      │ a run fails, or its outputs have another size than its canvas
        └── doubted: the network and all of its contexts go; it serves when it has repeated the bits of its warm-up
```

What a runtime keeps between runs may be half done after a failure, and be used by the next run. After a run without
memory, other contexts of the same compiled network of OpenVINO gave other boxes for other pictures, or ended the
process.
"""

from __future__ import annotations

import hashlib
import threading
import traceback
from collections.abc import Callable
from typing import NamedTuple

from yoloom.errors import RuntimeFailed
from yoloom.formats.model import Layout, Model
from yoloom.postprocess.sanity import check_outputs
from yoloom.runtime.probe import blank, small_hw
from yoloom.runtime.protocol import Batch, Compiled, Context, OwnRows, RawOutputs, Recovering
from yoloom.sync.once import SingleFlight
from yoloom.system.shortage import explained

# Axis of the first output on which a row lies for each anchor; in other layouts rows do not follow the canvas.
_ANCHOR_AXIS = {
    Layout.RAW: 2,
    Layout.TRANSPOSED: 1,
    Layout.OBJECTNESS: 1,
    Layout.YOLOX: 1,
    Layout.YOLOX_DECODED: 1,
    Layout.ROWS: 1,
}

_STRIDES = (4, 8, 16, 32, 64)
_PER_CELL = (1, 3)  # anchors of one cell: of heads without anchor boxes, and with those of YOLOv5 and v7


class Pyramid(NamedTuple):
    """The grids of a head: pixels of a cell in each, and anchors of a cell. Immutable: shared freely."""

    strides: tuple[int, ...]
    per_cell: int

    def anchors(self, height: int, width: int) -> int:
        """Count the anchors on a canvas."""
        return self.per_cell * sum(-(-height // stride) * -(-width // stride) for stride in self.strides)


def find_pyramid(anchors: int, height: int, width: int) -> Pyramid | None:
    """Find the grids that have so many anchors on a canvas; None for rows that are no grid's, such as the best 300."""
    ends = range(len(_STRIDES) + 1)
    sets = [_STRIDES[first:last] for first in ends for last in ends if first < last]
    pyramids = [Pyramid(strides, count) for strides in sets for count in _PER_CELL if len(strides) > 1 or count == 1]
    return next((one for one in pyramids if one.anchors(height, width) == anchors), None)


class WarmUp:
    """Answer of a network to an image without content, and the number of its anchors then.

    All forms of a network share it, and each must give the same answer.

    Thread safety: one thread at a time calls `check` first; any number later.
    """

    def __init__(self, model: Model, same_bits: bool) -> None:
        """Store. same_bits: whether all forms promise the same bits, so that these can be compared."""
        self.model = model
        self._same_bits = same_bits
        self._digest: bytes | None = None
        self._anchor_axis = 0
        self._pyramid: Pyramid | None = None

    @property
    def batch(self) -> Batch:
        """The image (1, H, W, 3)."""
        return blank(self.model)

    def check(self, network: Compiled, outputs: RawOutputs) -> None:
        """Check a network's answer to `batch`. Raises InvalidOutput, or RuntimeFailed for other bits than before."""
        model = self.model
        layout = network.layout if isinstance(network, OwnRows) else model.layout
        check_outputs(model, layout, tuple(output[0] for output in outputs))
        digest = hashlib.sha256(b"".join(output.tobytes() for output in outputs)).digest()
        if self._digest is None:
            self._digest = digest
            axis = _ANCHOR_AXIS.get(layout) if model.task != "classify" else None
            if axis is not None and outputs[0].ndim == 3:
                self._anchor_axis = axis
                self._pyramid = find_pyramid(outputs[0].shape[axis], *small_hw(model))
        elif self._same_bits and digest != self._digest:
            raise RuntimeFailed(
                f"{model.graph.path}: the network was compiled again and gives other bits than before: it is not used."
            )

    def check_size(self, shape: tuple[int, ...], outputs: RawOutputs) -> None:
        """Raise RuntimeFailed for outputs that can not be those of a batch of this shape (B, H, W, 3)."""
        pyramid = self._pyramid
        if pyramid is None:
            return
        expected = pyramid.anchors(shape[1], shape[2])
        if outputs[0].shape[self._anchor_axis] != expected:
            raise RuntimeFailed(
                f"the runtime gave outputs of shape {outputs[0].shape} for a batch of shape {shape}, expected "
                f"{expected} anchors: those of another run, as for want of memory."
            )


class Place(NamedTuple):
    """A context, and the network that it belongs to."""

    network: Compiled
    context: Context


class Form:
    """One compiled form of a network, shared by the slots of its lanes.

    Thread safety: any number of threads.

    Attributes:
        network: The network that serves now, None after a failure. Read without a lock, as one reference.
        warm_up: What it must answer.
    """

    def __init__(self, network: Compiled, compile_again: Callable[[], Compiled], warm_up: WarmUp) -> None:
        """Store. compile_again: makes a network like the first one."""
        self.network: Compiled | None = network
        self.warm_up = warm_up
        self._compile_again = compile_again
        self._lock = threading.Lock()  # guards changes of `network`, and what follows
        self._failures = 0
        self._renewals: SingleFlight[int, Compiled] = SingleFlight()

    def place(self) -> Place:
        """Make a context, on a network that is compiled again after a failure. Raises what keeps it from being made."""
        with self._lock:
            network, failures = self.network, self._failures
        if network is None:
            # By the first lane that needs it. The others wait for that: they have nothing to run on.
            try:
                network = self._renewals.get(failures, self._compiled_again)
            except Exception as error:
                traceback.clear_frames(error.__traceback__)  # they may hold a network that is not used
                raise
        try:
            return Place(network, network.context())
        except (RuntimeError, MemoryError) as error:
            raise RuntimeFailed(f"the runtime can not make a context: {explained(error)}") from error

    def doubt(self, network: Compiled) -> None:
        """Let nothing run on a network any more in which a run failed, unless it recovers by itself. Idempotent."""
        if isinstance(network, Recovering):
            return
        with self._lock:
            # Another lane may have doubted it before, and this one's successor may serve by now.
            if self.network is network:
                self.network = None
                self._failures += 1

    def _compiled_again(self) -> Compiled:
        network = self._compile_again()
        self.warm_up.check(network, network.context().run(self.warm_up.batch))
        with self._lock:
            self.network = network
        return network
