"""What a service hears of the CPUs of its process."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import cv2
import pytest

import yoloom
from yoloom import YOLO, cpu_budget
from yoloom.facade import cpu_budget as module
from yoloom.system import cpus as budget_module
from yoloom.system.cpus import available_cpus

Factory = Callable[..., Path]


def test_without_models(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in module._VARIABLES:
        monkeypatch.delenv(name, raising=False)
    found = cpu_budget()
    assert found.cpus == available_cpus() <= found.affinity
    assert found.opencv_threads == cv2.getNumThreads()
    assert found.engines == ()
    assert isinstance(found, yoloom.CpuBudget)


def test_open_models_are_told(tiny_onnx: Factory) -> None:
    path = tiny_onnx()
    with YOLO(path, threads=1):
        (engine,) = cpu_budget().engines
        assert (engine.file, engine.backend, engine.threads) == (str(path), "openvino", 1)
        assert (engine.lanes, engine.computing, engine.waiting) == (1, 0, 0)
    assert cpu_budget().engines == ()


def test_models_that_ask_for_more_than_there_is(tiny_onnx: Factory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "available_cpus", lambda: 2)
    with YOLO(tiny_onnx("a.onnx"), threads=2), YOLO(tiny_onnx("b.onnx"), threads=3):
        warnings = "\n".join(cpu_budget().warnings)
    assert "b.onnx was opened with threads=3 on 2 CPUs" in warnings
    assert "2 open models ask for 5 threads on 2 CPUs" in warnings


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"OMP_NUM_THREADS": "3"}, ["OMP_NUM_THREADS=3"]),
        ({"OMP_NUM_THREADS": " 8,4 "}, ["OMP_NUM_THREADS=8"]),
        ({"MKL_NUM_THREADS": "4", "OPENBLAS_NUM_THREADS": "64"}, ["MKL_NUM_THREADS=4", "OPENBLAS_NUM_THREADS=64"]),
        ({"OMP_NUM_THREADS": "2"}, []),
        ({"OMP_NUM_THREADS": "all", "MKL_NUM_THREADS": "", "OPENBLAS_NUM_THREADS": "-1"}, []),
        ({}, []),
    ],
)
def test_variables_of_other_libraries(environment: dict[str, str], expected: list[str]) -> None:
    told = list(module._oversubscribed(2, environment, {}, 2))
    assert [line.split(" ")[0] for line in told] == expected


@pytest.mark.parametrize(("torch", "lines"), [(None, 0), (SimpleNamespace(), 0)])
def test_torch_that_is_half_imported(torch: object, lines: int) -> None:
    assert len(list(module._oversubscribed(2, {}, {"torch": torch}, 2))) == lines


def test_torch_and_opencv_with_more_threads_than_cpus() -> None:
    torch = SimpleNamespace(get_num_threads=lambda: 16)
    told = list(module._oversubscribed(2, {}, {"torch": torch}, 8))
    assert told[0].startswith("torch computes with 16 threads on 2 CPUs: call torch.set_num_threads(2)")
    assert told[1].startswith("OpenCV's pool has 8 threads on 2 CPUs: call cv2.setNumThreads(2)")
    assert not list(module._oversubscribed(16, {}, {"torch": torch}, 8))


@pytest.mark.parametrize(("quota", "cpus"), [("150000 100000", 1), ("max 100000", 8), ("800000 100000", 8)])
def test_a_containers_quota(quota: str, cpus: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "sys/fs/cgroup/cpu.max"
    file.parent.mkdir(parents=True)
    file.write_text(quota)
    of_tree = functools.partial(budget_module.container_cpus, tmp_path)
    monkeypatch.setattr(budget_module, "container_cpus", of_tree)
    monkeypatch.setattr(module, "container_cpus", of_tree)
    monkeypatch.setattr(budget_module, "affinity_cpus", lambda: 8)
    found = cpu_budget()
    assert found.cpus == cpus
    assert found.quota == (None if quota.startswith("max") else float(quota.split()[0]) / 100000)
