"""Which packed files there are, told by their bytes: gzip, bzip2, xz, zstd, zip, tar; office documents are none."""

import zipfile
from pathlib import Path
from struct import error, unpack

from affina.core.errors import Refused

MEMBERS = 100_000
"""Members an archive may have."""
DIRECTORY = 32 << 20
"""Bytes of a zip file's list of members: 46 and the name for each (APPNOTE 4.3.12)."""
MARKS = {
    b"\x1f\x8b\x08": "gzip",
    b"\xfd7zXZ\x00": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"PK\x03\x04": "zip",
    b"PK\x05\x06": "zip",
    b"PK\x07\x08": "zip",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive",
    b"Rar!\x1a\x07": "a RAR archive",
    b"\x04\x22\x4d\x18": "compressed with lz4",
}
ENDINGS = {".gz": "", ".gzip": "", ".bz2": "", ".xz": "", ".zst": "", ".zstd": ""}
SHORT = {".tgz": ".tar", ".tbz": ".tar", ".tbz2": ".tar", ".txz": ".tar", ".tzst": ".tar"}
ARCHIVES = (".zip", ".tar")
OFFICE = (".xlsx", ".xlsm", ".xlsb", ".ods", ".odt", ".docx", ".pptx", ".epub")
"""Zip files that are documents, though they be too damaged to look inside."""
DOCUMENTS = {"[Content_Types].xml", "mimetype", "META-INF/container.xml"}
"""Members of office documents and EPUB books, which are zip files too (ECMA-376-2; OpenDocument 1.3, 3.3; OCF 3.3)."""


def kind(path: Path) -> str:
    """gzip, bzip2, xz, zstd, zip or tar; empty for a file that is none of them, office documents included.

    Raises Refused for a kind of archive that cannot be read, and for a file that cannot be opened.
    """
    try:
        with path.open("rb") as file:
            head = file.read(512)
    except OSError as wrong:
        raise Refused(f"{path} cannot be read", why=wrong.strerror or str(wrong)) from wrong
    found = next((name for mark, name in MARKS.items() if head.startswith(mark)), "")
    if " " in found:
        raise Refused(f"{path} is {found}", instead="unpack it, and name the files that were in it")
    if head.startswith(b"BZh") and head[4:10] in (b"\x31\x41\x59\x26\x53\x59", b"\x17\x72\x45\x38\x50\x90"):
        return "bzip2"
    if head[1:4] == b"\x2a\x4d\x18" and head[:1] in b"PQRSTUVWXYZ[\\]^_":  # a frame to be skipped stands first
        return "zstd"
    if is_tar(head):
        return "tar"
    return "" if found == "zip" and document(path) else found


def is_tar(head: bytes) -> bool:
    """Whether a block of 512 bytes is a tar's first: it holds the sum of its own bytes (POSIX.1, ustar)."""
    if len(head) < 512 or not head[0] or not (field := head[148:156].strip(b" \0")).isdigit():
        return False
    digits = field.decode("ascii")
    return not set(digits) & set("89") and int(digits, 8) == sum(head[:148]) + 8 * 32 + sum(head[156:512])


def bare(name: str) -> str:
    """A name without the ending that says how the file is compressed."""
    for endings in (ENDINGS, SHORT):
        for ending, instead in endings.items():
            if name.lower().endswith(ending) and len(name) > len(ending):
                return name[: -len(ending)] + instead
    return name


def document(path: Path) -> bool:
    """Whether a zip file is an office document or a book; one that is too damaged to tell is one by its ending."""
    if path.suffix.lower() in OFFICE:
        return True
    try:
        with listed(path) as container:
            return not DOCUMENTS.isdisjoint(container.namelist())
    except (zipfile.BadZipFile, OSError):
        return False


def listed(path: Path) -> zipfile.ZipFile:
    """A zip file with its list of members, which is read whole. Raises Refused for an endless list, and BadZipFile."""
    try:
        count, size = _figures(path)
        if count <= MEMBERS and size <= DIRECTORY:
            return zipfile.ZipFile(path)
    except (ValueError, OverflowError, NotImplementedError, error) as wrong:
        raise zipfile.BadZipFile(f"its list of members makes no sense ({wrong})") from wrong
    why = f"it lists {count:,} members in {size:,} bytes; {MEMBERS:,} are taken"
    raise Refused(f"{path} has too many members", why, "unpack it yourself and name the files")


def _figures(path: Path) -> tuple[int, int]:
    """How many members the end of a zip file says there are, and in how many bytes they are listed (APPNOTE 4.3.16)."""
    with path.open("rb") as file:
        file.seek(max(0, file.seek(0, 2) - (1 << 16) - 42))
        tail = file.read()
        at = tail.rfind(b"PK\x05\x06")
        if at < 0 or len(tail) < at + 22:
            raise zipfile.BadZipFile("its end, where the members are listed, is not there")
        count, size = unpack("<10xHI", tail[at : at + 16])
        if at >= 20 and tail[at - 20 : at - 16] == b"PK\x06\x07":  # the figures are too large for their fields
            file.seek(unpack("<8xQ4x", tail[at - 20 : at])[0])
            count, size = unpack("<32xQQ", file.read(48))
    return count, size
