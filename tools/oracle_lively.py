"""Give a network with random weights values as lively as a trained one's: every layer works, every head decides.

Fresh networks compute nearly the same for every image, and find nothing in any. Here norms get the statistics of noise
and of photographs, so that no layer is idle, folding them is put to the test, and rounding does not grow from layer to
layer, as it does where norms do not fit. The last convolutions are scaled to logits that differ from anchor to anchor,
and one anchor in five passes a confidence of 0.25: hundreds of candidates on a photograph.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import cpu_torchvision  # noqa: F401  # isort: skip  before ultralytics
import cv2
import numpy as np
import torch
from torch import Tensor, nn
from ultralytics.utils import ASSETS

NOISE, SIZE = 6, 192
PHOTOGRAPH_SIZE = 320
PASSING, CONFIDENCE, HIGHEST = 0.2, 0.25, 4.0
"""The share of anchors that pass the confidence; the highest logit: above, scores round to 1, and are tied."""
SLOPES, SHIFTS = (0.1, 0.3), 0.3
"""Of the norms. Steeper slopes put more values at the kink of the activation, where each layer amplifies rounding: then
Ultralytics in float32 is up to 1e-3 from Ultralytics in float64."""
DEVIATIONS = {"cv2": 1.5, "cv3": 1.0, "cv4": 1.0, "cv4_kpts": 1.5, "linear": 3.0}
DISTANCE = 4.0  # the mean one, in pixels of a level, of heads that predict it without a distribution

Last = dict[str, tuple[nn.Module, Tensor]]
"""By the name in the head: the layer that computes an output, and what it computes for all images: (C, values)."""


def noise(count: int, channels: int, size_hw: tuple[int, int]) -> Tensor:
    """Images from 0 to 1 with waves of all lengths: noise of single pixels is averaged away at once."""
    parts = [torch.randn(count, channels, size, size) for size in (1, 3, 6, 12, 24, 48)]
    return torch.sigmoid(sum(nn.functional.interpolate(part, size_hw, mode="bilinear") for part in parts))


def _mixture(channels: int) -> Tensor:
    """Noise and, in colour, photographs: both whole, and the middle of both."""
    images = noise(NOISE, channels, (SIZE, SIZE))
    return torch.cat([images, _photographs(SIZE, min), _photographs(SIZE, max)]) if channels == 3 else images


def _photographs(size: int, fit: Callable[..., float]) -> Tensor:
    """(2, 3, size, size) RGB from 0 to 1. fit: min for the whole picture, max for its middle."""
    squares = [_square(str(ASSETS / name), size, fit) for name in ("bus.jpg", "zidane.jpg")]
    return torch.from_numpy(np.stack(squares)[..., ::-1].transpose(0, 3, 1, 2) / np.float32(255))


def _square(path: str, size: int, fit: Callable[..., float]) -> np.ndarray:
    image = cv2.imread(path)
    assert image is not None
    scale = fit(size / side for side in image.shape[:2])
    scaled = cv2.resize(image, None, fx=scale, fy=scale)[:size, :size]
    square = np.full((size, size, 3), 114, np.uint8)
    top, left = ((size - side) // 2 for side in scaled.shape[:2])
    square[top : top + scaled.shape[0], left : left + scaled.shape[1]] = scaled
    return square


def liven(network: nn.Module, channels: int) -> None:
    """Change the network's norms and last layers."""
    images = _mixture(channels)
    with torch.no_grad():
        spread(network)
        calibrate(network, images)
        network.eval()
        judged = _photographs(PHOTOGRAPH_SIZE, min) if channels == 3 else images
        for one_to_one in (False, True):
            aim(last_layers(network, images, one_to_one))
            choose(last_layers(network, judged, one_to_one))


def spread(network: nn.Module) -> None:
    """Different values where a fresh network has equal ones."""
    for name, values in network.named_parameters():
        if name.endswith("gamma"):
            nn.init.normal_(values, 0.5, 0.2)
        elif name.endswith("bias") and values.dim() == 1 and len(values) > 1 and float(values.std()) < 1e-6:
            values.add_(torch.randn_like(values) * 0.5)


def calibrate(network: nn.Module, images: Tensor) -> None:
    """Random slopes and shifts for the norms, and the statistics that the images have."""
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain mean over the passes
        nn.init.uniform_(norm.weight, *SLOPES)
        nn.init.normal_(norm.bias, 0, SHIFTS)
    network.train()(images)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum


def last_layers(network: nn.Module, images: Tensor, one_to_one: bool) -> Last:
    """Those of one branch of the head; none where there is no such branch."""
    head = network.model[-1]
    if one_to_one and not hasattr(head, "one2one_cv2"):
        return {}
    found: Last = {}
    with _hooks(head, found), _branch(head, one_to_one):
        network(images)
    return {name: found[name] for name in found if name.startswith("one2one_") == one_to_one}


@contextmanager
def _hooks(head: nn.Module, found: Last) -> Iterator[None]:
    def keep(name: str) -> Callable[..., None]:
        def hook(module: nn.Module, _inputs: object, output: Tensor) -> None:
            found[name] = module, output.transpose(0, 1).flatten(1)

        return hook

    wanted = {name: module for name, module in head.named_modules() if _is_last(name, module)}
    hooks = [module.register_forward_hook(keep(name)) for name, module in wanted.items()]
    yield
    for hook in hooks:
        hook.remove()


@contextmanager
def _branch(head: nn.Module, one_to_one: bool) -> Iterator[None]:
    if not hasattr(head, "one2one_cv2"):
        yield
        return
    before, head.end2end = head.end2end, one_to_one
    yield
    head.end2end = before


def _is_last(name: str, module: nn.Module) -> bool:
    bare = isinstance(module, nn.Conv2d | nn.Linear) and module.bias is not None
    return bare and _role(name) in DEVIATIONS


def _role(name: str) -> str:
    """What a layer of the head is for: one2one_cv2.0.2 has the role cv2."""
    return re.sub("^one2one_", "", name.partition(".")[0])


def aim(last: Last) -> None:
    """Scale each layer to the deviation of its role, and move the mean of each of its channels to that of its role."""
    for name, (layer, values) in last.items():
        role = _role(name)
        scale = DEVIATIONS[role] / _deviation(values)
        layer.weight.mul_(scale)
        layer.bias.sub_(values.mean(dim=1)).mul_(scale).add_(DISTANCE if role == "cv2" and len(values) == 4 else 0)


def _deviation(values: Tensor) -> float:
    """The typical one of the channels; half of what two thirds of the values keep to, as in a normal distribution."""
    low, high = values.quantile(torch.tensor([0.16, 0.84]), dim=1)
    return float((high - low).mean()) / 2


def choose(last: Last) -> None:
    """Scale and shift all logits by one number, so that PASSING of the anchors pass CONFIDENCE and none is certain."""
    scores = [pair for name, pair in last.items() if _role(name) == "cv3"]
    if not scores:
        return
    best = torch.cat([logits.amax(dim=0) for _, logits in scores])
    passing, threshold = float(best.quantile(1 - PASSING)), math.log(CONFIDENCE / (1 - CONFIDENCE))
    scale = min((HIGHEST - threshold) / (float(best.max()) - passing), 1)
    for layer, _ in scores:
        layer.weight.mul_(scale)
        layer.bias.mul_(scale).add_(threshold - passing * scale)
