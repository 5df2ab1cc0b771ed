"""Train the demo detector on synthetic scenes.

    python tools/train_demo.py --out /tmp/demo          # --resume goes on after an interruption
    python tools/export_demo.py /tmp/demo/checkpoint.pt src/yoloom/assets/demo.onnx

Every batch is drawn afresh from seeds that the evaluation never uses. Assignment is task-aligned (Feng 2021), box
losses are complete IoU (Zheng 2020) and distribution focal loss (Li 2020). Written for yoloom from those papers.
"""

from __future__ import annotations

import argparse
import copy
import math
import time
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.data import DataLoader

import scenes
from demo_network import BINS, Detector, decode

FIRST_TRAINING_SEED = 10_000_000
NEIGHBOURS = 10  # anchors an object may claim
SMALL_SIDES = (256, 320, 384, 448)  # pixels of the longer side
LARGE_SIDES = (320, 384, 448, 512, 576, 640, 640)
ASPECTS = (0.75, 0.75, 0.75, 0.5625, 1.0, 1.33)  # height over width
GAINS = {"box": 7.5, "score": 0.5, "distance": 1.5}

Batch = tuple[Tensor, Tensor]  # images (B, 3, H, W) uint8 RGB, objects (N, 6): row of the batch, class, xyxy


@dataclass(frozen=True)
class Recipe:
    """The numbers that decide a training, besides the code."""

    steps: int
    pixels: int  # per batch
    rate: float
    decay: float = 0.02
    warm_up: int = 150
    small_until: float = 0.55  # share of the steps that see small images only; the rest sees all the larger ones


class SceneBatches:
    """Data set whose item `i` is the batch of step `i`, always the same."""

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe

    def __len__(self) -> int:
        return self.recipe.steps

    def __getitem__(self, step: int) -> Batch:
        cv2.setNumThreads(1)
        rng = np.random.default_rng([FIRST_TRAINING_SEED, step])
        size_wh = self._size(rng, step)
        count = max(4, self.recipe.pixels // (size_wh[0] * size_wh[1]))
        drawn = [scenes.scene(FIRST_TRAINING_SEED + step * 64 + row, size_wh) for row in range(count)]
        images = np.stack([padded(s.image) for s in drawn])
        rows = [np.column_stack([np.full(len(s.cls), row), s.cls, s.xyxy]) for row, s in enumerate(drawn)]
        return torch.from_numpy(images), torch.from_numpy(np.concatenate(rows)).float()

    def _size(self, rng: np.random.Generator, step: int) -> tuple[int, int]:
        sides = SMALL_SIDES if step < self.recipe.small_until * self.recipe.steps else LARGE_SIDES
        side, aspect = int(rng.choice(sides)), float(rng.choice(ASPECTS))
        return (side, round(side * aspect)) if aspect <= 1.0 else (round(side / aspect), side)


def padded(image: np.ndarray) -> np.ndarray:
    """RGB `(3, H, W)` of a BGR image, grey on the right and below up to multiples of 32."""
    down, right = -image.shape[0] % 32, -image.shape[1] % 32
    framed = cv2.copyMakeBorder(image, 0, down, 0, right, cv2.BORDER_CONSTANT, value=(114, 114, 114))
    return np.ascontiguousarray(framed[..., ::-1].transpose(2, 0, 1))


def objects_per_image(objects: Tensor, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """Padded ground truth: `cls (B, M)`, `xyxy (B, M, 4)` and whether the row is `real (B, M)`."""
    rows = objects[:, 0].long()
    most = max(1, int(torch.bincount(rows, minlength=count).max()))
    cls, xyxy = torch.zeros(count, most, dtype=torch.long), torch.zeros(count, most, 4)
    real = torch.zeros(count, most, dtype=torch.bool)
    for row in range(count):
        mine = objects[rows == row]
        cls[row, : len(mine)], xyxy[row, : len(mine)], real[row, : len(mine)] = mine[:, 1].long(), mine[:, 2:], True
    return cls, xyxy, real


def iou(a: Tensor, b: Tensor) -> Tensor:
    """Compute the intersection over union of xyxy boxes, broadcast over the leading axes."""
    meet = (torch.minimum(a[..., 2:], b[..., 2:]) - torch.maximum(a[..., :2], b[..., :2])).clamp(min=0).prod(-1)
    area_a, area_b = (a[..., 2:] - a[..., :2]).prod(-1), (b[..., 2:] - b[..., :2]).prod(-1)
    return meet / (area_a + area_b - meet + 1e-7)


def complete_iou(a: Tensor, b: Tensor) -> Tensor:
    """Compute the IoU less penalties for the distance of the centres and the difference of the aspect ratios."""
    overlap = iou(a, b)
    hull = torch.maximum(a[..., 2:], b[..., 2:]) - torch.minimum(a[..., :2], b[..., :2])
    apart = ((a[..., :2] + a[..., 2:] - b[..., :2] - b[..., 2:]) ** 2).sum(-1) / 4.0
    size_a, size_b = a[..., 2:] - a[..., :2], b[..., 2:] - b[..., :2]
    turn = torch.atan(size_b[..., 0] / (size_b[..., 1] + 1e-7)) - torch.atan(size_a[..., 0] / (size_a[..., 1] + 1e-7))
    shape = 4.0 / math.pi**2 * turn**2
    with torch.no_grad():
        weight = shape / (shape - overlap + 1.0 + 1e-7)
    return overlap - apart / ((hull**2).sum(-1) + 1e-7) - weight * shape


@dataclass(frozen=True)
class Assignment:
    """The object that each anchor is trained to find.

    `owner (B, A)` is a row of the ground truth, valid where `chosen (B, A)`; `quality (B, A)` 0..1 is the score
    that the anchor should give.
    """

    owner: Tensor
    chosen: Tensor
    quality: Tensor


def assign(scores: Tensor, boxes: Tensor, points: Tensor, cls: Tensor, xyxy: Tensor, real: Tensor) -> Assignment:
    """Task-aligned assignment: each object takes the anchors within it that predict its box and class best."""
    offsets = torch.cat([points - xyxy[:, :, None, :2], xyxy[:, :, None, 2:] - points], -1)
    allowed = (offsets.amin(-1) > 1e-6) & real[..., None]
    overlaps = iou(xyxy[:, :, None], boxes[:, None]) * allowed
    named = scores.transpose(1, 2).gather(1, cls[..., None].expand(-1, -1, boxes.shape[1]))
    alignment = named.sqrt() * overlaps**6 * allowed
    best = alignment.topk(min(NEIGHBOURS, boxes.shape[1]), -1)
    claims = torch.zeros_like(alignment).scatter(-1, best.indices, 1.0).bool() & allowed
    contested = claims * (overlaps + 1e-9)
    owner = contested.argmax(1)
    claims &= functional.one_hot(owner, cls.shape[1]).transpose(1, 2).bool()
    alignment, overlaps = alignment * claims, overlaps * claims
    scale = overlaps.amax(-1, keepdim=True) / (alignment.amax(-1, keepdim=True) + 1e-9)
    return Assignment(owner, claims.any(1), (alignment * scale).amax(1))


def losses(raw: Tensor, points: Tensor, strides: Tensor, objects: Tensor) -> dict[str, Tensor]:
    """Compute the three losses of a batch, each divided by the sum of the target scores."""
    cls, xyxy, real = objects_per_image(objects, raw.shape[0])
    distances, logits = raw.split((4 * BINS, raw.shape[-1] - 4 * BINS), -1)
    boxes = decode(distances, points, strides)
    with torch.no_grad():
        assigned = assign(logits.sigmoid(), boxes, points, cls, xyxy, real)
    names = cls.gather(1, assigned.owner)
    wanted = functional.one_hot(names, logits.shape[-1]) * (assigned.quality * assigned.chosen)[..., None]
    total = wanted.sum().clamp(min=1.0)
    truth = xyxy.gather(1, assigned.owner[..., None].expand(-1, -1, 4))[assigned.chosen]
    weight = assigned.quality[assigned.chosen]
    centres, unit = (
        points.expand(raw.shape[0], -1, -1)[assigned.chosen],
        strides.expand(raw.shape[0], -1, -1)[assigned.chosen],
    )
    sides = torch.cat([centres - truth[:, :2], truth[:, 2:] - centres], -1) / unit
    return {
        "score": functional.binary_cross_entropy_with_logits(logits, wanted, reduction="sum") / total,
        "box": ((1.0 - complete_iou(boxes[assigned.chosen], truth)) * weight).sum() / total,
        "distance": (_distance_loss(distances[assigned.chosen].unflatten(-1, (4, BINS)), sides) * weight).sum() / total,
    }


def _distance_loss(logits: Tensor, sides: Tensor) -> Tensor:
    """Cross entropy with the two bins around each true distance; the mean over the four sides."""
    target = sides.clamp(0.0, BINS - 1.01)
    lower = target.floor().long()
    share = target - lower
    odds = -functional.log_softmax(logits, -1)
    low, high = odds.gather(-1, lower[..., None])[..., 0], odds.gather(-1, lower[..., None] + 1)[..., 0]
    return (low * (1.0 - share) + high * share).mean(-1)


class Average:
    """Moving average of a network's weights and statistics, the one that is exported."""

    def __init__(self, network: Detector) -> None:
        self.network = copy.deepcopy(network).eval().requires_grad_(False)

    def update(self, network: Detector, step: int) -> None:
        """Move towards `network`; faster at first, when it still changes quickly."""
        keep = 0.998 * (1.0 - math.exp(-step / 300.0))
        for mine, new in zip(self.network.state_dict().values(), network.state_dict().values(), strict=True):
            if mine.dtype.is_floating_point:
                mine.lerp_(new.detach(), 1.0 - keep)


def rate_at(step: int, recipe: Recipe) -> float:
    """Learning rate: a linear warm-up, then half a cosine."""
    if step < recipe.warm_up:
        return recipe.rate * (step + 1) / recipe.warm_up
    done = (step - recipe.warm_up) / max(1, recipe.steps - recipe.warm_up)
    return recipe.rate * (0.01 + 0.99 * 0.5 * (1.0 + math.cos(math.pi * min(1.0, done))))


def optimizer_for(network: Detector, recipe: Recipe) -> torch.optim.AdamW:
    """Make an AdamW with weight decay for convolution weights only."""
    kernels = [p for p in network.parameters() if p.ndim > 1]
    others = [p for p in network.parameters() if p.ndim <= 1]
    return torch.optim.AdamW(
        [{"params": kernels}, {"params": others, "weight_decay": 0.0}], weight_decay=recipe.decay, fused=True
    )


class Training:
    """Training run, with all state that is saved to resume it.

    Thread safety: one thread at a time.
    """

    def __init__(self, recipe: Recipe, folder: Path) -> None:
        torch.manual_seed(0)
        self.recipe, self.folder, self.step = recipe, folder, 0
        self.network = Detector(len(scenes.NAMES)).to(memory_format=torch.channels_last)
        self.average = Average(self.network)
        self.optimizer = optimizer_for(self.network, recipe)

    def save(self) -> None:
        """Write the checkpoint; a reader sees the old or the new one, and always a whole one."""
        state = {
            "step": self.step,
            "network": self.network.state_dict(),
            "average": self.average.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }
        fresh = self.folder / "checkpoint.pt.new"
        torch.save(state, fresh)
        fresh.replace(self.folder / "checkpoint.pt")

    def load(self) -> None:
        """Go back to the state of the last `save`."""
        state = torch.load(self.folder / "checkpoint.pt", weights_only=True)
        self.step = state["step"]
        self.network.load_state_dict(state["network"])
        self.average.network.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])

    def run(self, workers: int) -> None:
        """Train to the end of the recipe, saving as it goes."""
        steps = range(self.step, self.recipe.steps)
        batches = DataLoader(SceneBatches(self.recipe), None, sampler=steps, num_workers=workers, prefetch_factor=4)
        start = time.monotonic()
        for images, objects in batches:
            parts = self._learn(images, objects)
            if self.step % 50 == 0:
                shown = " ".join(f"{name} {value:.3f}" for name, value in parts.items())
                print(f"step {self.step} {shown} {time.monotonic() - start:.0f} s", flush=True)
            if self.step % 100 == 0 or self.step == self.recipe.steps:
                self.save()

    def _learn(self, images: Tensor, objects: Tensor) -> dict[str, float]:
        for group in self.optimizer.param_groups:
            group["lr"] = rate_at(self.step, self.recipe)
        pixels = images.float().div_(255.0).contiguous(memory_format=torch.channels_last)
        raw, points, strides = self.network(pixels)
        parts = losses(raw, points, strides, objects)
        self.optimizer.zero_grad(set_to_none=True)
        torch.stack([GAINS[name] * value for name, value in parts.items()]).sum().backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 10.0)
        self.optimizer.step()
        self.step += 1
        self.average.update(self.network, self.step)
        return {name: float(value.detach()) for name, value in parts.items()}


def main() -> None:
    """Read the command line and train."""
    parser = argparse.ArgumentParser(description="Train yoloom's demo detector on synthetic scenes.")
    parser.add_argument("--out", type=Path, required=True, help="folder for the checkpoint")
    parser.add_argument("--steps", type=int, default=1300)
    parser.add_argument(
        "--batch", type=int, default=16, help="images per step at 320x240; fewer where images are larger"
    )
    parser.add_argument("--rate", type=float, default=2.5e-3, help="highest learning rate")
    parser.add_argument("--workers", type=int, default=1, help="processes that draw scenes")
    parser.add_argument("--threads", type=int, default=2, help="PyTorch's threads")
    parser.add_argument("--resume", action="store_true", help="go on from the folder's checkpoint")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    options.out.mkdir(parents=True, exist_ok=True)
    training = Training(Recipe(options.steps, options.batch * 320 * 240, options.rate), options.out)
    if options.resume:
        training.load()
    training.run(options.workers)


if __name__ == "__main__":
    main()
