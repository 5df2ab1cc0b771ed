"""A model's name → its model file."""

from __future__ import annotations

import os
from pathlib import Path

from yoloom.formats.model import ModelFile
from yoloom.formats.read import check_exists, find_files


def locate(name: str | os.PathLike[str], one_to_one: bool = False) -> ModelFile:
    """Find the model file called `name`, downloaded first if it is a published name that is not here yet.

    Args:
        name: A path, or a published name such as "yolov8n.pt"; see `hub.resolve`.
        one_to_one: Of a checkpoint, take the head that needs no NMS, where it has one. Other files have the head they
            have.

    Raises:
        ModelNotFound: There is no such file, nor is the name a published one.
        DownloadFailed: The file can not be had whole, or not be stored.
        InvalidModel: It is a checkpoint that can not be read.
        UnsupportedModel: It is a file of another kind.
    """
    from yoloom.store.hub import resolve  # here: a worker is given a path, and starts sooner without it

    return file_at(resolve(name), one_to_one)


def file_at(path: Path, one_to_one: bool = False) -> ModelFile:
    """Return the model file at a path, see `locate`."""
    if path.suffix != ".pt":
        return find_files(path)
    check_exists(path)
    from yoloom.store.conversions import checkpoint_file  # here: most files are no checkpoints, and start without it

    return checkpoint_file(path, one_to_one)
