"""Where the lines of a text stand in its file, in bytes: from how they are encoded, or from the bytes of the lines."""

from __future__ import annotations

import codecs
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate, chain, islice, repeat
from pathlib import Path
from typing import NamedTuple

from affina.core.kinds import Span, Stretches
from affina.data.encoding import Encoding, detect, open_text
from affina.data.lines import batches

WIDE = {
    "utf-16": (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE),
    "utf-32": (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE),
}
EAST_ASIAN = ("big5", "cp932", "cp949", "cp950", "euc_", "gb", "iso2022", "johab", "shift_jis")
"""Encodings in which a line end is one byte that is part of no other character, though a text has several spellings."""


class Measure(NamedTuple):
    """How many bytes lines take, asked for all lines of a file in order."""

    start: int
    """Bytes of the mark that stands before the first line."""
    codec: str
    """What a stretch that begins with a line is decoded by."""
    sizes: Callable[[list[str]], list[int]]
    size: Callable[[str], int] | None = None
    """How many bytes any part of the text takes, where that is known from it."""


class Line(NamedTuple):
    """A physical line with its end, its number from 1, and its bytes [start, stop); -1 where they are not known."""

    number: int
    text: str
    start: int
    stop: int


def measure(path: Path, found: Encoding) -> Measure | None:
    """None where lines have no bytes of their own: an end of line is written with other letters, or is none (UTF-7,
    HZ, escapes)."""
    name = codecs.lookup(found.name).name
    with path.open("rb") as file:
        head = file.read(4)
    if name in WIDE:
        mark = next((each for each in WIDE[name] if head.startswith(each)), b"")
        codec = f"{name}-{'be' if mark == WIDE[name][1] else 'le' if mark else sys.byteorder[0] + 'e'}"
        return _of_each(len(mark), codec, _encoded(codec, found.errors))
    if name.startswith(("utf-16-", "utf-32-")):
        return _of_each(0, name, _encoded(name, found.errors))
    if name in ("utf-8", "utf-8-sig"):
        marked = name == "utf-8-sig" and head.startswith(codecs.BOM_UTF8)
        return _of_each(len(codecs.BOM_UTF8) * marked, "utf-8", _encoded("utf-8", found.errors))
    if single(name):
        return _of_each(0, name, len)
    return Measure(0, name, _raw(path)) if name.startswith(EAST_ASIAN) or _by_lines(path, found) else None


def single(name: str) -> bool:
    """Whether the codec of this name takes every byte for a character."""
    return name in ("ascii", "iso8859-1") or hasattr(_module(name), "decoding_table")


def stretches(
    path: Path, given: str | None, counted: Callable[[Iterable[str]], int], headers: int = 0
) -> Stretches | None:
    """How the file is counted by its bytes; None where the bytes of its lines are not known."""
    found = detect(path, given)
    measured = measure(path, found)
    if measured is None:
        return None
    errors = "replace" if measured.codec.startswith("iso2022") else found.errors
    return Stretches(counted, measured.codec, errors, measured.start, headers)


def located(path: Path, given: str | None) -> Iterator[Line]:
    """Every physical line of the file. Raises Refused as `detect` and `batches` do."""
    measured = measure(path, detect(path, given))
    number, start = 1, measured.start if measured else -1
    with open_text(path, given) as stream:
        for lines in batches(stream, str(path)):
            sizes = measured.sizes(lines) if measured else repeat(0, len(lines))
            edges = [*accumulate(sizes, initial=start)]
            yield from map(Line, range(number, number + len(lines)), lines, edges, edges[1:])
            number, start = number + len(lines), edges[-1]


def united(lines: Sequence[Line]) -> Span | None:
    """The bytes of lines that follow one another; None where they are not known."""
    return None if lines[0].start < 0 else Span(lines[0].start, lines[-1].stop, len(lines))


def _of_each(start: int, codec: str, size: Callable[[str], int]) -> Measure:
    return Measure(start, codec, lambda lines: [*map(size, lines)], size)


def _encoded(codec: str, errors: str) -> Callable[[str], int]:
    if codec == "utf-8":
        return lambda text: len(text) if text.isascii() else len(text.encode(codec, errors))
    return lambda text: len(text.encode(codec, errors))


def _raw(path: Path) -> Callable[[list[str]], list[int]]:
    """The bytes of the file's lines, read beside the text: in Latin 1 a character is a byte."""

    def read() -> Iterator[int]:
        with path.open(encoding="latin_1", newline="") as stream:
            yield from map(len, chain.from_iterable(batches(stream, str(path))))

    left = read()
    return lambda lines: [*islice(left, len(lines))]


def _by_lines(path: Path, found: Encoding) -> bool:
    """Whether each line of bytes is one of the text, decoded as part of nothing."""
    written = path.open(encoding="latin_1", newline="")
    with written, path.open(encoding=found.name, errors=found.errors, newline="") as stream:
        ended = chain.from_iterable(batches(stream, str(path)))
        for content in chain.from_iterable(batches(written, str(path))):
            try:
                text = content.encode("latin_1").decode(found.name)
            except UnicodeError:
                return False
            if text != next(ended, None):
                return False
        return next(ended, None) is None


def _module(name: str) -> object:
    return sys.modules.get(codecs.lookup(name).incrementaldecoder.__module__)
