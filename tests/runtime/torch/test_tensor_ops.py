"""Networks as torch operations, against Ultralytics' own numbers, which lie beside the checkpoints."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from checkpoint_parity import TOLERANCE, difference, difference_of_rows
from yoloom.errors import InvalidModel
from yoloom.formats.checkpoint.network.build import outputs
from yoloom.formats.checkpoint.parse import read_checkpoint
from yoloom.runtime.torch.tensor_ops import IMAGES, Canvas, TensorOps, TensorProgram
from yoloom.testing import barrier_run

FOLDER = Path(__file__).parents[2] / "data" / "checkpoints"
PATHS = sorted(FOLDER.glob("*.pt"))
CPU = torch.device("cpu")


def program(path: Path, one_to_one: bool = False, dtype: torch.dtype = torch.float32) -> TensorProgram:
    ops = TensorOps(CPU, dtype)
    results = outputs(ops, read_checkpoint(path), IMAGES, one_to_one=one_to_one)
    return ops.program([result.value for result in results])


def run(program: TensorProgram, images: Any, dtype: torch.dtype = torch.float32) -> list[Any]:
    with torch.inference_mode():
        pixels = torch.from_numpy(images).to(dtype).contiguous(memory_format=torch.channels_last)
        return [output.numpy() for output in program.run(pixels, Canvas(CPU))]


def golden(path: Path) -> dict[str, Any]:
    """Two images of 24 x 40 pixels, and what Ultralytics computed for them."""
    with np.load(path.with_suffix(".npz")) as arrays:
        return dict(arrays)


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_outputs_are_those_of_ultralytics(path: Path) -> None:
    expected = golden(path)
    found = run(program(path), expected["images"])
    assert max(difference(output, expected[f"raw{index}"]) for index, output in enumerate(found)) <= TOLERANCE
    if "best0" in expected:
        (best, *_) = run(program(path, one_to_one=True), expected["images"])
        assert difference_of_rows(best, expected["best0"]) <= TOLERANCE


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_half_precision_stays_near_and_heads_decode_in_float32(path: Path) -> None:
    expected = golden(path)
    found = run(program(path, dtype=torch.bfloat16), expected["images"], torch.bfloat16)
    for index, output in enumerate(found):
        assert output.dtype == np.float32
        assert difference(output, expected[f"raw{index}"]) <= 0.05
    if found[0].ndim == 3:  # boxes: bfloat16 has no bits of the lower half
        assert (np.ascontiguousarray(found[0][:, :4]).view(np.uint32) & 0xFFFF).any()


def test_equal_scores_come_in_the_order_in_which_they_stand() -> None:
    ops = TensorOps(CPU, torch.float32)
    score, index = ops.top(IMAGES, ops.size(IMAGES, 1, 4))
    found = ops.program([score, index]).run(torch.tensor([[0.5, 0.9, 0.5, 0.9, 0.5]]), Canvas(CPU))
    assert found[0].tolist() == [pytest.approx([0.9, 0.9, 0.5, 0.5])]
    assert found[1].tolist() == [[1, 3, 0, 2]]


def test_a_program_keeps_no_value_that_is_spent() -> None:
    """A chain of ten additions holds two images at a time, not eleven: counted by the storages that live."""
    living: list[int] = []
    ops = TensorOps(CPU, torch.float32)
    held: list[Any] = []
    x = IMAGES
    for _ in range(10):
        x = ops.add(x, ops.constant(np.array(1, np.float32)))

        def count(value: Any) -> Any:
            import weakref

            held.append(weakref.ref(value))
            living.append(sum(one() is not None for one in held))
            return value + 0

        x = ops._unary(count, x)
    ops.program([x]).run(torch.zeros(1, 4, 4, 4), Canvas(CPU))
    assert max(living) <= 2


def test_one_program_serves_many_threads() -> None:
    path = FOLDER / "12-obb.pt"
    shared, images = program(path), golden(path)["images"]
    expected = [output.tobytes() for output in run(shared, images)]
    found = barrier_run(8, lambda _: [[output.tobytes() for output in run(shared, images)] for _ in range(3)])
    assert all(answer == expected for answers in found for answer in answers)


def test_weights_that_do_not_fit_their_norm_are_a_typed_error() -> None:
    from dataclasses import replace

    found = read_checkpoint(FOLDER / "v8-detect.pt")
    layers = found.module.children["model"].children
    broken = replace(layers["2"], children={**layers["2"].children, "cv1": layers["1"].children["bn"]})
    model = replace(found.module.children["model"], children={**layers, "2": broken})
    checkpoint = replace(found, module=replace(found.module, children={**found.module.children, "model": model}))
    with pytest.raises(InvalidModel, match="contradicts itself"):
        outputs(TensorOps(CPU, torch.float32), checkpoint, IMAGES)
