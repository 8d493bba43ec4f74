"""Where the values of a JSON document stand in its bytes, by quotes, brackets and commas alone: nothing is decoded."""

import codecs
import re
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from affina.core.kinds import Span
from affina.data.offsets import single

CHUNK = 1 << 20
QUOTE, OPEN, CLOSE, COMMA = range(1, 5)
SIGNS = {'"': QUOTE, "[": OPEN, "{": OPEN, "]": CLOSE, "}": CLOSE, ",": COMMA}
TABLE = bytes(SIGNS.get(chr(byte), 0) for byte in range(256))
DEEPER = np.array([0, 0, 1, -1, 0], np.int8)
"""How each kind of sign changes the number of brackets that are open."""
PLAIN = re.compile(rb"[ \t\r\n:]*([^ \t\r\n:]+)")
"""A value without quotes or brackets, after white space and the colon of its key."""
Numbers = npt.NDArray[np.int64]


class Within(NamedTuple):
    """Which values are sought: those that so many brackets enclose; of 0, the outermost lists and objects."""

    depth: int
    keyed: bool = False
    """They stand after keys, not in a list."""
    member: int | None = None
    """Only those in the outermost object's so manieth value."""


def width(codec: str) -> int:
    """Bytes that encode a sign of JSON, where they are never part of anything else; 0 for other encodings."""
    name = codecs.lookup(codec).name
    if name.startswith(("utf-16", "utf-32")):
        return int(name[4:6]) // 8
    if single(name):
        signs = bytes(range(256)).decode(name, "replace")
        return int(signs[:128].isascii() and signs[:128].encode() == bytes(range(128)) and min(signs[128:]) > "\x7f")
    return int(name in ("utf-8", "utf-8-sig"))


def places(path: Path, codec: str, within: Within) -> Iterator[Span]:
    """The bytes of every value that is sought, in order. For what is no JSON they mean nothing. `codec` says the order
    of bytes where it matters, and has a `width`."""
    wide = width(codec)
    for starts, stops in _found(_units(path, codec), within):
        yield from map(Span, (starts * wide).tolist(), (stops * wide).tolist())


class _Scanned(NamedTuple):
    """What was found in a piece, how much of it need not be looked at again, and what is open there."""

    starts: Numbers
    stops: Numbers
    done: int
    level: int
    passed: int
    """Commas between values of the outermost object or list."""


class _Kept(NamedTuple):
    """The signs at the depth that is sought: edges between its values, and the outermost signs of these."""

    kinds: npt.NDArray[np.uint8]
    at: Numbers
    edges: npt.NDArray[np.bool_]
    members: npt.NDArray[np.int32]
    """Commas that stand before each in the outermost object."""


def _units(path: Path, codec: str) -> Iterator[bytes]:
    """The file in pieces: a byte for each unit of `width` bytes, which is the sign that it encodes, or a NUL."""
    wide, order = width(codec), ">" if codec.endswith("-be") else "<"
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            if wide > 1:
                signs = np.frombuffer(chunk[: len(chunk) // wide * wide], f"{order}u{wide}")
                chunk = np.where(signs < 128, signs, 0).astype(np.uint8).tobytes()
            yield chunk


def _found(pieces: Iterable[bytes], within: Within) -> Iterator[tuple[Numbers, Numbers]]:
    """Values that end in each piece; one that does not is looked for again when twice as much is there."""
    held: list[bytes] = []
    begun = size = least = level = passed = 0
    for piece in chain(pieces, [b""]):
        held.append(piece)
        size += len(piece)
        if piece and size < least:
            continue
        text = b"".join(held)
        found = _scan(text, within, level, passed)
        yield found.starts + begun, found.stops + begun
        level, passed, begun = found.level, found.passed, begun + found.done
        held = [text[found.done :]]
        size = len(held[0])
        least = 2 * size


def _scan(text: bytes, within: Within, level: int, passed: int) -> _Scanned:
    """`level` brackets are open where the text begins, which is in no string."""
    kinds, at = _signs(text)
    levels = np.cumsum(DEEPER[kinds], dtype=np.int32) + level
    around = levels - (kinds == OPEN)  # of a bracket, those that it stands in
    if within.depth == 0:
        return _outermost(at[(around == 0) & (kinds == OPEN)], at[(around == 0) & (kinds == CLOSE)] + 1, len(text))
    commas, depth = kinds == COMMA, within.depth
    edges = np.where(commas, around == depth, (around == depth - 1) & (kinds != QUOTE))
    kept = np.flatnonzero(edges | (around == depth))
    members = np.cumsum(commas & (around == 1), dtype=np.int32) + passed
    starts, stops = _slots(text, _Kept(kinds[kept], at[kept], edges[kept], members[kept]), within)
    left = np.flatnonzero(edges | ((around < depth) & (kinds != QUOTE)))
    if not len(left):
        return _Scanned(starts, stops, 0, level, passed)
    last = int(left[-1])  # it is looked at again, as if it had not been
    passed = int(members[last]) - bool(commas[last] and around[last] == 1)
    return _Scanned(starts, stops, int(at[last]), int(levels[last] - DEEPER[kinds[last]]), passed)


def _outermost(starts: Numbers, stops: Numbers, size: int) -> _Scanned:
    done = int(stops[-1]) if len(stops) else int(starts[0]) if len(starts) else size
    return _Scanned(starts[: len(stops)], stops[: len(starts)], done, 0, 0)


def _slots(text: bytes, kept: _Kept, within: Within) -> tuple[Numbers, Numbers]:
    """Starts and ends of what stands between two edges, after the two quotes of its key where it has one."""
    edges = np.flatnonzero(kept.edges)
    left, right = edges[:-1], edges[1:]
    held = kept.kinds[left] != CLOSE
    if within.member is not None:
        held &= kept.members[left] == within.member
    left, right = left[held], right[held]
    key = left + 2 * within.keyed
    starts, stops = kept.at[np.minimum(key + 1, right)], kept.at[right - 1] + 1
    filled = np.ones(len(starts), bool)
    for place in np.flatnonzero(key + 1 >= right).tolist():  # neither bracket nor quote: a number, or nothing
        begin, end = int(kept.at[min(key[place], right[place] - 1)]) + 1, int(kept.at[right[place]])
        found = PLAIN.match(text, begin, end)
        filled[place] = found is not None
        if found is not None:
            starts[place], stops[place] = found.span(1)
    return starts[filled], stops[filled]


def _signs(text: bytes) -> tuple[npt.NDArray[np.uint8], Numbers]:
    """Quotes around strings, and brackets and commas that are in none; and where they stand."""
    if b"\\" in text:
        text = text.replace(rb"\\", b"  ").replace(rb"\"", b"  ")  # from the left, as they are read
    every = np.frombuffer(text.translate(TABLE), np.uint8)
    at = np.flatnonzero(every)
    kinds = every[at]
    quotes = kinds == QUOTE
    outside = quotes | (np.cumsum(quotes, dtype=np.uint8) % 2 == 0)
    return kinds[outside], at[outside]
