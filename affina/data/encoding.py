"""Which encoding a file is written in: its mark, strict UTF-8, or a guess that is said aloud."""

import codecs
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple, TextIO

from affina.core.errors import Refused
from affina.core.kinds import Record
from affina.data import scratch
from affina.data.charsets import likeliest

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
SWITCHED = (
    (re.compile(rb"\x1b\$\)C"), ("iso2022_kr",)),
    (re.compile(rb"\x1b\$[@B]|\x1b\(J"), ("iso2022_jp", "iso2022_jp_2", "iso2022_jp_ext")),
    (re.compile(rb"~\{[!-~]+~\}"), ("hz",)),
)
"""Signs by which encodings of seven bits switch to other letters."""
TELLING = 1 << 17
"""Bytes, of lines that hold some beyond ASCII, that a guess is made on."""
SEARCHED = 1 << 23
"""Bytes in which such lines are looked for."""
BROKEN = re.compile(r"[\udc80-\udcff]")
CONTROLS = bytes(byte for byte in range(32) if byte not in b"\t\n\v\f\r\x1b\b") + b"\x7f"


class Encoding(NamedTuple):
    """A codec's name under which the whole file decodes, and a sentence where it was a guess. `errors` is not `strict`
    where a few bytes do not decode: they become lone surrogates, by which `judged` knows their records."""

    name: str
    note: str = ""
    errors: str = "strict"


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
        state = path.stat()
        with path.open("rb") as file:
            head = file.read(1 << 16)
    except OSError as error:
        raise Refused(f"{path} cannot be read", why=error.strerror or str(error)) from error
    if not head:
        raise Refused(f"{path} is empty", why="it holds no bytes")
    return _detected(path, given, head, (state.st_size, state.st_mtime_ns))


@lru_cache(maxsize=64)
def _detected(path: Path, given: str | None, head: bytes, state: tuple[int, int]) -> Encoding:
    """Remembered for a file of one state, which is asked about by whoever looks at it."""
    marked = next((name for mark, name in BOMS if head.startswith(mark)), None)
    if given and marked == "utf-8-sig" and codecs.lookup(given).name == "utf-8":
        given = marked  # the mark is no letter of the first word
    if given or marked:
        return _certain(path, given or marked or "", "as the reader was told" if given else "by its first bytes")
    for magic, what in MAGIC:
        if head.startswith(magic):
            raise Refused(
                f"{path} is {what}",
                why="not text",
                instead="leave out `data.reader` where it has a reader of its own, or convert it to CSV, JSON or text",
            )
    if (wide := _wide(head)) and _undecodable(path, wide) is None:
        return Encoding(wide)
    for sign, names in SWITCHED:
        if head.isascii() and sign.search(head):
            for name in names:
                if _undecodable(path, name) is None:
                    return Encoding(name, _guessed(path, "switches to other letters", name))
    return _unmarked(path, head)


def open_text(path: Path, given: str | None = None, newline: str | None = "") -> TextIO:
    """The file as text; by default line ends stay as they are. Raises Refused as `detect` does. Where its `errors` are
    not `strict`, its records are to be `judged`."""
    found = detect(path, given)
    return path.open(encoding=found.name, errors=found.errors, newline=newline)


def judged(records: Iterator[Record], errors: str | None) -> Iterator[Record]:
    """The records of a text that was read with these `errors`: one with bytes that did not decode has a problem."""
    return records if errors == "strict" else map(_judged, records)


def _judged(record: Record) -> Record:
    if record.problem or not BROKEN.search(json.dumps(record.values, ensure_ascii=False)):
        return record
    return replace(record, problem="it holds bytes that are not UTF-8")


def _certain(path: Path, name: str, source: str) -> Encoding:
    if (at := _undecodable(path, name)) is None:
        return Encoding(name)
    if codecs.lookup(name).name.startswith("utf-8") and _mostly_utf_8(_telling(path, at)):
        return _damaged(path, name, at)
    raise Refused(
        f"{path} should be {name} {source}",
        why=f"it cannot be decoded near byte {at}",
        instead="save it as UTF-8, or name its real encoding under `data.reader`",
    )


def _unmarked(path: Path, head: bytes) -> Encoding:
    """UTF-8 where it decodes; else the likeliest other, unless control bytes say that this is no text at all."""
    controls = sum(map(head.count, (bytes([byte]) for byte in CONTROLS)))
    if (at := _undecodable(path, "utf-8")) is None:
        if controls > len(head) / 10:
            raise Refused(f"{path} is binary", why="a tenth of it is control characters", instead="give a text file")
        return Encoding("utf-8")
    if b"\x00" in head or controls > len(head) / 100:
        raise Refused(
            f"{path} is binary", why=f"byte {at} is not UTF-8 and there are control bytes", instead="give a text file"
        )
    sample = _telling(path, at)
    if _mostly_utf_8(sample):
        return _damaged(path, "utf-8", at)
    cut = len(sample) >= TELLING
    name = next((name for name in likeliest(sample, cut) if _undecodable(path, name) is None), "latin_1")
    return Encoding(name, _guessed(path, f"is not UTF-8 (near byte {at})", name))


def _guessed(path: Path, why: str, name: str) -> str:
    return (
        f"{scratch.shown(path)} {why} and was read as {name}, a guess by its letters: "
        "if they look wrong, write `reader: {name: …, encoding: …}` under `data`"
    )


def _damaged(path: Path, name: str, at: int) -> Encoding:
    note = f"{path} is UTF-8 but for a few bytes, the first near byte {at}: the rows that hold them cannot be used"
    return Encoding(name, note, "surrogateescape")


def _mostly_utf_8(sample: bytes) -> bool:
    """Whether of ten characters beyond ASCII nine or more are whole."""
    text = sample.decode(errors="surrogateescape")
    lost = len(BROKEN.findall(text))
    whole = sum(sign > "\x7f" for sign in text) - lost
    return whole >= 5 and whole >= 9 * lost


def _telling(path: Path, at: int) -> bytes:
    """Lines around byte `at` with bytes beyond ASCII, TELLING bytes of them at most, from where a character starts."""
    held: list[bytes] = []
    size, fresh, start = 0, True, max(0, at - TELLING // 2)
    with path.open("rb") as file:
        file.seek(start)
        if start:  # below 0x30 no byte is part of a longer character
            before = file.read(at - start)
            begun = before.find(b"\n") + 1 or max(before.rfind(bytes([byte])) for byte in range(0x30)) + 1
            file.seek(start + begun)
        while size < TELLING and file.tell() < at + SEARCHED and (line := file.readline(TELLING)):
            if fresh and not line.isascii():
                held.append(line)
                size += len(line)
            fresh = line.endswith(b"\n")
    return b"".join(held)[:TELLING]


def _wide(head: bytes) -> str | None:
    """UTF-16 or UTF-32 without a mark: of mostly western text every other byte is NUL, or three of four."""
    if len(head) < 4:
        return None
    nuls = [head[place::4].count(0) / len(head[place::4]) for place in range(4)]
    if len(head) % 4 == 0:
        if nuls[3] == 1 and nuls[2] > 0.9 and nuls[0] < 0.5:
            return "utf-32-le"
        if nuls[0] == 1 and nuls[1] > 0.9 and nuls[3] < 0.5:
            return "utf-32-be"
    even, odd = (nuls[0] + nuls[2]) / 2, (nuls[1] + nuls[3]) / 2
    if max(even, odd) < 0.3 or min(even, odd) > 0.05:
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
