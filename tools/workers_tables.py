"""The tables of docs/workers.md, from benchmarks/results/workers.json and workers_memory.json.

`tools/benchmarks_page.py` writes them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from marked_block import filled

PAGE = "workers.md"
TOOL = "workers_tables"
FRAMES = {"1080p": "1920×1080", "4k": "3840×2160"}  # noqa: RUF001
DISTURBED = 0.04
Found = Mapping[str, Any]


def page(text: str, speed: Found | None, memory: Found | None) -> str:
    """The page with the tables of those results that there are."""
    if speed is not None:
        text = filled(text, "figures", TOOL, speed_block(speed))
    return text if memory is None else filled(text, "memory", TOOL, memory_block(memory))


def speed_block(result: Found) -> str:
    frames = {name: words for name, words in FRAMES.items() if name in result["channel"]}
    rows = [
        *(_throughput(result["throughput"], name, words) for name, words in frames.items()),
        *(_cpu(result["throughput"]["contenders"], name, words) for name, words in frames.items()),
        *(_channel(result["channel"][name], words) for name, words in frames.items()),
        *(_latency(result["latency"][name], words) for name, words in frames.items()),
    ]
    how = f"Measured on {_machine(result)}, {result['model']} at 640 (`benchmarks/workers.py`). {_disturbance(result)}"
    return _block(how, ("", "threads", f"{result['throughput']['workers']} workers", "beside it"), rows)


def _throughput(found: Found, name: str, words: str) -> Sequence[str]:
    threads, workers = (found["contenders"][f"{kind} {name}"]["images_per_s"] for kind in ("threads", "workers"))
    ratio = found["over_threads"][name]
    of_threads = f"{ratio['median']:.2f} of threads, {ratio['min']:.2f} to {ratio['max']:.2f}"
    return (
        f"images/s, frames of {words}",
        f"{threads['median']:.1f}",
        f"{workers['median']:.1f} ({of_threads})",
        "",
    )


def _cpu(contenders: Found, name: str, words: str) -> Sequence[str]:
    medians = [contenders[f"{kind} {name}"]["cpu_ms_per_image"]["median"] for kind in ("threads", "workers")]
    return (f"CPU time of an image, {words}", *(f"{median:.1f} ms" for median in medians), "")


def _channel(found: Found, words: str) -> Sequence[str]:
    rate, cpu = found["frames_per_s"]["median"], found["cpu_ms_per_frame"]["median"]
    return (
        f"the channel alone, {words}, a no-op network",
        "",
        f"{rate:,.0f} frames/s, {cpu:.1f} ms of CPU a frame",
        f"one numpy copy: {found['copy_ceiling_frames_per_s']:,} frames/s",
    )


def _latency(found: Found, words: str) -> Sequence[str]:
    return (f"added to one request, {words}", "", f"{found['added_ms']:.1f} ms", "")


def _disturbance(result: Found) -> str:
    taken = [
        *(one["taken_by_others"]["max"] for one in result["throughput"]["contenders"].values()),
        *(one["taken_by_others"]["max"] for one in result["channel"].values()),
    ]
    words = f"Others took at most {max(taken):.0%} of the machine meanwhile"
    return f"{words}: the rates are rough." if max(taken) > DISTURBED else f"{words}."


def memory_block(result: Found) -> str:
    [alone] = result["threads"]
    parent, *workers = result["workers"]
    together = sum(one["pss_mib"] for one in result["workers"])
    rows = [
        ("one process with threads, both compiled forms", *_held([alone])),
        (f"parent of {len(workers)} workers, which loads no runtime", *_held([parent])),
        (f"each of {len(workers)} workers", *_held(workers)),
        ("parent and workers together", "", f"{together} MiB"),
    ]
    rivals = result.get("ultralytics", [])
    if rivals:
        version = result["versions"]["ultralytics"]
        rows.append((f"each of {len(rivals)} processes with Ultralytics {version} and the checkpoint", *_held(rivals)))
    how = f"Memory after frames of {FRAMES['1080p']} (`benchmarks/workers_memory.py`)."
    return _block(how, ("", "unique to it", "its proportional share"), rows)


def _held(processes: Sequence[Found]) -> tuple[str, str]:
    """The most that one of them holds."""
    unique, share = (max(one[member] for one in processes) for member in ("unique_mib", "pss_mib"))
    return f"{unique} MiB", f"{share} MiB"


def _machine(result: Found) -> str:
    return f"{result['machine']['cores']} cores ({result['machine']['cpu']})"


def _block(how: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(cells)} |" for cells in (columns, ["---"] * len(columns), *rows)]
    return "\n".join([how, "", *lines])
