"""Makes the small checkpoints in tests/data/checkpoints, which together hold every block.

    python tools/golden_checkpoints.py tests/data/checkpoints      in the oracle's environment

The files are made as tools/oracle_checkpoints.py makes its own.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from oracle_checkpoints import make_from

Layers = list[list[Any]]

STEM: Layers = [[-1, 1, "Conv", [16, 3, 2]], [-1, 1, "Conv", [16, 3, 2]]]
STRIDE = 8
NARROW = {"nc": 3, "reg_max": 2}


def plan(*layers: list[Any], **settings: Any) -> dict[str, Any]:
    """Make the plan (yaml) of a network: the stem, these layers, of which the last is the head, and settings."""
    return {**NARROW, **settings, "backbone": STEM + list(layers[:-1]), "head": [layers[-1]]}


PLANS: dict[str, dict[str, Any]] = {
    "v8-detect": plan(
        [-1, 2, "C2f", [16, True]],
        [-1, 1, "GhostConv", [32, 3, 2]],
        [-1, 1, "C3Ghost", [32]],
        [-1, 1, "SPPF", [32, 5]],
        [-1, 1, "nn.Upsample", [None, 2, "nearest"]],
        [[-1, 2], 1, "Concat", [1]],
        [-1, 1, "C3", [16, False]],
        [-1, 1, "C2", [16]],
        [[9, 5], 1, "Detect", ["nc"]],
    ),
    "v3-detect": plan(
        [-1, 1, "nn.MaxPool2d", [2, 2, 0]],
        [-2, 1, "Conv", [16, 1, 1]],
        [-1, 1, "nn.ZeroPad2d", [[0, 1, 0, 1]]],
        [-1, 1, "nn.MaxPool2d", [2, 1, 0]],
        [-1, 1, "Bottleneck", [16, False]],
        [2, 1, "SPP", [16, [3, 5]]],
        [-1, 1, "nn.ConvTranspose2d", [16, 2, 2, 0]],
        [[-1, 6], 1, "Concat", [1]],
        [[9, 7], 1, "Detect", ["nc"]],
        activation="torch.nn.LeakyReLU(0.1)",
    ),
    "v9-segment": plan(
        [-1, 1, "ELAN1", [16, 16, 8]],
        [-1, 1, "CBLinear", [[16, 32]]],
        [2, 1, "AConv", [32]],
        [-1, 1, "RepNCSPELAN4", [32, 16, 8, 1]],
        [2, 1, "ADown", [32]],
        [-1, 1, "SPPELAN", [32, 16]],
        [[3, -1], 1, "CBFuse", [[1]]],
        [[2, 5, 8], 1, "Segment", ["nc", 8, 16]],
    ),
    "v10-detect": plan(
        [-1, 1, "C2fCIB", [16, True, True]],
        [-1, 1, "SCDown", [128, 3, 2]],
        [-1, 1, "PSA", [128]],
        [-1, 1, "Conv", [16, 1, 1]],
        [[5], 1, "v10Detect", ["nc"]],
    ),
    "11-pose": plan(
        [-1, 1, "C3k2", [16, False, 0.25]],
        [-1, 1, "DWConv", [32, 3, 2]],
        [-1, 1, "C3k2", [128, True, 0.25]],
        [-1, 1, "C2PSA", [128]],
        [-1, 1, "Conv", [16, 1, 1]],
        [[2, 6], 1, "Pose", ["nc", "kpt_shape"]],
        kpt_shape=[3, 3],
    ),
    "12-obb": plan(
        [-1, 1, "A2C2f", [64, True, 4]],
        [-1, 1, "DWConv", [64, 3, 2]],
        [-1, 1, "A2C2f", [64, True, 1, True, 1.5]],
        [-1, 1, "A2C2f", [64, False, -1]],
        [-1, 1, "Conv", [16, 1, 1]],
        [[1, 6], 1, "OBB", ["nc", 1]],
    ),
    "26-detect": plan(
        [-1, 1, "C3k2", [128, True, 0.5, True]],
        [-1, 1, "Conv", [16, 1, 1]],
        [-1, 1, "DWConv", [32, 3, 2]],
        [-1, 1, "SPPF", [32, 5, 3, True]],
        [[3, 5], 1, "Detect", ["nc"]],
        reg_max=1,
        end2end=True,
        channels=4,
    ),
    "26-segment": plan(
        [-1, 1, "Conv", [32, 3, 2]],
        [[1, 2], 1, "Segment26", ["nc", 8, 16]],
        reg_max=1,
        end2end=True,
    ),
    "26-pose": plan(
        [-1, 1, "Conv", [32, 3, 2]],
        [[1, 2], 1, "Pose26", ["nc", "kpt_shape"]],
        reg_max=1,
        end2end=True,
        kpt_shape=[4, 2],
    ),
    "26-obb": plan([-1, 1, "Conv", [32, 3, 2]], [[1, 2], 1, "OBB26", ["nc", 1]], reg_max=1, end2end=True),
    "11-classify": plan([-1, 1, "C3k2", [16, False, 0.25]], [-1, 1, "Classify", ["nc"]]),
    "resnet-classify": {
        "nc": 3,
        "backbone": [
            [-1, 1, "ResNetLayer", [3, 16, 1, True, 1]],
            [-1, 1, "ResNetLayer", [16, 4, 1, False, 2]],
        ],
        "head": [[-1, 1, "Classify", ["nc"]]],
    },
    "rare-detect": plan(
        [-1, 1, "Conv2", [16, 16, 3, 1]],
        [-1, 1, "C1", [16]],
        [-1, 1, "C3x", [16]],
        [-1, 1, "RepC3", [16]],
        [-1, 1, "ConvTranspose", [16, 2, 2]],
        [[5, 6], 1, "Detect", ["nc"]],
    ),
    "focus-detect": plan(
        [-1, 1, "Focus", [128, 3]], [-1, 1, "C2fPSA", [128]], [-1, 1, "Conv", [16, 1]], [[1, 4], 1, "Detect", ["nc"]]
    ),
}

if __name__ == "__main__":
    target = Path(sys.argv[1]).resolve()
    target.mkdir(parents=True, exist_ok=True)
    for name in sys.argv[2:] or PLANS:
        make_from(PLANS[name], target, name, STRIDE)
