"""Recorded runs, memory that is short, and a device that fails: on a fake that poisons what must not be read."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from fake_graphs import FakeDevice
from torch_models import compiled_of
from yoloom.errors import ForkedEngine, InvalidModel, RuntimeFailed
from yoloom.formats.model import Model
from yoloom.runtime.protocol import Batch, RawOutputs
from yoloom.runtime.torch import torch_context, torch_network
from yoloom.runtime.torch.batch_sizes import BatchSizes
from yoloom.runtime.torch.memory_ledger import MemoryLedger, ledger
from yoloom.testing import barrier_run, shaken

Models = Callable[[str], Model]
ILLEGAL = "CUDA error: an illegal memory access was encountered\nCUDA kernel errors might be reported elsewhere"


def images(*seeds: int, hw: tuple[int, int] = (64, 64)) -> Batch:
    return np.stack([np.random.default_rng(seed).integers(0, 256, (*hw, 3), np.uint8) for seed in seeds])


def bits(outputs: RawOutputs) -> list[bytes]:
    return [output.tobytes() for output in outputs]


def no_memory() -> BaseException:
    return torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")


# ---- Recorded runs


@pytest.mark.parametrize("name", ["v8-detect", "v9-segment", "tiny-classify"])
def test_replays_give_the_bits_of_plain_runs(checkpoint_model: Models, name: str) -> None:
    """Seen to fail with the wait after a download taken out, and with the upload taken out."""
    fake, model = FakeDevice(), checkpoint_model(name)
    context = compiled_of(model, batch="fixed", make_graphs=fake.graphs).context()
    plain = compiled_of(model, batch="fixed").context()
    for seeds in ((1,), (2, 3), (4, 5, 6, 7, 8), (1,)):
        assert bits(context.run(images(*seeds))) == bits(plain.run(images(*seeds)))
    assert fake.captures == [(4, 64, 64)]


def test_all_candidates_come_from_the_same_replay(checkpoint_model: Models, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch_network, "MOST_CANDIDATES", 10)
    fake, model = FakeDevice(), checkpoint_model("11-pose")
    context = compiled_of(model, batch="fixed", make_graphs=fake.graphs).context()
    every = context.run(images(1, 2))
    assert every[0].shape[1] > 10
    assert bits(context.run(images(1, 2))) == bits(every)
    few = context.run(images(1, 2), lowest_score=1.0)
    assert few[0].tobytes() == np.ascontiguousarray(every[0][:, :10]).tobytes()
    assert np.isfinite(every[0]).all()


def test_captures_happen_one_at_a_time(checkpoint_model: Models) -> None:
    """Seen to fail with the lock around the capture taken out."""
    fake, model = FakeDevice(), checkpoint_model("v8-detect")
    compiled = compiled_of(model, batch="fixed", make_graphs=fake.graphs)
    contexts = [compiled.context() for _ in range(6)]
    with shaken():
        found = barrier_run(6, lambda index: [bits(contexts[index].run(images(seed))) for seed in (1, 2)])
    assert all(answer == found[0] for answer in found)
    assert len(fake.captures) == 6


def test_graphs_of_many_sizes_are_dropped_together(checkpoint_model: Models, monkeypatch: pytest.MonkeyPatch) -> None:
    """The third size costs the other two; sizes that come in turn are soon run without graphs, and stay right."""
    monkeypatch.setattr(torch_context, "MOST_CANVASES", 2)
    fake, model = FakeDevice(), checkpoint_model("v8-detect")
    context = compiled_of(model, batch="fixed", make_graphs=fake.graphs).context()
    plain = compiled_of(model, batch="fixed").context()
    sizes = [(64, 64), (64, 96), (96, 64)]
    expected = [bits(plain.run(images(1, hw=hw))) for hw in sizes]
    for _ in range(12):
        for hw, bits_expected in zip(sizes, expected, strict=True):
            assert bits(context.run(images(1, hw=hw))) == bits_expected
    assert len(fake.captures) <= 16  # of 36 runs, and ever fewer
    assert len(context._residents) <= 2


def test_a_lane_that_can_not_capture_goes_on_without(checkpoint_model: Models) -> None:
    fake, model = FakeDevice(), checkpoint_model("v8-detect")
    context = compiled_of(model, batch="fixed", make_graphs=fake.graphs).context()
    fake.capture_errors.append(RuntimeError("CUDA error: operation not permitted when stream is capturing"))
    expected = bits(compiled_of(model, batch="fixed").context().run(images(1)))
    assert bits(context.run(images(1))) == expected
    assert bits(context.run(images(1))) == expected
    assert fake.captures == []


# ---- Memory


def test_batches_shrink_to_the_memory_at_opening(checkpoint_model: Models) -> None:
    fake, model = FakeDevice(room=2), checkpoint_model("v8-detect")
    compiled = compiled_of(model, batch=8, make_graphs=fake.graphs)
    assert compiled.sizes.usable((64, 64))[-1] <= 2
    context = compiled.context()
    whole = context.run(images(1, 2, 3, 4, 5))
    assert len(whole[0]) == 5
    for row, seed in enumerate((1, 2, 3, 4, 5)):
        np.testing.assert_allclose(whole[0][row], compiled.context().run(images(seed))[0][0], rtol=1e-3, atol=1e-3)


def test_a_run_without_memory_is_done_by_parts(checkpoint_model: Models) -> None:
    fake, model = FakeDevice(), checkpoint_model("v8-detect")
    compiled = compiled_of(model, batch=4, make_graphs=fake.graphs)
    context = compiled.context()
    context.run(images(1, 2, 3, 4))
    largest = compiled.sizes.usable((64, 64))[-1]
    fake.errors.append(no_memory())
    assert len(context.run(images(1, 2, 3, 4))[0]) == 4
    if largest > 1:
        assert compiled.sizes.usable((64, 64))[-1] <= largest // 2


@pytest.mark.parametrize("words", ["CUDA error: out of memory", "cuDNN error: CUDNN_STATUS_ALLOC_FAILED"])
def test_errors_of_memory_without_a_class_of_their_own(checkpoint_model: Models, words: str) -> None:
    fake, model = FakeDevice(), checkpoint_model("v8-detect")
    compiled = compiled_of(model, batch=1, make_graphs=fake.graphs)
    context = compiled.context()
    context.run(images(1))
    fake.errors.append(RuntimeError(words))
    with pytest.raises(RuntimeFailed, match="no memory for 1 image of 64x64 pixels"):
        context.run(images(1))
    assert len(context.run(images(1))[0]) == 1  # somebody gave memory back


def test_a_fixed_size_is_chosen_by_the_memory_and_kept(checkpoint_model: Models) -> None:
    """A smaller batch would give other bits than before, so a run that has no memory fails, and says what to do."""
    fake, model = FakeDevice(room=2), checkpoint_model("v8-detect")
    compiled = compiled_of(model, batch="fixed", make_graphs=fake.graphs)
    assert compiled.guarantee.bit_identical
    context = compiled.context()
    expected = bits(context.run(images(1)))
    fake.errors.append(no_memory())
    with pytest.raises(RuntimeFailed, match=r"no memory for 2 images of 64x64 pixels .* or a smaller batch"):
        context.run(images(1))
    assert bits(context.run(images(1))) == expected
    fake.errors.append(no_memory())
    assert len(context.run(images(1, 2, hw=(96, 96)))[0]) == 2  # no result of this size was given yet: one by one


def test_no_memory_for_a_single_image(checkpoint_model: Models) -> None:
    with pytest.raises(RuntimeFailed, match=r"no memory for 1 image of .*close other models"):
        compiled_of(checkpoint_model("v8-detect"), make_graphs=FakeDevice(room=0).graphs)


def test_memory_is_accounted_for_and_given_back(checkpoint_model: Models) -> None:
    fake, model = FakeDevice(), checkpoint_model("v8-detect")
    gc.collect()
    before = ledger.total("cpu")
    fake.bytes_of_graph = 1000
    compiled = compiled_of(model, batch=1, make_graphs=fake.graphs)
    weights = ledger.total("cpu") - before
    assert weights == compiled.network.weights_bytes > 0
    context = compiled.context()
    context.run(images(1))
    assert ledger.total("cpu") - before == weights + 1000 + 64 * 64 * 3
    context.run(images(1))
    assert ledger.total("cpu") - before == weights + 1000 + 64 * 64 * 3
    del context, compiled
    gc.collect()
    assert ledger.total("cpu") == before


def test_max_memory_shrinks_batches_and_refuses_weights(checkpoint_model: Models) -> None:
    fake, model = FakeDevice(), checkpoint_model("v8-detect")
    gc.collect()
    used = ledger.total("cpu")
    weights = compiled_of(model, batch=1).network.weights_bytes
    gc.collect()
    with pytest.raises(RuntimeFailed, match="weights do not fit"):
        compiled_of(model, max_memory=used + weights // 2)
    compiled = compiled_of(model, batch=4, make_graphs=fake.graphs, max_memory=used + weights + 4 * 64 * 64 * 3 - 1)
    context = compiled.context()
    assert len(context.run(images(1, 2, 3, 4))[0]) == 4  # by two, or one by one


def test_ledger() -> None:
    account = MemoryLedger()
    account.charge("cuda:0", "a", 100, limit=100)
    account.charge("cuda:0", "a", 60)
    account.charge("cuda:1", "a", 1)
    with pytest.raises(MemoryError, match="50 bytes and 60 of other models are more than max_memory=100"):
        account.charge("cuda:0", "b", 50, limit=100)
    account.charge("cuda:0", "b", 40, limit=100)
    assert account.total("cuda:0") == 100
    account.charge("cuda:0", "a", 0, limit=1)
    account.charge("cuda:0", "nobody", 0)
    assert (account.total("cuda:0"), account.total("cuda:1"), account.total("cuda:2")) == (40, 1, 0)


def test_ledger_of_many_threads() -> None:
    account = MemoryLedger()

    def spend(owner: int) -> None:
        for nbytes in range(200):
            account.charge("cuda:0", owner, nbytes + 1)

    with shaken():
        barrier_run(8, spend)
    assert account.total("cuda:0") == 8 * 200


# ---- Faults


@pytest.mark.parametrize("error", [RuntimeError(ILLEGAL), getattr(torch, "AcceleratorError", RuntimeError)(ILLEGAL)])
def test_an_error_of_the_device_ends_all_lanes(checkpoint_model: Models, error: BaseException) -> None:
    fake, model = FakeDevice(), checkpoint_model("v8-detect")
    compiled = compiled_of(model, make_graphs=fake.graphs)
    first, second = compiled.context(), compiled.context()
    first.run(images(1))
    second.run(images(1))
    fake.errors.append(error)
    with pytest.raises(RuntimeFailed, match=r"an illegal memory access was encountered.*workers=1") as caught:
        first.run(images(1))
    assert caught.value.__cause__ is not None
    for use in (lambda: first.run(images(1)), lambda: second.run(images(1)), compiled.context):
        with pytest.raises(RuntimeFailed, match="this process can not use it any more"):
            use()


def test_another_error_of_a_run_leaves_the_lane_usable(checkpoint_model: Models) -> None:
    fake, model = FakeDevice(), checkpoint_model("v8-detect")
    context = compiled_of(model, make_graphs=fake.graphs).context()
    expected = bits(context.run(images(1)))
    fake.errors.append(RuntimeError("something else"))
    with pytest.raises(RuntimeFailed, match="something else"):
        context.run(images(1))
    assert bits(context.run(images(1))) == expected


def test_a_network_that_fails_at_its_first_run_is_an_invalid_model(
    checkpoint_model: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("Sizes of tensors must match")

    monkeypatch.setattr(torch_network.TorchNetwork, "run", fail)
    with pytest.raises(InvalidModel, match="contradicts itself: Sizes of tensors must match"):
        compiled_of(checkpoint_model("v8-detect"))


def test_after_a_fork(checkpoint_model: Models, monkeypatch: pytest.MonkeyPatch) -> None:
    context = compiled_of(checkpoint_model("v8-detect")).context()
    monkeypatch.setattr(os, "getpid", lambda: -1)
    with pytest.raises(ForkedEngine, match="before the process was forked"):
        context.run(images(1))


# ---- Bits


def shifted(sizes: set[int], by_mates: bool = False) -> Callable[..., Any]:
    """`TorchNetwork.run` of a card whose kernels for these sizes give other bits by place, or by the mates."""
    run = torch_network.TorchNetwork.run

    def wrong(self: Any, rows: Any, canvas: Any) -> Any:
        tensors = run(self, rows, canvas)
        if len(rows) in sizes:
            tensors = tuple(tensor.clone() for tensor in tensors)
            for tensor in tensors:
                if tensor.is_floating_point():
                    tensor[-1 if not by_mates else 0] += 1e-3 if not by_mates else 1e-3 * float(rows[-1].float().mean())
        return tensors

    return wrong


@pytest.mark.parametrize("by_mates", [False, True])
def test_sizes_whose_bits_depend_on_others_are_not_used(
    checkpoint_model: Models, monkeypatch: pytest.MonkeyPatch, by_mates: bool
) -> None:
    monkeypatch.setattr(torch_network.TorchNetwork, "run", shifted({4}, by_mates))
    model = checkpoint_model("v8-detect")
    compiled = compiled_of(model, batch=4)
    assert 4 not in compiled.sizes.usable((160, 160))
    assert "4" not in compiled.guarantee.because.split("images")[0].split("batches of")[1]
    context = compiled.context()
    assert len(context.run(images(1, 2, 3, 4))[0]) == 4
    fixed = compiled_of(model, batch="fixed")
    assert fixed.sizes.usable((160, 160)) != [4]
    assert fixed.guarantee.bit_identical
    expected = bits(fixed.context().run(images(1)))
    assert [output[3].tobytes() for output in fixed.context().run(images(2, 3, 4, 1))] == [
        output[0].tobytes() for output in fixed.context().run(images(1))
    ]
    assert bits(fixed.context().run(images(1))) == expected


def test_sizes_that_differ_among_each_other_are_measured(
    checkpoint_model: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = torch_network.TorchNetwork.run

    def other(self: Any, rows: Any, canvas: Any) -> Any:
        tensors = run(self, rows, canvas)
        return tuple(t * 1.01 if t.is_floating_point() and len(rows) == 2 else t for t in tensors)

    monkeypatch.setattr(torch_network.TorchNetwork, "run", other)
    compiled = compiled_of(checkpoint_model("v8-detect"), batch=2)
    assert compiled.sizes.usable((160, 160)) in ([1, 2], [1])
    if 2 in compiled.sizes.usable((160, 160)):
        assert 0.005 < compiled.guarantee.tolerance < 0.02
    assert not compiled.guarantee.bit_identical


def test_batch_sizes() -> None:
    sizes, hw = BatchSizes((1, 2, 4, 8, 16)), (64, 64)
    assert [sizes.pick(hw, count) for count in (1, 2, 3, 4, 5, 7, 8, 9, 16, 40)] == [1, 2, 4, 4, 8, 8, 8, 16, 16, 16]
    sizes.record(hw, 8, 1e-3)
    assert [sizes.pick(hw, count) for count in (5, 8, 9)] == [4, 16, 16]
    assert sizes.pick((32, 32), 8) == 8
    assert sizes.shrink(hw, 16)
    assert (sizes.usable(hw), sizes.usable((32, 32))[-1]) == ([1, 2, 4], 8)
    assert sizes.shrink(hw, 4)
    assert sizes.shrink(hw, 2)
    assert not sizes.shrink(hw, 1)
    assert sizes.pick(hw, 100) == 1


def test_fixed_batch_sizes() -> None:
    sizes, hw = BatchSizes((12,), fixed=True), (64, 64)
    assert sizes.pick(hw, 1) == 12
    sizes.record(hw, 12, 1e-3)
    assert sizes.pick(hw, 1) == 6
    sizes.record(hw, 6, 0.0)
    assert sizes.claim(hw, 6)
    assert not sizes.claim(hw, 3)
    assert sizes.usable(hw) == [6]
    assert not sizes.shrink(hw, 6)
    assert sizes.pick((32, 32), 1) == 12
    assert sizes.shrink((32, 32), 12)
    assert (sizes.pick((32, 32), 1), sizes.pick(hw, 30)) == (6, 6)
