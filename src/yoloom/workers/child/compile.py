"""How a worker gets its compiled network: by itself, for all, or out of what another worker has compiled."""

from __future__ import annotations

from yoloom.runtime.probe import have_same_bits
from yoloom.runtime.protocol import Compiled, Profile, Sharing
from yoloom.workers.compile_sharing import CompileRole
from yoloom.workers.ipc.shared_memory import SharedNetwork
from yoloom.workers.recipe import WorkerModel


def compiled_for(
    role: CompileRole, opened: WorkerModel, profile: Profile, network: SharedNetwork
) -> tuple[Compiled, str]:
    """Compile or import the network in this role.

    Returns:
        The network, and why it is not the shared one (empty if it is).

    Raises:
        Exception: Compiling failed, with the error of the runtime. When sharing fails, the worker compiles alone.
    """
    backend, model, precision = opened.backend, opened.model, opened.precision
    if role is CompileRole.SOLO or not isinstance(backend, Sharing):
        return backend.compile(model, profile, precision), "this one compiles alone"
    own = backend.compile(model, profile, precision) if role is CompileRole.LEADER else None
    try:
        # It is sealed already if an earlier leader sealed it and ended before it was ready.
        if own is not None and not network.is_sealed:
            network.write(backend.exported(own))
            network.seal()
        shared = backend.imported(model, profile, network.view(), precision)
        # The leader answers for all: a runtime may export something that computes other bits after its import.
        if own is None or have_same_bits(own, shared, model):
            return shared, ""
        why = "what was exported gives other bits"
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001  whatever a runtime or a system raises then: it can still compile
        why = f"{type(error).__name__}: {error}"
    return (backend.compile(model, profile, precision) if own is None else own), why
