"""Coverage-guided fuzzing of the checkpoint reader: it may end in a checkpoint or in a ModelError, and soon.

    pip install atheris
    python tools/fuzz_checkpoint.py CORPUS_FOLDER -max_total_time=600 -rss_limit_mb=1024

The folder is filled with seeds at first, and with what reaches new code from then on. Other arguments are libFuzzer's.
The first byte of an input says what the others are: a whole file, or a pickle to be put into a sound archive, so that
the archive's checksums do not keep the fuzzer away from it. Time is counted in seconds of the processor, so that a busy
machine does not look like a slow input.
"""

from __future__ import annotations

import struct
import sys
import time
from pathlib import Path

import atheris

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "support"))

with atheris.instrument_imports(include=["yoloom.formats.checkpoint"]):
    from checkpoint_corpus import corpus
    from checkpoint_writer import STORAGES, archive, network
    from checkpoint_writer import checkpoint as checkpoint_file
    from yoloom.errors import ModelError
    from yoloom.formats.checkpoint.parse import parse_checkpoint
    from yoloom.formats.checkpoint.pickled.archive import read_archive

FILE, PICKLE = b"F", b"P"
MAX_SEED_BYTES = 20_000
MAX_SECONDS = 2.0


def run_one(data: bytes) -> None:
    """Read one input, as a file or as the pickle of a sound archive.

    Raises:
        ValueError: the message of the error has no end.
        TimeoutError: it took too long.
    """
    started = time.process_time()
    file = archive(data[1:], STORAGES) if data[:1] == PICKLE else data[1:]
    try:
        checkpoint = parse_checkpoint(memoryview(file))
        for _, module in checkpoint.module.walk():
            for tensor in module.parameters.values():
                tensor.numpy()
    except ModelError as error:
        if len(str(error)) > 1000:
            raise ValueError("a message without end") from error
    if time.process_time() - started > MAX_SECONDS:
        raise TimeoutError(f"took more than {MAX_SECONDS} s")


def write_seeds(folder: Path) -> None:
    """Write the sound and the hostile files of the tests, as files and as pickles."""
    folder.mkdir(parents=True, exist_ok=True)
    files = [checkpoint_file(network()), *(path.read_bytes() for path in (ROOT / "tests/data").glob("*.pt"))]
    files += [data for cases in corpus().values() for data, _ in cases.values()]
    for index, file in enumerate(files):
        for kind, seed in ((FILE, file), (PICKLE, _pickle(file))):
            if seed and len(seed) < MAX_SEED_BYTES:
                (folder / f"seed-{index:05}-{kind.decode()}").write_bytes(kind + seed)


def _pickle(file: bytes) -> bytes:
    try:
        return bytes(read_archive(memoryview(file))["data.pkl"].content)
    except (ModelError, struct.error):
        return b""


def main() -> None:
    """Run libFuzzer with the arguments of the command line."""
    folders = [Path(argument) for argument in sys.argv[1:] if not argument.startswith("-")]
    if folders and not folders[0].exists():
        write_seeds(folders[0])
    atheris.Setup(sys.argv, run_one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
