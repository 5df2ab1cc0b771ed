"""From the file of a checkpoint to the `Checkpoint` in it.

```
file ─▶ checkpoint_file ─▶ pickled/archive ─▶ pickled/unpickle ─▶ describe ─▶ Checkpoint
        its bytes, mapped  members, mapped    a tree of values    checked
```
"""

from __future__ import annotations

from pathlib import Path

from yoloom.formats.checkpoint.checkpoint_file import check_kind, errors_about, mapped_checkpoint
from yoloom.formats.checkpoint.describe import Checkpoint, describe
from yoloom.formats.checkpoint.pickled.archive import read_archive
from yoloom.formats.checkpoint.pickled.unpickle import unpickle


def read_checkpoint(path: Path) -> Checkpoint:
    """Read an Ultralytics `.pt` as data: nothing in it is run, and its weights stay in the file until used.

    Thread safety: any number of threads. The file must keep its length for as long as the weights are used: replace
    it, do not write into it.

    Args:
        path: the file.

    Returns:
        The network with its weights, and what the file says about it.

    Raises:
        ModelNotFound: there is no such file.
        InvalidModel: the file is damaged, contradicts itself or holds no whole network.
        UnsupportedModel: it uses names that do not belong in a checkpoint, or is of another kind.
        UnsupportedTask: yoloom does not know its task.
    """
    with errors_about(path):
        return parse_checkpoint(mapped_checkpoint(path))


def parse_checkpoint(data: memoryview) -> Checkpoint:
    """Parse the bytes of a checkpoint file, as `read_checkpoint` does.

    Args:
        data: the whole file. The tensors of the result are views of it.

    Raises:
        InvalidModel: see `read_checkpoint`.
        UnsupportedModel: see `read_checkpoint`.
        UnsupportedTask: see `read_checkpoint`.
    """
    check_kind(data)
    return describe(unpickle(read_archive(data), len(data)))
