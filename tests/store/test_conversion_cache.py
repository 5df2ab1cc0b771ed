"""The folder of converted checkpoints: what is found in it is sound, or it is not found."""

from __future__ import annotations

import hashlib
import logging
import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from yoloom.errors import InvalidModel, InvalidOption
from yoloom.store.conversion_cache import DEFAULT_LIMIT_BYTES, ConversionCache, Write, conversion_cache
from yoloom.testing import barrier_run

KEYS = [hashlib.sha256(bytes([number])).hexdigest() for number in range(5)]
SEAL_BYTES = 4 + 96 + 32 + 32


def content(number: int) -> bytes:
    return bytes([number]) * 1000


def producing(data: bytes) -> Callable[[Write], None]:
    def produce(write: Write) -> None:
        write(data[:10])
        write(memoryview(data)[10:])

    return produce


@pytest.fixture
def cache(tmp_path: Path) -> ConversionCache:
    return ConversionCache(tmp_path / "deep" / "cache", 10_000)


def stored(cache: ConversionCache, number: int, key: str | None = None) -> Path:
    path = cache.store(key or KEYS[number], f"{number}.pt", producing(content(number)))
    assert path is not None
    return path


def test_what_is_stored_is_found_with_its_seal_behind_it(cache: ConversionCache) -> None:
    path = stored(cache, 1)
    assert cache.find(KEYS[1]) == path
    assert path.read_bytes()[:1000] == content(1)
    assert path.stat().st_size == 1000 + SEAL_BYTES
    assert cache.find(KEYS[2]) is None
    assert [file.name for file in cache.folder.iterdir()] == [path.name]


def test_a_folder_that_is_not_there_is_an_empty_cache(cache: ConversionCache) -> None:
    assert cache.find(KEYS[0]) is None
    assert cache.entries() == cache.clear() == []
    assert not cache.folder.exists()


@pytest.mark.parametrize("length", [0, 1, 63, SEAL_BYTES - 1, SEAL_BYTES, 500, 1000, 1000 + SEAL_BYTES - 1])
def test_a_torn_entry_is_removed_and_not_found(
    cache: ConversionCache, length: int, caplog: pytest.LogCaptureFixture
) -> None:
    path = stored(cache, 1)
    path.write_bytes(path.read_bytes()[:length])
    with caplog.at_level(logging.WARNING):
        assert cache.find(KEYS[1]) is None
    assert "is damaged" in caplog.text
    assert not path.exists()


@pytest.mark.parametrize("at", [0, 500, 999, 1004, -97, -64, -33, -32, -1])
def test_one_wrong_bit_is_noticed(cache: ConversionCache, at: int) -> None:
    path = stored(cache, 1)
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)
    assert cache.find(KEYS[1]) is None


def test_a_longer_file_is_noticed(cache: ConversionCache) -> None:
    path = stored(cache, 1)
    path.write_bytes(path.read_bytes() + b"\0")
    assert cache.find(KEYS[1]) is None


def test_the_sound_entry_of_another_model_is_noticed(cache: ConversionCache) -> None:
    mine, other = stored(cache, 1), stored(cache, 2)
    mine.write_bytes(other.read_bytes())
    assert cache.find(KEYS[1]) is None
    assert cache.find(KEYS[2]) == other


def test_the_least_recently_used_go_first(tmp_path: Path) -> None:
    cache = ConversionCache(tmp_path, 3 * (1000 + SEAL_BYTES))
    paths = [stored(cache, number) for number in range(3)]
    for age, path in zip((30, 20, 10), paths, strict=True):
        os.utime(path, (time.time() - age,) * 2)
    cache.find(KEYS[0])  # the oldest is used again
    stored(cache, 3)
    assert [entry.name for entry in cache.entries()] == ["3.pt", "0.pt", "2.pt"]
    stored(cache, 4)
    assert {entry.name for entry in cache.entries()} == {"4.pt", "3.pt", "0.pt"}


def test_the_newest_stays_when_the_others_do_not_make_enough_room(tmp_path: Path) -> None:
    cache = ConversionCache(tmp_path, 1000 + SEAL_BYTES)
    first, second = stored(cache, 0), stored(cache, 1)
    assert (first.exists(), second.exists()) == (False, True)


def test_what_is_larger_than_the_whole_cache_is_not_kept(tmp_path: Path) -> None:
    for limit in (0, 1, 1000 + SEAL_BYTES - 1):
        cache = ConversionCache(tmp_path, limit)
        assert cache.store(KEYS[0], "big.pt", producing(content(0))) is None
        assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "error", [InvalidModel("contradicts itself"), OSError(28, "No space left"), KeyboardInterrupt()]
)
def test_a_conversion_that_fails_half_way_leaves_nothing(cache: ConversionCache, error: BaseException) -> None:
    def produce(write: Write) -> None:
        write(content(0))
        raise error

    with pytest.raises(type(error)):
        cache.store(KEYS[0], "a.pt", produce)
    assert list(cache.folder.iterdir()) == []


def test_parts_of_writers_that_are_gone_are_removed(cache: ConversionCache) -> None:
    stored(cache, 0)
    old, fresh = cache.folder / ".old.part", cache.folder / ".fresh.part"
    for part in (old, fresh):
        part.touch()
    os.utime(old, (time.time() - 7200,) * 2)
    stored(cache, 1)
    assert (old.exists(), fresh.exists()) == (False, True)
    assert {entry.name for entry in cache.clear()} == {"0.pt", "1.pt"}
    assert list(cache.folder.iterdir()) == []


def test_nothing_behind_a_link_is_listed_written_or_removed(tmp_path: Path) -> None:
    """Seen to remove a user's own models, by `clear` and by making room for the next conversion."""
    behind = tmp_path / "models"
    behind.mkdir()
    mine = (behind / "mine.onnx", behind / f"{KEYS[0]}.onnx", behind / ".mine.part")
    for path in mine:
        path.write_bytes(content(1))
    os.utime(mine[2], (time.time() - 7200,) * 2)
    (tmp_path / "converted").symlink_to(behind)
    cache = ConversionCache(tmp_path / "converted", 1000 + SEAL_BYTES)
    assert cache.entries() == cache.clear() == []
    with pytest.raises(OSError, match="symbolic link"):
        stored(cache, 1)
    assert cache.find(KEYS[0]) is None, "and what is not sound there is not removed"
    assert sorted(behind.iterdir()) == sorted(mine)


def test_a_link_among_the_entries_is_none_of_them(cache: ConversionCache, tmp_path: Path) -> None:
    stored(cache, 0)
    (tmp_path / "mine.onnx").write_bytes(content(1))
    (cache.folder / "mine.onnx").symlink_to(tmp_path / "mine.onnx")
    assert [entry.name for entry in cache.clear()] == ["0.pt"]
    assert (cache.folder / "mine.onnx").read_bytes() == content(1)


@pytest.mark.slow
def test_any_number_may_write_and_clear_at_once(cache: ConversionCache) -> None:
    """A reader finds a whole entry or none. Seen to fail when entries are written under their own name."""

    def slowly(write: Write) -> None:
        for part in range(0, 1000, 100):
            write(content(0)[part : part + 100])
            time.sleep(0.001)

    def race(index: int) -> list[bytes]:
        seen = []
        for turn in range(20):
            if index % 4 == 3 and turn % 4 == 3:
                cache.clear()
            # Cleared before it got its name, or between being found and being read.
            with suppress(FileNotFoundError):
                if index % 2:
                    cache.store(KEYS[0], "0.pt", slowly)
                seen += [found.read_bytes()[:1000] for _ in range(5) if (found := cache.find(KEYS[0]))]
        return seen

    assert {data for found in barrier_run(8, race) for data in found} == {content(0)}


@pytest.mark.parametrize("name", ["", "modèle.pt", "x" * 500, "\udc80.pt"])
def test_any_name_can_be_noted(cache: ConversionCache, name: str) -> None:
    cache.store(KEYS[0], name, producing(content(0)))
    (entry,) = cache.entries()
    assert entry.name == name.encode(errors="replace")[:96].decode(errors="replace")
    assert cache.find(KEYS[0]) == entry.path


def test_its_place_and_limit_are_read_at_each_call(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("YOLOOM_CACHE", str(tmp_path))
    monkeypatch.delenv("YOLOOM_CACHE_BYTES", raising=False)
    assert conversion_cache() == ConversionCache(tmp_path / "converted", DEFAULT_LIMIT_BYTES)
    monkeypatch.setenv("YOLOOM_CACHE_BYTES", "123")
    assert conversion_cache() == ConversionCache(tmp_path / "converted", 123)
    monkeypatch.setenv("YOLOOM_CACHE_BYTES", "2 GiB")
    with pytest.raises(InvalidOption, match="whole number of bytes, got '2 GiB'"):
        conversion_cache()


def test_without_a_home_folder_there_is_no_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("YOLOOM_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    assert conversion_cache() is None
