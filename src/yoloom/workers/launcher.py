"""Starts the worker processes of a model, and has them share one compiled network."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from yoloom.system.safe_log import SafeLogger
from yoloom.workers.compile_sharing import CompileSharing
from yoloom.workers.ipc.shared_memory import SharedNetwork
from yoloom.workers.process import WorkerProcess
from yoloom.workers.recipe import Recipe

log = SafeLogger("yoloom.workers")


class Launcher:
    """The source of worker processes. `open` comes first; `close` releases the shared network.

    Thread safety: owned by the supervisor's thread, because the kernel ends a worker with the thread that started it.
    """

    def __init__(self, recipe: Recipe, devices: Sequence[str] = ()) -> None:
        self._recipe = recipe
        self._devices = devices  # taken in turn; none: that of the recipe
        self._generation = 0
        self._network: SharedNetwork | None = None
        self._sharing = CompileSharing(is_wanted=False)

    def open(self) -> None:
        """Make the memory for the shared network, where the recipe and the system allow one."""
        self._network = SharedNetwork.create() if self._recipe.is_shared else None
        self._sharing = CompileSharing(is_wanted=self._network is not None)

    def launch(self, number: int, threads: int) -> WorkerProcess:
        """Start a process of the next generation for a slot, with its share of threads. Raises a YoloomError."""
        self._generation += 1
        process = WorkerProcess(self._generation)
        arguments = dict(self._recipe.arguments)
        if self._devices:
            arguments["device"] = self._devices[number % len(self._devices)]
        order = {"opener": self._recipe.opener, "arguments": arguments, "threads": threads}
        process.start(order, self._network)
        return process

    def assign_roles(self, starting: Iterable[WorkerProcess]) -> None:
        """Let those that may compile go on; while one compiles for all, the others wait for it."""
        for process in starting:
            role = self._sharing.assign(process.generation)
            if role is not None:
                process.compile(role)

    def ready(self, process: WorkerProcess, why_not_shared: str) -> None:
        """Note that a process is ready, and why it does not use the shared network (empty if it does)."""
        # The worker's word is not enough: only what the kernel has sealed is handed to the others.
        is_shared = not why_not_shared and self._network is not None and self._network.is_sealed
        if self._sharing.ready(process.generation, is_shared):
            log.info("workers have no network in common: %s", why_not_shared)

    def ended(self, process: WorkerProcess, is_loss: bool) -> None:
        """Note that a process has ended. is_loss: nobody had told it to go."""
        self._sharing.ended(process.generation, is_loss)

    def close(self) -> None:
        """Release the shared network; workers that have mapped it keep it. Idempotent."""
        if self._network is not None:
            self._network.close()
