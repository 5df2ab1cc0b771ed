"""The name of the CPU, and what it is fast at. Apart from `machine.py`, whose library of versions is slow.

Only the standard library: `yoloom.bench` reads it where nothing else of yoloom can be imported.
"""

from __future__ import annotations

import platform
from pathlib import Path

_CPUINFO = Path("/proc/cpuinfo")


def cpu_model() -> str:
    """Return the name that the CPU gives itself, or its architecture."""
    return _first_cpu().get("model name") or platform.processor() or platform.machine()


def is_fast_in_bfloat16() -> bool:
    """Tell whether the CPU is known to be faster in bfloat16 than in float32, and not merely able to.

    With AMX it takes a third of the time, on AMD's cores with AVX512-BF16 half. On Intel's with AVX512-BF16 alone it
    takes 1.5 times as long (measured), and others were not measured.
    """
    cpu = _first_cpu()
    flags = cpu.get("flags", "").split()
    return "amx_bf16" in flags or (cpu.get("vendor_id") == "AuthenticAMD" and "avx512_bf16" in flags)


def _first_cpu() -> dict[str, str]:
    """Return what Linux says about the first CPU; nothing on other systems."""
    try:
        first, _, _ = _CPUINFO.read_text(encoding="utf-8", errors="replace").partition("\n\n")
    except OSError:
        return {}
    pairs = (line.partition(":") for line in first.splitlines())
    return {name.strip(): value.strip() for name, _, value in pairs}
