"""Sources named on the command line → the images they stand for, and an error for each source that has none."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from yoloom.errors import InputError, SourceNotFound
from yoloom.sources.image_files import expand


class StandardInput(io.BytesIO):
    """The bytes of a picture that came by stdin. Thread safety: one thread at a time."""

    filename = "stdin"
    """The name that results have as their path."""

    def __str__(self) -> str:
        return self.filename


Input = str | StandardInput
"""One image."""


@dataclass(frozen=True)
class Inputs:
    """Images in the order of their sources, and the error of each source without any.

    Thread safety: any number of threads.
    """

    images: list[Input] = field(default_factory=list)
    missing: dict[str, InputError] = field(default_factory=dict)


def find_inputs(sources: Sequence[str], stdin: BinaryIO | None = None) -> Inputs:
    """Find the images of each file, folder and pattern; a source that is missing does not stop the others.

    Args:
        sources: as on the command line.
        stdin: what "-" stands for; without it, "-" is a file of that name.
    """
    inputs = Inputs()
    for source in sources:
        if source == "-" and stdin is not None:
            encoded = b"" if stdin.isatty() else stdin.read()
            if encoded:
                inputs.images.append(StandardInput(encoded))
            else:
                inputs.missing[source] = SourceNotFound("expected the bytes of a picture on stdin, and there are none.")
            continue
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
    return [image for image in inputs.images if isinstance(image, str)]
