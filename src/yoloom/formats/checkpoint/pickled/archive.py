"""The zip archive around a checkpoint, read in place and strictly: only the form that torch writes.

Layout, each part found from the one after it: members | central directory | zip64 records (optional) | end record.
Format: https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT, sections 4.3 and 4.4.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass

from yoloom.errors import InvalidModel, UnsupportedModel

_END = struct.Struct("<4s4H2IH")  # section 4.3.16
_LOCATOR = struct.Struct("<4sIQI")  # 4.3.15
_END64 = struct.Struct("<4sQ2H2I4Q")  # 4.3.14
_ENTRY = struct.Struct("<4s6H3I5H2I")  # 4.3.12
_LOCAL = struct.Struct("<4s5H3I2H")  # 4.3.7

_STORED, _HAS_DESCRIPTOR, _UTF8 = 0, 0x0008, 0x0800
_MAX_BYTES = 2**32 - 1
_MAX_NAME_BYTES = 1000
_MAX_MEMBERS = 20_000  # a guess with room: the largest networks have 1500 storages, with their optimizer 5000


@dataclass(frozen=True)
class Member:
    """A file in the archive. Immutable.

    Thread safety: any number of threads.

    Attributes:
        name: its name, with folders.
        content: its bytes, mapped and not read.
        crc: their CRC-32; 0 where the writer computed none.
    """

    name: str
    content: memoryview
    crc: int

    def checked(self) -> memoryview:
        """Read the content through once, and return it.

        Raises:
            InvalidModel: it does not match its checksum.
        """
        if self.crc and zlib.crc32(self.content) != self.crc:
            raise InvalidModel(f"{self.name} in it is damaged. Copy or download the file again.")
        return self.content


@dataclass(frozen=True)
class _Entry:
    """A member's entry in the central directory."""

    name: str
    flags: int
    method: int
    crc: int
    size: int
    start: int  # of the local header


def read_archive(data: memoryview) -> Mapping[str, Member]:
    """Read the headers of a checkpoint's archive.

    Args:
        data: the whole file.

    Returns:
        The members by their names below the archive's one top folder, such as "data.pkl" and "data/0".

    Raises:
        InvalidModel: the archive is cut short, inconsistent or not from torch.
        UnsupportedModel: it is too large, or a TorchScript program.
    """
    count, start, end = _directory(data)
    entries = _entries(data, count, start, end)
    folders = {entry.name.partition("/")[0] + "/" for entry in entries}
    names = {entry.name.partition("/")[2] for entry in entries}
    # Before anything is looked at closely: it compresses its code, which no checkpoint does.
    if "constants.pkl" in names or any(name.startswith("code/") for name in names):
        raise UnsupportedModel("a TorchScript archive: it is a program. Give the checkpoint (.pt) it was made from.")
    contents: dict[str, memoryview] = {}
    # From the last member to the first: each must end where the next one starts, or before. None shares a byte with
    # another or with the directory, so the members together are no larger than the file ("zip bombs" overlap theirs).
    limit = start
    for entry in sorted(entries, key=lambda entry: entry.start, reverse=True):
        contents[entry.name] = _content(data, entry, limit)
        limit = entry.start
    if len(folders) != 1 or "data.pkl" not in names:
        raise InvalidModel("a zip archive, but not one of torch: data.pkl is missing.")
    folder = folders.pop()
    return {entry.name[len(folder) :]: Member(entry.name, contents[entry.name], entry.crc) for entry in entries}


def _damaged(reason: str) -> InvalidModel:
    return InvalidModel(f"{reason}: the file is damaged or cut short. Copy or download it again.")


def _directory(data: memoryview) -> tuple[int, int, int]:
    """Find the central directory: the number of its entries, its start and its end, out of the records at the end."""
    if len(data) > _MAX_BYTES:
        raise UnsupportedModel("a checkpoint of 4 GiB or more.")
    at = len(data) - _END.size
    if at < 0:
        raise _damaged("it ends early")
    signature, disk, first_disk, here, count, size, start, comment = _END.unpack_from(data, at)
    if signature != b"PK\5\6" or comment:  # a comment could hold a second end record, for other readers to find
        raise _damaged("it does not end as a zip archive does")
    if count > _MAX_MEMBERS:
        raise UnsupportedModel(f"its archive has {count} members, more than the {_MAX_MEMBERS} of any checkpoint.")
    at64 = at - _LOCATOR.size - _END64.size
    if at64 >= 0 and bytes(data[at - _LOCATOR.size : at - _LOCATOR.size + 4]) == b"PK\6\7":
        # The zip64 records, which torch writes always: they must say the same as the end record.
        _, _, located, _ = _LOCATOR.unpack_from(data, at64 + _END64.size)
        signature, _, _, _, _, _, *counts = _END64.unpack_from(data, at64)
        if signature != b"PK\6\6" or located != at64 or counts != [count, count, size, start]:
            raise _damaged("the records at its end contradict each other")
        at = at64
    if disk or first_disk or here != count or start + size != at:
        raise _damaged("the end of its archive contradicts itself")
    return count, start, start + size


def _entries(data: memoryview, count: int, at: int, end: int) -> list[_Entry]:
    """Read the central directory between `at` and `end`, and check its names."""
    entries: dict[str, _Entry] = {}
    try:
        for _ in range(count):
            signature, _, _, flags, method, _, _, crc, packed, size, *lengths, _, _, _, start = _ENTRY.unpack_from(
                data, at
            )
            name_at, name_end = at + _ENTRY.size, at + _ENTRY.size + lengths[0]
            at = name_end + lengths[1] + lengths[2]  # the extra field and the comment
            is_whole = packed == size or method != _STORED
            if signature != b"PK\1\2" or not is_whole or lengths[0] > _MAX_NAME_BYTES or at > end:
                raise _damaged("its directory contradicts itself")
            name = str(data[name_at:name_end], "utf-8")
            if name in entries:
                raise InvalidModel(f"two members of it are called {name!r}.")
            if not {"", ".", ".."}.isdisjoint(name.split("/")) or any(mark in name for mark in "\\\0"):
                raise InvalidModel(f"a member of it has the name {name[:100]!r}, which torch does not write.")
            entries[name] = _Entry(name, flags, method, crc, size, start)
    except (struct.error, UnicodeDecodeError) as error:
        raise _damaged("its directory can not be read") from error
    if at != end:
        raise _damaged("its directory has another size than it says")
    return list(entries.values())


def _content(data: memoryview, entry: _Entry, limit: int) -> memoryview:
    """The bytes of one member, whose local header must say what its entry says, and which must end before `limit`."""
    if entry.method != _STORED or entry.flags & ~(_HAS_DESCRIPTOR | _UTF8):
        raise InvalidModel(f"{entry.name} in it is compressed or encrypted, which torch does not do: save it again.")
    if entry.start + _LOCAL.size > limit:
        raise _damaged(f"{entry.name} overlaps with what follows it")
    signature, _, flags, method, _, _, crc, packed, size, name, extra = _LOCAL.unpack_from(data, entry.start)
    name_at = entry.start + _LOCAL.size
    at = name_at + name + extra
    # With a descriptor, the sizes stand behind the content and the local header has zeros.
    sizes = {(entry.crc, entry.size, entry.size)} | ({(0, 0, 0)} if flags & _HAS_DESCRIPTOR else set())
    if signature != b"PK\3\4" or (flags, method) != (entry.flags, entry.method) or (crc, packed, size) not in sizes:
        raise _damaged(f"the two headers of {entry.name} contradict each other")
    if bytes(data[name_at : name_at + name]) != entry.name.encode():
        raise _damaged(f"the two headers of {entry.name} have two names")
    if at + entry.size > limit:
        raise _damaged(f"{entry.name} overlaps with what follows it")
    return data[at : at + entry.size]
