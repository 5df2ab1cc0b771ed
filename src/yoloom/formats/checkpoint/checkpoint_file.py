"""The file of a checkpoint as bytes, before anything in it is read.

Apart from `parse.py`, because a process that finds its checkpoints converted needs this and not the reader.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from yoloom.errors import InvalidModel, ModelError, ModelNotFound, UnsupportedModel
from yoloom.formats.protobuf import mapped

CONVERTER = 1
"""The version of the conversion: raise it when the same checkpoint becomes another network.

The key of a converted file in the cache holds it, so that no file of an earlier conversion is taken for a new one.
"""

_RESAVE = 'Load it where Ultralytics is installed and save it again: YOLO("old.pt").save("new.pt").'
_LEGACY = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."  # the pickled magic number of torch.save before 1.6
_OTHER_KINDS: tuple[tuple[bytes, type[ModelError], str], ...] = (
    (_LEGACY, UnsupportedModel, f"in the format of PyTorch before 1.6. {_RESAVE}"),
    (b"\x80", UnsupportedModel, f"a plain pickle, not an archive of torch.save. {_RESAVE}"),
    (b"PK", InvalidModel, "an empty or damaged zip archive. Copy or download it again."),
    (b"version https://git-lfs", InvalidModel, "a Git LFS pointer instead of the file. Fetch it: git lfs pull"),
    (b"<", InvalidModel, "a web page instead of the file. Download it again."),
    (b"", InvalidModel, "not a PyTorch checkpoint: expected a zip archive as torch.save writes it."),
)
"""First bytes → the error for a file that begins with them. The first match counts, and the last row matches all."""


def check_kind(data: memoryview) -> None:
    """Check that a file begins as a zip archive does, which `torch.save` writes.

    Raises:
        InvalidModel: it does not; the message says what the file is.
        UnsupportedModel: it is an older kind of checkpoint.
    """
    start = bytes(data[:32])
    if not start.startswith(b"PK\3\4"):
        error, reason = next((error, reason) for mark, error, reason in _OTHER_KINDS if start.startswith(mark))
        raise error(reason)


def mapped_checkpoint(path: Path) -> memoryview:
    """Map the bytes of the file: they are read when they are looked at.

    Raises:
        ModelNotFound: there is no such file.
        InvalidModel: it is a folder, is empty, or can not be read.
    """
    try:
        if path.is_dir():
            raise InvalidModel("a folder, expected a checkpoint file (.pt).")
        if not path.is_file():  # a pipe or a device would be read for ever
            raise ModelNotFound(f"no such model: {path}")
        if path.stat().st_size == 0:
            raise InvalidModel("the file is empty. Copy or download it again.")
        return mapped(path)
    except ModelError:
        raise
    except (OSError, ValueError) as error:  # a name that is too long or holds a NUL, a file that just shrank
        # Without the path, which is the caller's to say: one of 5,000 characters would push the reason out of sight.
        raise InvalidModel(f"it can not be read: {getattr(error, 'strerror', None) or error}") from error


@contextmanager
def errors_about(path: Path) -> Iterator[None]:
    """Put the path in front of the message of each ModelError that is raised inside."""
    try:
        yield
    except ModelNotFound:  # names the path itself
        raise
    except ModelError as error:
        raise type(error)(f"{path}: {error}") from error
