"""The two profiles of every backend that computes on the CPUs of this process."""

from __future__ import annotations

from yoloom.errors import InvalidOption
from yoloom.formats.model import Model, Quantization
from yoloom.runtime.plan import Plan
from yoloom.runtime.protocol import LATENCY, THROUGHPUT, Backend, Profile


def latency_profile(threads: int, batch: int = 1) -> Profile:
    """Describe the profile for a lone caller: all threads on one image."""
    return Profile(LATENCY, threads, batch_sizes=(batch,))


def throughput_profile(threads: int, streams: int | None = None, plan: Plan | None = None, batch: int = 1) -> Profile:
    """Describe the profile for many callers: several images at once, each with its share of the threads."""
    plan = plan or Plan()
    return Profile(THROUGHPUT, threads, streams or plan.streams, plan.lanes, (batch,), plan.max_wait_ms or 0.0)


def cpu_profiles(backend: Backend, model: Model, threads: int, plan: Plan) -> tuple[Profile, Profile]:
    """Describe both profiles. Raises InvalidOption for a plan that model, backend or budget do not allow."""
    if plan.streams is not None and plan.streams > threads:
        raise InvalidOption(f"streams must be at most {threads}, the CPU budget, got {plan.streams}.")
    exported = model.input.batch or 1  # such a graph computes as many in any case
    wanted = exported if plan.batch is None else plan.batch
    if model.input.batch is not None and wanted > exported:
        raise InvalidOption(
            f"batch must be at most {exported}, which {model.graph.path} was exported for, got {wanted}: export it "
            "with dynamic=True."
        )
    # Where scales are taken from the values of a run, those of one image change the bits of the others.
    mixes = model.quantization is Quantization.DYNAMIC
    keeps_bits = (exported == 1 and wanted == 1) or (not mixes and backend.keeps_bits_in_batches(model))
    if not keeps_bits and plan.batch not in (None, 1):
        raise InvalidOption(
            f"batch must be 1: {backend.name} gives other bits for several images of {model.graph.path} at once."
        )
    alone, together = (exported, wanted) if keeps_bits else (1, 1)
    return latency_profile(threads, alone), throughput_profile(threads, plan=plan, batch=together)
