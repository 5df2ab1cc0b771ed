"""The compiled forms of one network: for a lone caller, and for many.

```
files ── compile ──▶ first profile ── export, import ──▶ second profile
  └─────────── compile, where that can not be ────────────▲
```
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from yoloom.engine.lanes.gate import DeviceGate
from yoloom.engine.lanes.lane import ContextSlot
from yoloom.errors import InvalidModel
from yoloom.formats.model import Layout, Model
from yoloom.runtime.probe import have_same_bits
from yoloom.runtime.protocol import Backend, Compiled, Guarantee, Measured, OwnRows, Precision, Profile, Sharing
from yoloom.system.safe_log import SafeLogger

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
        self._first: Compiled | None = None

    def slots(self, profile: Profile) -> list[ContextSlot]:
        """Make a slot for each lane of a profile.

        Raises what the backend raises, and InvalidModel for a changed file.
        """
        compiled = self._second_of_first(profile)
        if compiled is None:
            compiled = self._backend.compile(self.model, profile, self._precision)
            # A second form of another file would give other results under load, and nobody would know.
            if self._version() != self._opened_version:
                path = self.model.graph.path
                raise InvalidModel(f"{path} was changed while it is open; open it again with YOLO(path).")
        self._first = compiled if self._first is None else None  # there is no third
        if isinstance(compiled, Measured):
            self.measured = compiled.guarantee
        if isinstance(compiled, OwnRows):
            self.own_layout = compiled.layout
        # All slots share the compiled network: the weights are there once, and a lane adds its buffers.
        cpus = profile.cpus_of_run(compiled.lanes)
        return [ContextSlot(compiled, self._gate, cpus) for _ in range(profile.lanes or compiled.lanes)]

    def forget(self) -> None:
        """Let go of the network: there will be no other profile."""
        self._first = None

    def _second_of_first(self, profile: Profile) -> Compiled | None:
        """Make the second profile out of the first, in half the CPU time of compiling the files again.

        Returns:
            None where that can not be. It has shown the same bits; for networks of a fixed size that would take longer
            than it spares.
        """
        if self._first is None or not isinstance(self._backend, Sharing) or self.model.input.hw is not None:
            return None
        try:
            data = np.frombuffer(self._backend.exported(self._first), np.uint8)
            copied = self._backend.imported(self.model, profile, data, self._precision)
            if have_same_bits(self._first, copied, self.model):
                return copied
            why = "other bits"
        except Exception as error:  # noqa: BLE001  whatever a runtime raises then: it can still compile
            why = f"{type(error).__name__}: {error}"
        log.info("the form for many callers is compiled from the files, and not out of the first one: %s", why)
        return None
