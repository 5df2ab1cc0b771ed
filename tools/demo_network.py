"""The demo detector's network: a small anchor-free detector with three strides, for PyTorch.

The backbone is made of cross-stage partial blocks (Wang 2019), the neck is a path aggregation network (Liu 2018),
and the decoupled head gives each box side as a distribution over distances (Li 2020). Written for yoloom from those
papers.
"""

# mypy: allow-subclassing-any

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

STRIDES = (8, 16, 32)
BINS = 16  # distances a box side is a distribution over, in strides


class Conv(nn.Sequential):
    """Convolution, batch normalisation and activation."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 1, stride: int = 1, groups: int = 1) -> None:
        super().__init__(
            nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
            nn.BatchNorm2d(outputs, eps=1e-3, momentum=0.03),
            nn.SiLU(),
        )


class Residual(nn.Module):
    """Two 3x3 convolutions and, where `skip`, a shortcut past them."""

    def __init__(self, channels: int, skip: bool) -> None:
        super().__init__()
        self.body = nn.Sequential(Conv(channels, channels, 3), Conv(channels, channels, 3))
        self.skip = skip

    def forward(self, x: Tensor) -> Tensor:
        """`(B, channels, H, W)` to the same."""
        y: Tensor = self.body(x)
        return x + y if self.skip else y


class Partial(nn.Module):
    """Cross-stage partial block: half of the channels pass through the residuals, and every stage is kept."""

    def __init__(self, inputs: int, outputs: int, depth: int = 1, skip: bool = True) -> None:
        super().__init__()
        half = outputs // 2
        self.entry = Conv(inputs, outputs)
        self.stages = nn.ModuleList(Residual(half, skip) for _ in range(depth))
        self.exit = Conv(half * (2 + depth), outputs)

    def forward(self, x: Tensor) -> Tensor:
        """`(B, inputs, H, W)` to `(B, outputs, H, W)`."""
        parts = list(self.entry(x).chunk(2, 1))
        for stage in self.stages:
            parts.append(stage(parts[-1]))
        y: Tensor = self.exit(torch.cat(parts, 1))
        return y


class Pyramid(nn.Module):
    """Max pooling at growing reach, so that the coarsest level sees the whole image."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.entry = Conv(channels, channels // 2)
        self.pool = nn.MaxPool2d(5, 1, 2)
        self.exit = Conv(channels * 2, channels)

    def forward(self, x: Tensor) -> Tensor:
        """`(B, channels, H, W)` to the same."""
        parts = [self.entry(x)]
        for _ in range(3):
            parts.append(self.pool(parts[-1]))
        y: Tensor = self.exit(torch.cat(parts, 1))
        return y


class Branch(nn.Sequential):
    """Head branch of one level: two depthwise separable convolutions and a projection."""

    def __init__(self, inputs: int, hidden: int, outputs: int) -> None:
        super().__init__(
            Conv(inputs, inputs, 3, groups=inputs),
            Conv(inputs, hidden),
            Conv(hidden, hidden, 3, groups=hidden),
            Conv(hidden, hidden),
            nn.Conv2d(hidden, outputs, 1),
        )


class Detector(nn.Module):
    """A detector with outputs at strides 8, 16 and 32.

    Takes images `(B, 3, H, W)` float32 0..1 RGB, H and W multiples of 32, and gives raw predictions
    `(B, A, 4 * BINS + classes)`: logits of the side distances, then of the classes.
    """

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.classes = classes
        self.stem = nn.Sequential(
            Conv(3, 12, 3, 2), Conv(12, 24, 3, 2), Partial(24, 24), Conv(24, 48, 3, 2), Partial(48, 48, 2)
        )
        self.middle = nn.Sequential(Conv(48, 96, 3, 2), Partial(96, 96, 2))
        self.top = nn.Sequential(Conv(96, 128, 3, 2), Partial(128, 128), Pyramid(128))
        self.down_to_16 = Partial(128 + 96, 64, skip=False)
        self.down_to_8 = Partial(64 + 48, 48, skip=False)
        self.up_8 = Conv(48, 48, 3, 2)
        self.up_to_16 = Partial(48 + 64, 64, skip=False)
        self.up_16 = Conv(64, 64, 3, 2)
        self.up_to_32 = Partial(64 + 128, 96, skip=False)
        widths = (48, 64, 96)
        self.box = nn.ModuleList(Branch(width, 64, 4 * BINS) for width in widths)
        self.score = nn.ModuleList(Branch(width, 48, classes) for width in widths)
        self._start_unsure()

    def _start_unsure(self) -> None:
        for box, score in zip(self.box, self.score, strict=True):
            nn.init.constant_(box[-1].bias, 1.0)
            nn.init.constant_(score[-1].bias, -math.log(99.0))

    def levels(self, images: Tensor) -> list[Tensor]:
        """Neck features at strides 8, 16 and 32."""
        fine = self.stem(images)
        medium = self.middle(fine)
        coarse = self.top(medium)
        at_16 = self.down_to_16(torch.cat([functional.interpolate(coarse, scale_factor=2.0), medium], 1))
        at_8 = self.down_to_8(torch.cat([functional.interpolate(at_16, scale_factor=2.0), fine], 1))
        at_16 = self.up_to_16(torch.cat([self.up_8(at_8), at_16], 1))
        at_32 = self.up_to_32(torch.cat([self.up_16(at_16), coarse], 1))
        return [at_8, at_16, at_32]

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Raw predictions, anchor points `(A, 2)` in pixels and their strides `(A, 1)`."""
        features = self.levels(images)
        raw = [
            torch.cat([box(f), score(f)], 1).flatten(2)
            for f, box, score in zip(features, self.box, self.score, strict=True)
        ]
        points, strides = anchor_points(features)
        return torch.cat(raw, 2).transpose(1, 2), points, strides


class Exported(nn.Module):
    """The detector as its file gives it: `(B, 4 + classes, A)`, xywh in pixels and then scores 0..1."""

    def __init__(self, detector: Detector) -> None:
        super().__init__()
        self.detector = detector

    def forward(self, images: Tensor) -> Tensor:
        """Images `(B, 3, H, W)` to boxes and scores."""
        raw, points, strides = self.detector(images)
        xyxy = decode(raw[..., : 4 * BINS], points, strides)
        xywh = torch.cat([(xyxy[..., :2] + xyxy[..., 2:]) / 2.0, xyxy[..., 2:] - xyxy[..., :2]], -1)
        return torch.cat([xywh, raw[..., 4 * BINS :].sigmoid()], -1).transpose(1, 2)


def anchor_points(features: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Cell centres `(A, 2)` in pixels, level by level and row by row, and their strides `(A, 1)`."""
    points, strides = [], []
    for feature, stride in zip(features, STRIDES, strict=True):
        x = torch.arange(feature.shape[3], dtype=torch.float32, device=feature.device) + 0.5
        y = torch.arange(feature.shape[2], dtype=torch.float32, device=feature.device) + 0.5
        rows, columns = torch.meshgrid(y, x, indexing="ij")
        level = torch.stack([columns, rows], -1).reshape(-1, 2) * stride
        points.append(level)
        strides.append(torch.full_like(level[:, :1], stride))
    return torch.cat(points), torch.cat(strides)


def decode(distances: Tensor, points: Tensor, strides: Tensor) -> Tensor:
    """Boxes `(B, A, 4)` xyxy in pixels of `distances (B, A, 4 * BINS)`: each side at its expected distance."""
    bins = torch.arange(BINS, dtype=torch.float32, device=distances.device)
    sides = distances.unflatten(-1, (4, BINS)).softmax(-1) @ bins
    return torch.cat([points - sides[..., :2] * strides, points + sides[..., 2:] * strides], -1)
