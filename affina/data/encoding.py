"""Which encoding a file is written in: its mark, strict UTF-8, or a single-byte guess that is said aloud."""

import codecs
from pathlib import Path
from typing import NamedTuple, TextIO

from affina.core.errors import Refused
from affina.data import scratch

CHUNK = 1 << 20
BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16: its mark begins with UTF-16's
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
MAGIC = (
    (b"PK\x03\x04", "a zip archive or an office document"),
    (b"\x1f\x8b", "gzip-compressed"),
    (b"BZh", "bzip2-compressed"),
    (b"\x28\xb5\x2f\xfd", "zstd-compressed"),
    (b"%PDF-", "a PDF"),
    (b"PAR1", "a Parquet file"),
    (b"ARROW1", "an Arrow file"),
    (b"SQLite format 3\x00", "a SQLite database"),
    (b"\x89PNG", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"\xd0\xcf\x11\xe0", "an old office document"),
    (b"GGUF", "a GGUF model"),
)
CONTROLS = bytes(byte for byte in range(32) if byte not in b"\t\n\v\f\r\x1b\b") + b"\x7f"


class Encoding(NamedTuple):
    """A codec's name under which the whole file decodes, and a sentence where it was a guess."""

    name: str
    note: str = ""


def known(name: str) -> str:
    """The name itself, or ValueError when Python has no text codec of that name."""
    try:
        "".encode(name)
    except LookupError as error:
        raise ValueError(f"'{name}' is no text encoding that Python knows") from error
    return name


def detect(path: Path, given: str | None = None) -> Encoding:
    """The encoding the whole file decodes with. Raises Refused for a missing, empty, binary or undecodable file."""
    try:
        with path.open("rb") as file:
            head = file.read(1 << 16)
    except OSError as error:
        raise Refused(f"{path} cannot be read", why=error.strerror or str(error)) from error
    if not head:
        raise Refused(f"{path} is empty", why="it holds no bytes")
    marked = next((name for mark, name in BOMS if head.startswith(mark)), None)
    if given and marked == "utf-8-sig" and codecs.lookup(given).name == "utf-8":
        given = marked  # the mark is no letter of the first word
    if given or marked:
        return _certain(path, given or marked or "", "as the reader was told" if given else "by its first bytes")
    for magic, what in MAGIC:
        if head.startswith(magic):
            raise Refused(f"{path} is {what}", why="not text", instead="convert it to CSV, JSON, JSONL or text first")
    if (wide := _wide(head)) and _undecodable(path, wide) is None:
        return Encoding(wide)
    return _unmarked(path, head)


def open_text(path: Path, given: str | None = None, newline: str | None = "") -> TextIO:
    """The file as text; by default line ends stay as they are. Raises Refused as `detect` does."""
    return path.open(encoding=detect(path, given).name, newline=newline)


def _certain(path: Path, name: str, source: str) -> Encoding:
    if (at := _undecodable(path, name)) is not None:
        raise Refused(
            f"{path} should be {name} {source}",
            why=f"it cannot be decoded near byte {at}",
            instead="save it as UTF-8, or name its real encoding under `data.reader`",
        )
    return Encoding(name)


def _unmarked(path: Path, head: bytes) -> Encoding:
    """UTF-8 where it decodes; else a single-byte encoding, unless control bytes say that this is no text at all."""
    controls = sum(map(head.count, (bytes([byte]) for byte in CONTROLS)))
    if (at := _undecodable(path, "utf-8")) is None:
        if controls > len(head) / 10:
            raise Refused(f"{path} is binary", why="a tenth of it is control characters", instead="give a text file")
        return Encoding("utf-8")
    if b"\x00" in head or controls > len(head) / 100:
        raise Refused(
            f"{path} is binary", why=f"byte {at} is not UTF-8 and there are control bytes", instead="give a text file"
        )
    name = "cp1252" if _undecodable(path, "cp1252") is None else "latin-1"
    return Encoding(
        name,
        f"{scratch.shown(path)} is not UTF-8 (near byte {at}) and was read as {name}: "
        "if letters look wrong, write `reader: {name: …, encoding: …}` under `data`",
    )


def _wide(head: bytes) -> str | None:
    """UTF-16 without a mark: every other byte of mostly western text is NUL."""
    even, odd = head[0::2].count(0), head[1::2].count(0)
    if len(head) < 4 or max(even, odd) < 0.3 * len(head) / 2 or min(even, odd) > 0.05 * len(head) / 2:
        return None
    return "utf-16-be" if even > odd else "utf-16-le"


def _undecodable(path: Path, name: str) -> int | None:
    """The byte near which decoding fails, or None when the whole file decodes."""
    decoder = codecs.getincrementaldecoder(name)()
    done = 0
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            try:
                decoder.decode(chunk)
            except UnicodeError as error:
                return done + getattr(error, "start", 0)
            done += len(chunk)
    try:
        decoder.decode(b"", final=True)
    except UnicodeError:
        return done
    return None
