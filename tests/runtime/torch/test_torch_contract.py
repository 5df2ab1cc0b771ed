"""The torch backend on torch's CPU device: what every backend owes the engine, and the bits that it promises."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from torch_models import compiled_of
from yoloom.errors import ContextBusy, InvalidModel, RuntimeFailed, UnsupportedModel, UnsupportedOption
from yoloom.formats.model import Layout, Model
from yoloom.formats.read import read_model
from yoloom.runtime.plan import Plan
from yoloom.runtime.protocol import Batch, Precision, RawOutputs
from yoloom.runtime.torch.torch_backend import TorchBackend
from yoloom.runtime.torch.torch_context import TorchContext
from yoloom.testing import Gate, barrier_run, shaken

Models = Callable[[Any], Model]
NAMES = ["v8-detect", "v9-segment", "11-pose", "12-obb", "tiny-classify"]
PRECISIONS = [Precision.FP32, Precision.BF16]


def image(seed: int, hw: tuple[int, int] = (64, 64)) -> Batch:
    return np.random.default_rng(seed).integers(0, 256, (1, *hw, 3), np.uint8)


def bits(outputs: RawOutputs) -> list[bytes]:
    return [output.tobytes() for output in outputs]


@pytest.mark.parametrize(("name", "columns"), [("v8-detect", 6), ("11-pose", 15), ("12-obb", 7)])
def test_form_of_candidates(checkpoint_model: Models, name: str, columns: int) -> None:
    compiled = compiled_of(checkpoint_model(name))
    (rows,) = compiled.context().run(image(0))
    assert compiled.layout is Layout.CANDIDATES
    assert rows.dtype == np.float32
    assert rows.shape[0] == 1
    assert rows.shape[2] == columns
    assert (np.diff(rows[0, :, 4]) <= 0).all()


def test_form_of_the_other_layouts(checkpoint_model: Models) -> None:
    classifier = compiled_of(checkpoint_model("tiny-classify"))
    (probabilities,) = classifier.context().run(image(0))
    assert classifier.layout is Layout.RAW
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
    rows, protos = compiled_of(checkpoint_model("v9-segment")).context().run(image(0))
    assert protos.ndim == 4
    assert rows.shape[2] == 6 + protos.shape[1]


def test_outputs_belong_to_the_caller_and_the_input_stays(checkpoint_model: Models) -> None:
    context = compiled_of(checkpoint_model("v8-detect")).context()
    batch = image(1)
    batch.flags.writeable = False
    first = context.run(batch)
    before = bits(first)
    second = context.run(image(2))
    assert bits(first) == before != bits(second)
    first[0][...] = 0
    assert bits(context.run(image(2))) == bits(second)
    assert bits(context.run(image(1))) == before


def test_a_batch_drawn_in_place_is_not_copied(checkpoint_model: Models, monkeypatch: pytest.MonkeyPatch) -> None:
    context = compiled_of(checkpoint_model("v8-detect")).context()
    expected = bits(context.run(np.concatenate([image(1), image(2)])))
    rows = context.staging((2, 64, 64, 3))
    rows[0], rows[1] = image(1)[0], image(2)[0]
    monkeypatch.setattr(np, "copyto", None)
    assert bits(context.run(rows)) == expected


def test_second_user_gets_context_busy(checkpoint_model: Models, monkeypatch: pytest.MonkeyPatch) -> None:
    gate, context = Gate(), compiled_of(checkpoint_model("v8-detect")).context()
    run_part, gates = TorchContext._run_part, [gate]

    def held(self: TorchContext, *arguments: Any) -> Any:
        if gates:
            gates.pop()()
        return run_part(self, *arguments)

    monkeypatch.setattr(TorchContext, "_run_part", held)

    def use(number: int) -> None:
        if number == 0:
            context.run(image(0))
            return
        gate.wait_for(1)
        try:
            with pytest.raises(ContextBusy, match="one thread at a time"):
                context.run(image(1))
        finally:
            gate.open()

    barrier_run(2, use)
    context.run(image(0))


def test_wrong_size_fails_and_leaves_the_context_usable(checkpoint_model: Models) -> None:
    context = compiled_of(checkpoint_model("v8-detect")).context()
    with pytest.raises(RuntimeFailed, match=r"batch of shape \(1, 36, 64, 3\)"):
        context.run(image(0, (36, 64)))
    assert len(context.run(image(1))[0]) == 1


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("name", NAMES)
def test_fixed_batches_keep_bits_whoever_is_in_them(checkpoint_model: Models, name: str, precision: Precision) -> None:
    compiled = compiled_of(checkpoint_model(name), precision, batch="fixed")
    assert compiled.guarantee.bit_identical
    assert compiled.guarantee.tolerance == 0.0
    images = np.concatenate([image(seed, (64, 96)) for seed in range(5)])
    expected = [bits(compiled.context().run(one[None])) for one in images]
    context = compiled.context()
    for size in (1, 2, 3, 5):
        for start in range(6 - size):
            found = context.run(images[start : start + size])
            for row in range(size):
                assert [output[row].tobytes() for output in found] == expected[start + row]


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("name", NAMES)
def test_batches_stay_within_what_was_measured(checkpoint_model: Models, name: str, precision: Precision) -> None:
    """Kernels differ with the size of the batch on some CPUs; the opening has measured by how much."""
    compiled = compiled_of(checkpoint_model(name), precision)
    context, images = compiled.context(), np.concatenate([image(seed, (64, 96)) for seed in range(4)])
    whole = context.run(images)
    most = max(10 * compiled.guarantee.tolerance, 1e-4 if precision is Precision.FP32 else 0.3)
    for row, one in enumerate(images):
        for together, alone in zip(whole, context.run(one[None]), strict=True):
            difference = np.abs(np.sort(together[row], axis=0) - np.sort(alone[0], axis=0))
            assert (difference / np.maximum(np.abs(alone[0]).max(axis=0), 1)).max() <= most


@pytest.mark.parametrize("name", ["v8-detect", "12-obb"])
def test_64_threads_each_with_a_lane(checkpoint_model: Models, name: str) -> None:
    compiled = compiled_of(checkpoint_model(name), batch="fixed")
    expected = [bits(compiled.context().run(image(seed))) for seed in range(8)]
    contexts = [compiled.context() for _ in range(64)]
    with shaken():
        found = barrier_run(64, lambda index: bits(contexts[index].run(image(index % 8))))
    assert found == [expected[index % 8] for index in range(64)]


def test_changing_sizes(checkpoint_model: Models) -> None:
    model = checkpoint_model("v8-detect")
    context = compiled_of(model, batch="fixed").context()
    for seed, hw in enumerate([(64, 64), (96, 64), (32, 128), (64, 64), (96, 64)]):
        expected = compiled_of(model, batch="fixed").context().run(image(seed, hw))
        assert bits(context.run(image(seed, hw))) == bits(expected)


def test_precisions_and_guarantee(checkpoint_model: Models) -> None:
    backend = TorchBackend("cpu")
    assert backend.precisions() == (Precision.FP32, Precision.BF16)
    for precision in backend.precisions():
        guarantee = backend.guarantee(precision)
        assert (guarantee.backend, guarantee.device, guarantee.precision) == ("torch", "cpu", precision.value)
        assert guarantee.version
        assert not guarantee.bit_identical
        assert guarantee.tolerance > 0
    with pytest.raises(UnsupportedOption, match="precision must be fp32 or bf16 on cpu, got 'fp16'"):
        compiled_of(checkpoint_model("v8-detect"), Precision.FP16)


def test_a_single_size_of_batch_is_what_the_plan_says(checkpoint_model: Models) -> None:
    model, backend = checkpoint_model("v8-detect"), TorchBackend("cpu", batch=6)
    (profile,) = backend.profiles(model, 3, Plan(lanes=5, max_wait_ms=2.0))
    assert profile.batch_sizes == (1, 2, 4, 6)
    assert (profile.lanes, profile.threads, profile.max_wait_ms) == (5, 3, 2.0)
    assert not backend.keeps_bits_in_batches(model)
    fixed = TorchBackend("cpu", batch="fixed")
    assert fixed.keeps_bits_in_batches(model)
    (profile,) = fixed.profiles(model, 3, Plan(batch=8))
    assert profile.batch_sizes == (8,)


def test_files_of_other_formats(tiny_onnx: Callable[..., Any]) -> None:
    with pytest.raises(UnsupportedModel, match=r"expected an Ultralytics .pt file .*onnxruntime-gpu"):
        compiled_of(read_model(tiny_onnx()))


def test_a_file_that_went_away_or_changed(checkpoint_model: Models, tmp_path: Any) -> None:
    from dataclasses import replace

    path = tmp_path / "model.pt"
    path.write_bytes(checkpoint_model("v8-detect").graph.path.read_bytes())
    model = checkpoint_model(path)
    with pytest.raises(InvalidModel, match="another head"):
        compiled_of(replace(model, layout=Layout.END2END))
    path.unlink()
    with pytest.raises(Exception, match=r"model\.pt"):
        compiled_of(model)
