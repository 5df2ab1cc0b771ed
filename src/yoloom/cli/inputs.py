"""Sources named on the command line → the images they stand for, and an error for each source that has none."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from yoloom.errors import InputError, SourceNotFound
from yoloom.sources.image_files import expand


@dataclass(frozen=True)
class Inputs:
    """Images in the order of their sources, and the error of each source without any.

    Thread safety: any number of threads.
    """

    images: list[str] = field(default_factory=list)
    missing: dict[str, InputError] = field(default_factory=dict)


def find_inputs(sources: Sequence[str]) -> Inputs:
    """Find the images of each file, folder and pattern; a source that is missing does not stop the others."""
    inputs = Inputs()
    for source in sources:
        try:
            images = [os.fspath(image) for image in expand(source)]
        except InputError as error:
            inputs.missing[source] = error
            continue
        try:
            if images == [source]:
                Path(source).stat()
        except (FileNotFoundError, NotADirectoryError, ValueError):  # ValueError: a zero byte in the name
            inputs.missing[source] = SourceNotFound(f"no such image: {source}")
            continue
        except OSError:  # a folder on the way may not be entered: reading the image reports it
            pass
        inputs.images.extend(images)
    return inputs


def find_all_inputs(sources: Sequence[str]) -> list[str]:
    """Find the images of all sources.

    Raises:
        InputError: for the first source that has none.
    """
    inputs = find_inputs(sources)
    for error in inputs.missing.values():
        raise error
    return inputs.images
