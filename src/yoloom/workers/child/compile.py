"""How a worker comes to its compiled network: by itself, for all, or out of what another one has compiled."""

from __future__ import annotations

from yoloom.runtime.probe import have_same_bits
from yoloom.runtime.protocol import Compiled, Setup, Sharing
from yoloom.workers.compile_sharing import CompileRole
from yoloom.workers.ipc.shared_weights import SharedNetwork
from yoloom.workers.recipe import Opened


def compiled_for(part: CompileRole, opened: Opened, setup: Setup, network: SharedNetwork) -> tuple[Compiled, str]:
    """The network, and why it is not the shared one, nothing if it is. Raises what compiling raises."""
    backend, model = opened.backend, opened.model
    if part is CompileRole.SOLO or not isinstance(backend, Sharing):
        return backend.compile(model, setup), "this one compiles alone"
    own = backend.compile(model, setup) if part is CompileRole.LEADER else None
    try:
        if own is not None and not network.is_sealed:  # one that has given before may have ended a moment later
            network.write(backend.exported(own))
            network.seal()
        shared = backend.imported(model, setup, network.view())
        if own is None or have_same_bits(own, shared, model):
            return shared, ""
        why = "what was exported gives other bits"
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001  whatever a runtime or a system raises then: it can still compile
        why = f"{type(error).__name__}: {error}"
    return (backend.compile(model, setup) if own is None else own), why
