"""OLE compound files, which old office documents are, and new ones under a password ([MS-CFB]): what one holds, and
whether the tables by which it is read are whole."""

import mmap
import struct
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

MARK = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
"""How such a file begins (2.2)."""
HEADER = 512
ENTRY = 128
"""Bytes of an entry of the directory, which lies on a multiple of them; the name in it is UTF-16 (2.6.1)."""
LAST = 0xFFFFFFFA
"""The highest number of a sector (2.1)."""
STREAMS = {
    "EncryptedPackage": "protected",
    "Workbook": "excel",
    "Book": "excel",
    "WordDocument": "an old Word document",
    "PowerPoint Document": "an old PowerPoint presentation",
    "__properties_version1.0": "an Outlook message",
}
"""What a file holds, by the name of a stream in it; the first that is there tells."""


def holds(path: Path) -> str | None:
    """What STREAMS says of a compound file; None for any other file, and one without such a stream."""
    with path.open("rb") as file:
        if file.read(len(MARK)) != MARK:
            return None
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return next((what for name, what in STREAMS.items() if _has_stream(content, name)), None)


def is_whole(path: Path) -> bool:
    """Whether all sectors of the file's tables lie in it: allocation, directory and small allocation (2.3 to 2.6)."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        if len(content) < HEADER:
            return False
        size = 1 << min(struct.unpack_from("<H", content, 30)[0], 20)
        tables = [number for number in struct.unpack_from("<109I", content, 76) if number <= LAST]
        directory, small = struct.unpack_from("<I", content, 48)[0], struct.unpack_from("<I", content, 60)[0]
        if not all(_inside(content, number, size) for number in tables):
            return False
        following = b"".join(content[(number + 1) * size : (number + 2) * size] for number in tables)
        chains = [*_chain(following, directory), *_chain(following, small)]
        return all(_inside(content, number, size) for number in chains)


def stream(path: Path, names: Sequence[str]) -> bytes | None:
    """What the first stream of one of these names holds; None for a file without, or whose tables are not whole."""
    content = path.read_bytes()
    try:
        shift, small_shift = struct.unpack_from("<HH", content, 30)
        size, small_size = 1 << min(shift, 20), 1 << min(small_shift, 20)
        directory, cutoff, small = (struct.unpack_from("<I", content, at)[0] for at in (48, 56, 60))
        following = b"".join(_sectors(content, _tables(content, size), size))
        entries = b"".join(_sectors(content, _chain(following, directory), size))
        found = next((each for name in names if (each := _entry(entries, name)) is not None), None)
        if found is None:
            return None
        start, length = struct.unpack_from("<II", found, 116)
        if length >= cutoff:
            return b"".join(_sectors(content, _chain(following, start), size))[:length]
        root = struct.unpack_from("<I", entries, 116)[0]
        minis = b"".join(_sectors(content, _chain(following, root), size))
        chain = _chain(b"".join(_sectors(content, _chain(following, small), size)), start)
        return b"".join(minis[each * small_size : (each + 1) * small_size] for each in chain)[:length]
    except struct.error:
        return None


def _tables(content: bytes, size: int) -> Iterator[int]:
    """The sectors of the allocation table (2.5): the first are named in the header, others in a chain of sectors."""
    yield from (number for number in struct.unpack_from("<109I", content, 76) if number <= LAST)
    more, seen = struct.unpack_from("<I", content, 68)[0], set[int]()
    while more <= LAST and more not in seen:
        seen.add(more)
        *numbers, more = struct.unpack_from(f"<{size // 4}I", content, (more + 1) * size)
        yield from (number for number in numbers if number <= LAST)


def _sectors(content: bytes, numbers: Iterable[int], size: int) -> Iterator[bytes]:
    return (content[(number + 1) * size : (number + 2) * size] for number in numbers)


def _entry(entries: bytes, name: str) -> bytes | None:
    """The directory's entry of this name."""
    wanted = (name + "\0").encode("utf-16-le")
    each = (entries[at : at + ENTRY] for at in range(0, len(entries), ENTRY))
    return next((entry for entry in each if entry[: len(wanted)] == wanted and entry[64] == len(wanted)), None)


def _inside(content: mmap.mmap, sector: int, size: int) -> bool:
    return (sector + 2) * size <= len(content)


def _chain(following: bytes, sector: int) -> Iterator[int]:
    """The sectors from this one on; a chain that the tables do not know, or that goes round, ends."""
    seen: set[int] = set()
    while sector <= LAST and sector not in seen:
        yield sector
        seen.add(sector)
        if 4 * sector + 4 > len(following):
            return
        sector = struct.unpack_from("<I", following, 4 * sector)[0]


def _has_stream(content: mmap.mmap, name: str) -> bool:
    """Whether a directory entry has this name, its length in bytes after 64, a NUL last."""
    wanted = (name + "\0").encode("utf-16-le")
    place = content.find(wanted)
    while place >= 0:
        length = int.from_bytes(content[place + 64 : place + 66], "little")
        if place % ENTRY == 0 and length == len(wanted):
            return True
        place = content.find(wanted, place + 1)
    return False
