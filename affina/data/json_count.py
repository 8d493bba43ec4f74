"""How many values a list or object of a JSON document holds, by the depth of its brackets: nothing is decoded."""

import re
from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt

STRING = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|(\\?\Z))', re.DOTALL)
"""A string, or the beginning of one that the text ends in: then the group is not None."""
INSIDE = re.compile(r'[^"\\]*+(?:\\.[^"\\]*+)*+', re.DOTALL)
"""What stands inside a string up to its end, or to a backslash that the text ends in."""
SPACE = b" \t\n\r"
OPENING, CLOSING, COMMA = (np.frombuffer(signs, np.uint8) for signs in (b"[{", b"]}", b","))


def count_values(chunks: Iterable[str], depth: int, member: int | None = None) -> int:
    """The values in all lists and objects that `depth` brackets enclose; with `member`, only those in the outermost
    value's so manieth. The document is known to be JSON."""
    return sum(
        int(np.count_nonzero(begins if member is None else begins & (before == member)))
        for begins, before in _begun(chunks, depth)
    )


def count_members(chunks: Iterable[str]) -> list[int]:
    """How many values each member of the outermost object holds. The document is known to be JSON."""
    found = np.zeros(0, np.int64)
    for begins, before in _begun(chunks, depth=2):
        found, piece = np.bincount(before[begins]), found
        found = np.pad(found, (0, max(0, len(piece) - len(found))))
        found[: len(piece)] += piece
    return [int(many) for many in found]


def _begun(chunks: Iterable[str], depth: int) -> Iterator[tuple[npt.NDArray[np.bool_], npt.NDArray[np.int64]]]:
    """At which signs values at this depth begin, and how many members of the outermost object stand before them."""
    level, commas, last = 0, 0, b"s"
    for bare in _bare(chunks):
        signs = np.frombuffer(last + bare, np.uint8)
        here = signs[1:]
        levels = level + np.cumsum(np.isin(here, OPENING).astype(np.int64) - np.isin(here, CLOSING))
        seconds = np.isin(here, COMMA)
        # what follows an opening bracket and does not close it is a first value, what follows a comma another one
        firsts = np.isin(signs[:-1], OPENING) & ~np.isin(here, CLOSING)
        enclosed = np.where(np.isin(here, OPENING), levels - 1, levels) == depth
        before = commas + np.cumsum(seconds & (levels == 1))
        yield (firsts | seconds) & enclosed, before
        commas, level, last = int(before[-1]), int(levels[-1]), bare[-1:]


def count_objects(chunks: Iterable[str]) -> int:
    """The outermost lists and objects of JSON values that stand one after another."""
    found = level = 0
    for bare in _bare(chunks):
        signs = np.frombuffer(bare, np.uint8)
        opening = np.isin(signs, OPENING)
        levels = level + np.cumsum(opening.astype(np.int64) - np.isin(signs, CLOSING))
        found, level = found + int(np.count_nonzero(opening & (levels == 1))), int(levels[-1])
    return found


def _bare(chunks: Iterable[str]) -> Iterator[bytes]:
    """The brackets and commas of the text, with a letter or more for each value that is none of them."""
    inside = escaped = False
    for text in chunks:
        start = 0
        if inside:
            ended = INSIDE.match(text, int(escaped))
            assert ended is not None
            start = ended.end()
            escaped = text[start : start + 1] == "\\"
            inside = start == len(text) or escaped
            if inside:
                continue
            start += 1
        parts = STRING.split(text[start:])
        inside = len(parts) > 1 and parts[-2] is not None
        escaped = inside and parts[-2] == "\\"
        bare = "s".join(parts[::2]).encode("ascii", "replace").translate(None, SPACE)
        if bare:
            yield bare
