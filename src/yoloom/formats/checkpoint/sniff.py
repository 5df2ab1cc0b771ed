"""What a file is that should be a checkpoint and does not begin as one."""

from __future__ import annotations

from yoloom.errors import InvalidModel, ModelError, UnsupportedModel

_ZIP = b"PK\3\4"
_LEGACY = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."
_RESAVE = 'Load it where Ultralytics is installed and save it again: YOLO("old.pt").save("new.pt").'
_KINDS: tuple[tuple[bytes, type[ModelError], str], ...] = (
    (_LEGACY, UnsupportedModel, f"in the format of PyTorch before 1.6. {_RESAVE}"),
    (b"\x80", UnsupportedModel, f"a plain pickle, not an archive of torch.save. {_RESAVE}"),
    (b"PK", InvalidModel, "an empty or damaged zip archive. Copy or download it again."),
    (b"version https://git-lfs", InvalidModel, "a Git LFS pointer instead of the file. Fetch it: git lfs pull"),
    (b"<", InvalidModel, "a web page instead of the file. Download it again."),
    (b"", InvalidModel, "no PyTorch checkpoint: expected a zip archive as torch.save writes it."),
)


def check_kind(data: memoryview) -> None:
    """Returns when `data` begins as a zip archive. Raises InvalidModel or UnsupportedModel with what it is."""
    start = bytes(data[:32])
    if start.startswith(_ZIP):
        return
    kind, reason = next((kind, reason) for mark, kind, reason in _KINDS if start.startswith(mark))
    raise kind(reason)
