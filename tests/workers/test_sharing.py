"""One copy of the compiled network for all workers of a model: who makes it, and what happens when that goes wrong."""

from __future__ import annotations

import fcntl
import logging
import mmap
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenes import scene
from test_crash import WAYS, all_ready, answers, crew, opened, until
from yoloom import YOLO
from yoloom.errors import InvalidModel, WorkersUnavailable
from yoloom.formats.read import read_model
from yoloom.runtime.cpu import latency_profile
from yoloom.runtime.protocol import Sharing
from yoloom.runtime.registry import find_backend
from yoloom.workers.compile_sharing import LOSSES, CompileRole, CompileSharing
from yoloom.workers.ipc.shared_memory import SharedNetwork
from yoloom.workers.recipe import Recipe

slow = pytest.mark.slow
pytestmark = pytest.mark.skipif(SharedNetwork.create() is None, reason="needs memory that can be sealed")


# ---- Who does what


def test_the_first_gives_and_the_others_wait_and_take() -> None:
    sharing = CompileSharing(is_wanted=True)
    assert sharing.assign(1) is CompileRole.LEADER
    assert sharing.assign(2) is None
    assert not sharing.ready(1, is_shared=True)
    assert [sharing.assign(2), sharing.assign(3)] == [CompileRole.FOLLOWER] * 2


def test_all_compile_alone_where_nothing_can_be_handed_over() -> None:
    sharing = CompileSharing(is_wanted=False)
    assert [sharing.assign(1), sharing.assign(2)] == [CompileRole.SOLO] * 2
    assert not sharing.ready(1, is_shared=False), "nobody need hear of it"


def test_another_one_gives_when_the_first_has_ended() -> None:
    sharing = CompileSharing(is_wanted=True)
    sharing.assign(1)
    sharing.ended(1)
    assert sharing.assign(2) is CompileRole.LEADER
    assert sharing.assign(3) is None


@pytest.mark.parametrize("is_sealed_first", [True, False])
def test_all_compile_alone_after_some_have_ended_over_it(is_sealed_first: bool) -> None:
    sharing = CompileSharing(is_wanted=True)
    sharing.assign(0)
    sharing.ready(0, is_shared=True) if is_sealed_first else sharing.ended(0)
    for generation in range(1, LOSSES + is_sealed_first):
        assert sharing.assign(generation) is (CompileRole.FOLLOWER if is_sealed_first else CompileRole.LEADER)
        sharing.ended(generation)
    assert sharing.assign(9) is CompileRole.SOLO


def test_workers_that_end_once_they_are_ready_say_nothing_against_it() -> None:
    sharing = CompileSharing(is_wanted=True)
    for generation in range(2 * LOSSES):
        assert sharing.assign(generation) is (CompileRole.FOLLOWER if generation else CompileRole.LEADER)
        sharing.ready(generation, is_shared=True)
        sharing.ended(generation)


@given(st.lists(st.sampled_from(["ready", "alone", "ended"]), max_size=12))
def test_somebody_always_starts(ends: list[str]) -> None:
    """Two start at any time, and however they end, one of those that have not has a role."""
    sharing, starting, generation = CompileSharing(is_wanted=True), [0, 1], 1
    for end in ends:
        roles = {number: sharing.assign(number) for number in starting}
        number = next(number for number, role in roles.items() if role is not None)
        assert list(roles.values()).count(CompileRole.LEADER) <= 1
        if end == "ended":
            sharing.ended(number)
        else:
            sharing.ready(number, is_shared=end == "ready" and roles[number] is not CompileRole.SOLO)
        generation += 1
        starting = [*(other for other in starting if other != number), generation]


# ---- The memory


def test_nobody_can_change_what_is_sealed() -> None:
    network = SharedNetwork.create()
    assert network is not None
    network.write(memoryview(b"torn" * 500))
    network.write(memoryview(b"whole"))
    assert not network.is_sealed
    network.seal()
    assert network.is_sealed
    for change in (
        lambda: os.write(network.descriptor, b"x"),
        lambda: os.ftruncate(network.descriptor, 0),
        lambda: os.ftruncate(network.descriptor, 99),
        lambda: mmap.mmap(network.descriptor, 5),
        lambda: network.write(memoryview(b"other")),
        lambda: fcntl.fcntl(network.descriptor, fcntl.F_ADD_SEALS, 0),
    ):
        with pytest.raises(OSError, match="not permitted"):
            change()
    view = network.view()
    assert view.tobytes() == b"whole"
    view[0] = 0  # a page of its own
    assert network.view().tobytes() == b"whole"
    network.close()
    assert view[1:].tobytes() == b"hole"


# ---- What goes wrong


@pytest.fixture
def sharing(tmp_path: Path) -> Callable[..., Recipe]:
    def recipe(step: str = "never", how: str = "exit", times: int = 1) -> Recipe:
        plan = {"step": step, "how": how, "times": times, "folder": str(tmp_path)}
        return Recipe("worker_faults:open_sharing", plan, is_shared=True)

    return recipe


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    plan = {"step": "never", "how": "", "times": 0, "folder": str(tmp_path_factory.mktemp("none"))}
    with opened(Recipe("worker_faults:open_faulty", plan), 1) as engine:
        return answers(engine)


@slow
@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize("step", ["compiling", "exporting", "sealed", "taking"])
def test_a_worker_that_ends_while_it_hands_over_or_takes_is_replaced(
    sharing: Callable[..., Recipe], expected: list[bytes], step: str, how: str
) -> None:
    with opened(sharing(step, how)) as engine:
        assert sum(worker.restarts for worker in crew(engine)) == 1
        assert answers(engine) == expected


@slow
@pytest.mark.parametrize("step", ["exporting", "sealed", "taking"])
def test_a_handing_over_that_ends_workers_is_given_up(
    sharing: Callable[..., Recipe], expected: list[bytes], step: str
) -> None:
    """As often as they try: there must be few tries."""
    with opened(sharing(step, "SIGSEGV", times=1000)) as engine:
        assert sum(worker.restarts for worker in crew(engine)) == LOSSES
        assert answers(engine) == expected


@slow
@pytest.mark.parametrize(("step", "how"), [("exporting", "raise"), ("sealed", "raise"), ("taking", "raise")])
def test_what_can_not_be_handed_over_is_compiled_by_each(
    sharing: Callable[..., Recipe], expected: list[bytes], step: str, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "yoloom.workers"), opened(sharing(step, how, times=1000)) as engine:
        assert sum(worker.restarts for worker in crew(engine)) == 0
        assert answers(engine) == expected
    assert "InvalidModel: it can not be handed over" in caplog.text


@slow
def test_other_bits_are_never_handed_over(
    sharing: Callable[..., Recipe], expected: list[bytes], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "yoloom.workers"), opened(sharing("other bits")) as engine:
        assert answers(engine) == expected
    assert "gives other bits" in caplog.text


@slow
def test_a_network_that_can_not_be_compiled_is_not_tried_by_each_in_turn(sharing: Callable[..., Recipe]) -> None:
    with pytest.raises(InvalidModel, match="can not be handed over"), opened(sharing("compiling", "raise", 1000), 4):
        pass
    with pytest.raises(WorkersUnavailable), opened(sharing("compiling", "exit", times=1000), restarts=2):
        pass


@slow
def test_workers_start_where_memory_can_not_be_sealed(
    sharing: Callable[..., Recipe], expected: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden(*_: object) -> int:
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(os, "memfd_create", forbidden)
    with opened(sharing()) as engine:
        assert answers(engine) == expected
        os.kill(crew(engine)[0].pid or 0, 9)
        assert answers(engine) == expected
        until(lambda: all_ready(engine))


# ---- With a real runtime


def network_of(pid: int | None) -> str:
    """The inode of the shared network that a process has mapped."""
    lines = Path(f"/proc/{pid}/maps").read_text().splitlines()
    return next(line.split()[4] for line in lines if "yoloom-network" in line)


@slow
@pytest.mark.parametrize("kind", ["pt", "onnx", "openvino"])
def test_workers_have_one_copy_of_the_weights_and_the_bits_of_threads(kind: str, tmp_path: Path) -> None:
    """New ones too, and those with another share of the CPUs."""
    path = Path(shutil.copy(Path(__file__).parents[1] / "data" / "checkpoints" / "v8-detect.pt", tmp_path / "best.pt"))
    if kind != "pt":
        with YOLO(path) as model:
            path = Path(model.export(format=kind))
    images = [np.array(scene(seed, (320, 240)).image) for seed in range(4)]
    with YOLO(path) as threads:
        expected = [threads(image, conf=0.01)[0].boxes.data.tobytes() for image in images]
    with YOLO(path, threads=4, workers=2) as model:
        inodes = set()
        for _ in range(2):
            pids = [worker.pid for worker in model.statistics().workers]
            inodes |= {network_of(pid) for pid in pids}
            assert [result.boxes.data.tobytes() for result in model.map(images, conf=0.01)] == expected
            os.kill(pids[0] or 0, signal.SIGKILL)
            model.resize(3)
        assert len(inodes) == 1, "all look at the same memory"


@pytest.mark.slow
@pytest.mark.parametrize("threads", [1, 2])
def test_an_imported_network_has_its_own_settings_and_the_same_bits(demo_model: Path, threads: int) -> None:
    """And lives as long as its last context, whatever happens to the rest."""
    backend, model = find_backend("openvino", "cpu"), read_model(demo_model)
    assert isinstance(backend, Sharing)
    own = backend.compile(model, latency_profile(1))
    data = np.frombuffer(bytearray(backend.exported(own)), np.uint8)
    shared = backend.imported(model, latency_profile(threads), data)
    image = np.random.default_rng(1).integers(0, 256, (1, *(model.input.hw or (96, 128)), 3), np.uint8)
    expected, context = own.context().run(image), shared.context()
    del data, shared, own
    assert [one.tobytes() for one in context.run(image)] == [one.tobytes() for one in expected]


def test_what_was_not_exported_is_refused(demo_model: Path) -> None:
    backend = find_backend("openvino", "cpu")
    assert isinstance(backend, Sharing)
    with pytest.raises(InvalidModel, match="can not import"):
        backend.imported(read_model(demo_model), latency_profile(1), np.zeros(1000, np.uint8))
