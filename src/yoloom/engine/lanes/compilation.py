"""The compiled forms of one network: for a lone caller, and for many.

```
files ── compile ──▶ first profile ── export, import ──▶ second profile
  └─────────── compile, where that can not be ────────────▲
```
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np

from yoloom.engine.lanes.form import Form, WarmUp
from yoloom.engine.lanes.gate import DeviceGate
from yoloom.engine.lanes.lane import ContextSlot
from yoloom.errors import InvalidModel
from yoloom.formats.model import Layout, Model
from yoloom.runtime.probe import have_same_bits
from yoloom.runtime.protocol import (
    Backend,
    Compiled,
    Guarantee,
    Measured,
    OwnRows,
    Precision,
    Profile,
    Sharing,
    Spacious,
)
from yoloom.system.safe_log import SafeLogger
from yoloom.system.shortage import check_room, naming_limits

log = SafeLogger("yoloom.engine")


class Compilation:
    """Compiles the profiles of one network.

    Thread safety: one thread at a time: the one that opens the model, later the one that compiles beside the traffic.
    """

    def __init__(
        self, model: Model, backend: Backend, precision: Precision, gate: DeviceGate, version: Callable[[], object]
    ) -> None:
        """Remember the version of the files.

        Args:
            model: The network.
            backend: Its runtime.
            precision: Number format of the computation.
            gate: What runs wait for.
            version: Tells one state of the model's files from another; it must stay as it is now.
        """
        self.model = model
        self.own_layout: Layout | None = None  # of raw outputs that are not as the file says
        self.measured: Guarantee | None = None
        self._backend = backend
        self._precision = precision
        self._gate = gate
        self._version = version
        self._opened_version = version()
        self._first: Form | None = None
        self._warm_up = WarmUp(model, backend.guarantee(precision).bit_identical)

    def slots(self, profile: Profile) -> list[ContextSlot]:
        """Make a slot for each lane of a profile, and run a network once that has not shown its bits yet.

        Raises what the backend raises, RuntimeFailed, InvalidOutput, and InvalidModel for a changed file.
        """
        if isinstance(self._backend, Spacious):
            # Only before another form is made: after a failure, one is made in the memory that the last one has left.
            with naming_limits(f"{self.model.graph.path}: it can not be compiled"):
                check_room(self._backend.compiling_bytes)
        compiled, is_first, in_doubt = None, self._first is None, False
        if self._first is not None and isinstance(self._backend, Sharing) and self.model.input.hw is None:
            compiled = self._second_of_first(self._first.network, self._backend, profile)
            in_doubt = compiled is None  # it may have been for want of memory
        if compiled is None:
            compiled = self._compiled(profile)
        if isinstance(compiled, Measured):
            self.measured = compiled.guarantee
        if isinstance(compiled, OwnRows):
            self.own_layout = compiled.layout
        # All slots share the compiled network: the weights are there once, and a lane adds its buffers.
        form = Form(compiled, functools.partial(self._compiled, profile), self._warm_up)
        self._first = form if is_first else None  # there is no third
        cpus = profile.cpus_of_run(compiled.lanes)
        slots = [ContextSlot(form, self._gate, cpus) for _ in range(profile.lanes or compiled.lanes)]
        if is_first or in_doubt:
            slots[0].warm_up()
        return slots

    def _compiled(self, profile: Profile) -> Compiled:
        compiled = self._backend.compile(self.model, profile, self._precision)
        # Another form of another file would give other results under load, and nobody would know.
        if self._version() != self._opened_version:
            path = self.model.graph.path
            raise InvalidModel(f"{path} was changed while it is open; open it again with YOLO(path).")
        return compiled

    def forget(self) -> None:
        """Let go of the network: there will be no other profile."""
        self._first = None

    def _second_of_first(self, first: Compiled | None, backend: Sharing, profile: Profile) -> Compiled | None:
        """Make the second profile out of the first, in half the CPU time of compiling the files again.

        Not for networks of a fixed size, where the comparison would take longer than it spares.

        Returns:
            A network that has shown the same bits, None where that can not be.
        """
        if first is None:  # a run has failed in it
            return None
        try:
            data = np.frombuffer(backend.exported(first), np.uint8)
            copied = backend.imported(self.model, profile, data, self._precision)
            if have_same_bits(first, copied, self.model):
                return copied
            why = "other bits"
        except Exception as error:  # noqa: BLE001  whatever a runtime raises then: it can still compile
            why = f"{type(error).__name__}: {error}"
        log.info("the form for many callers is compiled from the files, and not out of the first one: %s", why)
        return None
