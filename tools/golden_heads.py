"""The small heads in tests/data/heads: random raw outputs, and what Ultralytics finds in them.

    python tools/golden_heads.py tests/data/heads      in the oracle's environment

Each file holds the raw outputs of one image, what was asked, and the findings in source pixels.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from ultralytics.utils import nms, ops

import cpu_torchvision  # noqa: F401  torchvision has to be importable

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Plan:
    """One head and one question to it. Sizes in pixels; kpt_shape: keypoints and the values of each."""

    task: str
    end2end: bool
    source_hw: tuple[int, int]
    canvas_hw: tuple[int, int]
    anchors: int = 120
    nc: int = 3
    kpt_shape: tuple[int, int] | None = None
    protos: int = 0
    conf: float = 0.25
    iou: float = 0.5
    max_det: int = 60
    classes: tuple[int, ...] | None = None
    agnostic_nms: bool = False


PLANS = {
    "detect": Plan("detect", False, (333, 500), (128, 160), classes=(0, 2)),
    "detect-end2end": Plan("detect", True, (500, 333), (160, 160), max_det=30),
    "pose": Plan("pose", False, (65, 103), (96, 160), nc=1, kpt_shape=(5, 3)),
    "pose-end2end": Plan("pose", True, (1080, 810), (160, 128), kpt_shape=(4, 2)),
    "obb": Plan("obb", False, (720, 1280), (96, 160), iou=0.3),
    "obb-agnostic": Plan("obb", False, (97, 96), (160, 160), anchors=400, iou=0.2, conf=0.1, agnostic_nms=True),
    "obb-end2end": Plan("obb", True, (480, 640), (128, 160), classes=(1,)),
    "segment": Plan("segment", False, (121, 171), (128, 160), anchors=60, protos=5, max_det=25),
    "segment-whole": Plan("segment", False, (80, 160), (96, 160), anchors=60, protos=5, max_det=25),
    "segment-half": Plan("segment", True, (92, 160), (96, 160), anchors=60, protos=5, max_det=25),
    "segment-end2end": Plan("segment", True, (160, 77), (160, 96), anchors=60, protos=5, max_det=25),
}


def make_output(plan: Plan, random: np.random.Generator) -> Floats:
    """A raw output of `plan`, (4 + nc + extras, A) or (A, 6 + extras), in numbers that float16 holds."""
    size_wh = np.array(plan.canvas_hw[::-1])
    centre = random.uniform(-0.1, 1.1, (plan.anchors, 2)) * size_wh
    size = random.uniform(0.02, 0.5, (plan.anchors, 2)) * size_wh
    # No two are equal: torch does not say which of them it sorts first.
    scores = random.permutation(2047)[: plan.anchors * plan.nc].reshape(plan.anchors, plan.nc) / 2048
    extras = make_extras(plan, random)
    if not plan.end2end:
        return rounded(np.hstack([centre, size, scores, extras]).T)
    corners = [centre, size] if plan.task == "obb" else [centre - size / 2, centre + size / 2]
    return rounded(np.hstack([*corners, scores.max(1, keepdims=True), scores.argmax(1)[:, None], extras]))


def make_extras(plan: Plan, random: np.random.Generator) -> NDArray[np.float64]:
    if plan.kpt_shape is not None:
        points = random.uniform(-20, max(plan.canvas_hw) + 20, (plan.anchors, *plan.kpt_shape))
        points[..., 2:] = random.uniform(0, 1, points[..., 2:].shape)
        return points.reshape(plan.anchors, -1)
    if plan.task == "obb":
        return random.uniform(-np.pi / 4, 3 * np.pi / 4, (plan.anchors, 1))
    return random.normal(0, 1, (plan.anchors, plan.protos))


def make_protos(plan: Plan, random: np.random.Generator) -> Floats:
    height, width = (side // 4 for side in plan.canvas_hw)
    coarse = torch.from_numpy(random.normal(0, 1, (1, plan.protos, 4, 5)))
    smooth: torch.Tensor = torch.nn.functional.interpolate(coarse, (height, width), mode="bicubic")
    return rounded(smooth[0].numpy())


def rounded(values: NDArray[np.float64]) -> Floats:
    return values.astype(np.float16).astype(np.float32)


def suppressed(plan: Plan, output: Floats) -> torch.Tensor:
    rows: torch.Tensor = nms.non_max_suppression(
        torch.from_numpy(output.copy())[None],
        plan.conf,
        plan.iou,
        classes=None if plan.classes is None else list(plan.classes),
        agnostic=plan.agnostic_nms,
        max_det=plan.max_det,
        nc=plan.nc,
        rotated=plan.task == "obb",
        end2end=plan.end2end,
    )[0]
    return rows


def findings(plan: Plan, rows: torch.Tensor, protos: Floats | None) -> dict[str, NDArray[Any]]:
    if plan.task == "obb":
        xywh = ops.scale_boxes(plan.canvas_hw, rows[:, :4].clone(), plan.source_hw, xywh=True)
        return {"obb": torch.cat([xywh, rows[:, 6:], rows[:, 4:6]], 1).numpy()}
    boxes = rows[:, :6].clone()
    ops.scale_boxes(plan.canvas_hw, boxes[:, :4], plan.source_hw)
    if plan.kpt_shape is not None:
        points = ops.scale_coords(plan.canvas_hw, rows[:, 6:].reshape(-1, *plan.kpt_shape).clone(), plan.source_hw)
        return {"boxes": boxes.numpy(), "keypoints": points.numpy()}
    return {"boxes": boxes.numpy()} if protos is None else segmented(plan, rows, boxes, torch.from_numpy(protos))


def segmented(plan: Plan, rows: torch.Tensor, boxes: torch.Tensor, protos: torch.Tensor) -> dict[str, NDArray[Any]]:
    """Boxes and masks, and both again with retina_masks; masks as bits. Those of empty masks are left out."""
    found = {}
    whole = ops.process_mask(protos, rows[:, 6:], rows[:, :4], plan.canvas_hw, upsample=True)
    retina = ops.process_mask_native(protos, rows[:, 6:], boxes[:, :4], plan.source_hw)
    for name, masks in {"": whole, "retina_": retina}.items():
        some = masks.flatten(1).any(1).bool()
        found[f"{name}boxes"] = boxes[some].numpy()
        found[f"{name}masks"] = np.packbits(masks[some].numpy())
    return found


def make(plan: Plan, path: Path, seed: int) -> None:
    random = np.random.default_rng(seed)
    output = make_output(plan, random)
    protos = make_protos(plan, random) if plan.protos else None
    given = {"output": output.astype(np.float16)}
    if protos is not None:
        given["protos"] = protos.astype(np.float16)
    found = findings(plan, suppressed(plan, output), protos)
    np.savez_compressed(path, allow_pickle=False, plan=np.array(json.dumps(asdict(plan))), **given, **found)


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for number, (name, plan) in enumerate(PLANS.items()):
        make(plan, folder / f"{name}.npz", number)
