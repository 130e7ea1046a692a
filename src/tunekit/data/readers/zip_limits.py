"""Zip archives from strangers: what they may unpack to. Knows the zip format and its tricks; not what members mean.

What an archive declares is checked before anything is unpacked, and what really comes out while it is. Layout after
PKWARE's APPNOTE 6.3.10, sections 4.3 and 4.4.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, NoReturn

from tunekit.data.wording import brief
from tunekit.errors import DataError

MAX_UNPACKED_BYTES = 1 << 30
"""Of all members together. A workbook full to Excel's last row (1,048,576) with ten columns of numbers has 600 MB."""

MAX_RATIO = 100
"""Unpacked against packed, beyond `FREE_BYTES`. Real sheets reach 20; Apache POI draws the same line."""

FREE_BYTES = 1 << 20
"""A member that unpacks to less is let through at any ratio: it cannot hurt, and blank style sheets pack very well."""

MAX_DIRECTORY_BYTES = 1 << 20
"""Of the list of members: room for ten thousand, where a large workbook has a hundred."""

CHUNK_BYTES = 1 << 20
"""Unpacked at once."""

_FIRST_BYTES = 4 << 10  # a look at the beginning, before the rest

_END = struct.Struct("<4s4H2LH")
_END_64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR_64 = struct.Struct("<4sLQL")
_ENTRY = struct.Struct("<4s6H3L5H2L")
_LOCAL = struct.Struct("<4s5H3L2H")
_STORED, _DEFLATED = 0, 8
_IN_EXTRA_FIELD = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class Member:
    """One file of an archive, as the archive declares it; sizes in bytes."""

    name: str
    start: int
    packed: int
    unpacked: int
    deflated: bool


def members(file: IO[bytes]) -> tuple[Member, ...]:
    """What the archive declares to hold, within the limits.

    The list must end where the file ends. Looser rules make readers disagree about what an archive holds, and then
    what was checked is not what is read.

    Raises:
        DataError: It declares too much, is encrypted, or is damaged.
    """
    found = tuple(_entries(_directory(file)))
    size = file.seek(0, io.SEEK_END)
    for member in found:
        if member.start + member.packed > size:
            _refuse_damage(f"the member {brief(member.name)} lies beyond the end")
        if member.unpacked > FREE_BYTES and member.unpacked > MAX_RATIO * member.packed:
            _refuse_expansion(member, f"more than {MAX_RATIO} times its {member.packed:,} packed bytes")
    total = sum(member.unpacked for member in found)
    if total > MAX_UNPACKED_BYTES:
        raise DataError(
            f"the archive unpacks to {total:,} bytes, and {MAX_UNPACKED_BYTES:,} is the most that is read",
            hint="split it into smaller files, or save the data as CSV, which is read row by row",
        )
    return found


def chunks(file: IO[bytes], member: Member) -> Iterator[bytes]:
    """The member's bytes, at most 1 MB at once; all of them, and no more than it declared.

    Raises:
        DataError: It is damaged, or goes on after its declared size.
    """
    inflate = zlib.decompressobj(-zlib.MAX_WBITS) if member.deflated else None
    given = 0
    for packed in _packed(file, member):
        while packed:
            try:
                data = inflate.decompress(packed, CHUNK_BYTES) if inflate else packed
            except zlib.error:
                _refuse_damage(f"the member {brief(member.name)} cannot be unpacked")
            given += len(data)
            if given > member.unpacked:
                _refuse_expansion(member, "and goes on after that")
            if data:
                yield data
            packed = inflate.unconsumed_tail if inflate else b""
    if given < member.unpacked or (inflate and not inflate.eof):
        _refuse_damage(f"the member {brief(member.name)} breaks off")


def _packed(file: IO[bytes], member: Member) -> Iterator[bytes]:
    header = _read(file, member.start, _LOCAL.size)
    signature, *_, name_bytes, extra_bytes = _LOCAL.unpack(header)
    if signature != b"PK\3\4":
        _refuse_damage(f"the member {brief(member.name)} is not where the archive says")
    file.seek(member.start + _LOCAL.size + name_bytes + extra_bytes)
    left, size = member.packed, _FIRST_BYTES
    while left:
        data = file.read(min(left, size))
        size = CHUNK_BYTES // 8
        if not data:
            return
        left -= len(data)
        yield data


def _directory(file: IO[bytes]) -> bytes:
    """The bytes of the list of members."""
    size = file.seek(0, io.SEEK_END)
    if size < _END.size:
        _refuse_damage("the file is too short for a zip archive")
    end = size - _END.size
    signature, *_, length, start, comment = _END.unpack(_read(file, end, _END.size))
    if signature != b"PK\5\6" or comment:
        _refuse_damage("the file does not end where a zip archive ends")
    locator_at = end - _LOCATOR_64.size
    if locator_at >= 0 and (locator := _read(file, locator_at, _LOCATOR_64.size)).startswith(b"PK\6\7"):
        end = _LOCATOR_64.unpack(locator)[2]
        if not 0 <= end <= locator_at - _END_64.size:
            _refuse_damage("the list of members is not where the archive says")
        signature, *_, length, start = _END_64.unpack(_read(file, end, _END_64.size))
        if signature != b"PK\6\6":
            _refuse_damage("the list of members is not where the archive says")
    if start + length != end:
        _refuse_damage("the list of members is not where the archive says")
    if length > MAX_DIRECTORY_BYTES:
        raise DataError(
            f"the archive's list of members takes {length:,} bytes, and {MAX_DIRECTORY_BYTES:,} is the most",
            hint="no workbook has so many parts; look at what wrote it",
        )
    return _read(file, start, length)


def _entries(directory: bytes) -> Iterator[Member]:
    at = 0
    while at < len(directory):
        try:
            fields = _ENTRY.unpack_from(directory, at)
        except struct.error:
            _refuse_damage("the list of members breaks off")
        signature, _, _, flags, method, _, _, _, packed, unpacked = fields[:10]
        name_bytes, extra_bytes, comment_bytes, start = *fields[10:13], fields[16]
        if signature != b"PK\1\2":
            _refuse_damage("the list of members is broken")
        at += _ENTRY.size
        name = directory[at : at + name_bytes].decode("utf-8", "replace")
        extra = directory[at + name_bytes : at + name_bytes + extra_bytes]
        at += name_bytes + extra_bytes + comment_bytes
        if flags & 1:
            raise DataError(
                f"the member {brief(name)} is encrypted", hint="save the file again without a password"
            )
        if method not in (_STORED, _DEFLATED):
            raise DataError(
                f"the member {brief(name)} is packed with method {method}; zip files of offices use 0 or 8",
                hint="save it again with the program that made it",
            )
        unpacked, packed, start = _wide(extra, unpacked, packed, start)
        yield Member(name, start, packed, unpacked, method == _DEFLATED)


def _wide(extra: bytes, *sizes: int) -> Iterator[int]:
    """The sizes, those with the value that stands for "in the extra field" from there (APPNOTE 4.5.3)."""
    numbers: list[int] = []
    while len(extra) >= 4:
        kind, length = struct.unpack_from("<2H", extra)
        if kind == 1 and not numbers:
            body = extra[4 : 4 + length]
            numbers = list(struct.unpack_from(f"<{len(body) // 8}Q", body))
        extra = extra[4 + length :]
    for size in sizes:
        if size != _IN_EXTRA_FIELD:
            yield size
        elif numbers:
            yield numbers.pop(0)
        else:
            _refuse_damage("the list of members is broken")


def _read(file: IO[bytes], start: int, length: int) -> bytes:
    file.seek(start)
    data = file.read(length)
    if len(data) < length:
        _refuse_damage("the archive breaks off")
    return data


def _refuse_expansion(member: Member, why: str) -> NoReturn:
    raise DataError(
        f"the member {brief(member.name)} unpacks to {member.unpacked:,} bytes, {why}",
        hint="an archive built to exhaust memory looks like this; if you trust it, save the data as CSV",
    )


def _refuse_damage(what: str) -> NoReturn:
    raise DataError(f"a damaged zip archive: {what}", hint="copy or download the file again")
