"""A picture of a source that gives many: a camera, a video, a feed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class FrameId:
    """Name of a frame, which its results carry.

    Thread safety: any number of threads (immutable).

    Attributes:
        source_id: Name of the camera, video or feed.
        index: Number of the frame in its source; None when it is not counted.
        captured_at_s: Moment of capture in seconds, on a scale of the caller's; None when it is not known.
    """

    source_id: str | int
    index: int | None = None
    captured_at_s: float | None = None


@dataclass(frozen=True, eq=False)
class Frame:
    """An image of one source among several: each source is a client of its own, and takes turns with the others.

    `model.map(frames)` reads frames of many sources; `Results.frame` tells where a result came from.

    Thread safety: any number of threads, as long as the image is left alone.

    Attributes:
        image: Anything that `predict` takes as one image.
        source_id: Name of the camera, video or feed.
        index: Number of the frame in its source.
        captured_at_s: Moment of capture in seconds, on a scale of the caller's.
    """

    image: Any
    source_id: str | int
    index: int | None = None
    captured_at_s: float | None = None

    @property
    def id(self) -> FrameId:
        """Name of the frame, without its pixels."""
        return FrameId(self.source_id, self.index, self.captured_at_s)
