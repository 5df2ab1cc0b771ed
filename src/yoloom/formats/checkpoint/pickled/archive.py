"""The zip archive around a checkpoint, read in place and strictly: what torch writes, and nothing else.

Layout, each part found from the one after it: members | central directory | zip64 records (optional) | end record.
Format: https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT, sections 4.3 and 4.4.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from yoloom.errors import InvalidModel, UnsupportedModel

_END = struct.Struct("<4s4H2IH")
_END64 = struct.Struct("<4sQ2H2I4Q")
_LOCATOR = struct.Struct("<4sIQI")
_ENTRY = struct.Struct("<4s6H3I5H2I")
_LOCAL = struct.Struct("<4s5H3I2H")

_STORED, _HAS_DESCRIPTOR, _UTF8 = 0, 0x0008, 0x0800
_MAX_BYTES = 2**32 - 1
_MAX_NAME_BYTES = 1000
_MAX_MEMBERS = 20_000  # a guess with room: the largest networks have 1500 storages, with their optimizer 5000


@dataclass(frozen=True)
class Member:
    """One file in the archive: its bytes, mapped and not read, and their checksum (0: nobody computed it)."""

    name: str
    content: memoryview
    crc: int

    def checked(self) -> memoryview:
        """The content, read through once. Raises InvalidModel when it does not match its checksum."""
        if self.crc and zlib.crc32(self.content) != self.crc:
            raise InvalidModel(f"{self.name} in it is damaged. Copy or download the file again.")
        return self.content


@dataclass(frozen=True)
class _Entry:
    """What the central directory says of one member."""

    name: str
    flags: int
    method: int
    crc: int
    size: int
    start: int  # of the local header


def read_archive(data: memoryview) -> Mapping[str, Member]:
    """The members of a checkpoint by their names below its top folder, such as "data.pkl" and "data/0".

    Raises InvalidModel for an archive that is cut short, inconsistent or not from torch, UnsupportedModel for other
    kinds of archives. Reads the headers only.
    """
    try:
        entries = list(_entries(data))
    except (struct.error, UnicodeDecodeError) as error:
        raise _damaged("its directory can not be read") from error
    _check_names(entries)
    members = {entry.name: member for entry, member in zip(entries, _members(data, entries), strict=True)}
    folder = _top_folder(members)
    return {name[len(folder) :]: member for name, member in members.items()}


def _damaged(what: str) -> InvalidModel:
    return InvalidModel(f"{what}: the file is damaged or cut short. Copy or download it again.")


def _entries(data: memoryview) -> Iterator[_Entry]:
    count, at, end = _directory(data)
    for _ in range(count):
        signature, _, _, flags, method, _, _, crc, packed, size, *lengths, _, _, _, start = _ENTRY.unpack_from(data, at)
        name_at, name_end = at + _ENTRY.size, at + _ENTRY.size + lengths[0]
        at = name_end + lengths[1] + lengths[2]
        if signature != b"PK\1\2" or packed != size or lengths[0] > _MAX_NAME_BYTES or at > end:
            raise _damaged("its directory contradicts itself")
        yield _Entry(str(data[name_at:name_end], "utf-8"), flags, method, crc, size, start)
    if at != end:
        raise _damaged("its directory has another size than it says")


def _directory(data: memoryview) -> tuple[int, int, int]:
    """The number of entries, and where the central directory starts and ends."""
    if len(data) > _MAX_BYTES:
        raise UnsupportedModel("a checkpoint of 4 GiB or more.")
    at = len(data) - _END.size
    if at < 0:
        raise _damaged("it ends early")
    signature, disk, first_disk, here, count, size, start, comment = _END.unpack_from(data, at)
    if signature != b"PK\5\6" or comment:
        raise _damaged("it does not end as a zip archive does")
    end = start + size
    if count > _MAX_MEMBERS:
        raise UnsupportedModel(f"its archive has {count} members, more than the {_MAX_MEMBERS} of any checkpoint.")
    if disk or first_disk or here != count or end != at - _zip64_size(data, at, (count, size, start)):
        raise _damaged("the end of its archive contradicts itself")
    return count, start, end


def _zip64_size(data: memoryview, end: int, said: tuple[int, int, int]) -> int:
    """The size of the zip64 records before `end`, which torch writes always, and which must say the same."""
    at = end - _LOCATOR.size - _END64.size
    if at < 0 or bytes(data[end - _LOCATOR.size : end - _LOCATOR.size + 4]) != b"PK\6\7":
        return 0
    _, _, located, _ = _LOCATOR.unpack_from(data, at + _END64.size)
    signature, _, _, _, _, _, here, *rest = _END64.unpack_from(data, at)
    if signature != b"PK\6\6" or located != at or here != said[0] or tuple(rest) != said:
        raise _damaged("the records at its end contradict each other")
    return end - at


def _check_names(entries: list[_Entry]) -> None:
    seen: set[str] = set()
    for entry in entries:
        parts = entry.name.split("/")
        if entry.name in seen:
            raise InvalidModel(f"two members of it are called {entry.name!r}.")
        if not {"", ".", ".."}.isdisjoint(parts) or any(mark in entry.name for mark in "\\\0"):
            raise InvalidModel(f"a member of it has the name {entry.name[:100]!r}, which torch does not write.")
        seen.add(entry.name)


def _members(data: memoryview, entries: list[_Entry]) -> Iterator[Member]:
    """In the order of `entries`. None shares a byte with another or with the directory."""
    _, limit, _ = _directory(data)
    content: dict[str, memoryview] = {}
    for entry in sorted(entries, key=lambda entry: entry.start, reverse=True):
        content[entry.name] = _content(data, entry, limit)
        limit = entry.start
    return (Member(entry.name, content[entry.name], entry.crc) for entry in entries)


def _content(data: memoryview, entry: _Entry, limit: int) -> memoryview:
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
    if method != _STORED or flags & ~(_HAS_DESCRIPTOR | _UTF8):
        raise InvalidModel(f"{entry.name} in it is compressed or encrypted, which torch does not do: save it again.")
    return data[at : at + entry.size]


def _top_folder(members: Mapping[str, Member]) -> str:
    folders = {name.partition("/")[0] + "/" for name in members}
    names = {name.partition("/")[2] for name in members}
    if "constants.pkl" in names or any(name.startswith("code/") for name in names):
        raise UnsupportedModel("a TorchScript archive: it is a program. Give the checkpoint (.pt) it was made from.")
    if len(folders) != 1 or "data.pkl" not in names:
        raise InvalidModel("a zip archive, but not one of torch: data.pkl is missing.")
    return folders.pop()
