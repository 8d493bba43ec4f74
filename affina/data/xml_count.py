"""Start tags at a path, counted in the characters of an XML file: a second way beside its parser."""

import re
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from affina.data.xml_places import matches
from affina.data.xml_stream import decoded

TOKEN = re.compile(
    r"<!--.*?-->|<!\[CDATA\[.*?\]\]>|<\?.*?\?>|<!DOCTYPE[^\[>]*(?:\[.*?\]\s*)?>|(?P<end></[^>]*>)|"
    r"<(?P<name>[^\s/>!?]+)[^>\"']*(?:\"[^\"]*\"[^>\"']*|'[^']*'[^>\"']*)*>",
    re.S,
)


def start_tags(path: Path, codec: str | None, wanted: str) -> int:
    """Elements at the path that stand in no other such element; `codec` None is UTF-8, or UTF-16 with a mark."""
    with path.open("rb") as file:
        marked = file.read(2) in (b"\xff\xfe", b"\xfe\xff")
    steps = wanted.strip("/").split("/")
    open_now: list[str] = []
    found = outermost = 0
    for token in _tokens(decoded(path, codec or ("utf-16" if marked else "utf-8-sig"))):
        if token["name"]:
            open_now.append(token["name"])
            if not outermost and matches(open_now, steps):
                found, outermost = found + 1, len(open_now)
        if open_now and (token["end"] or (token["name"] and token[0].endswith("/>"))):
            outermost = outermost if len(open_now) != outermost else 0
            open_now.pop()
    return found


def _tokens(pieces: Iterator[str]) -> Iterator[re.Match[str]]:
    """Tags, comments and the like, each whole; one that a piece cuts is tried again when twice as much is there."""
    held, least = "", 0
    for piece in chain(pieces, [None]):
        held += piece or ""
        if piece is not None and len(held) < least:
            continue
        place = held.find("<")
        while place >= 0 and (token := TOKEN.match(held, place)):
            yield token
            place = held.find("<", token.end())
        held = held[place:] if place >= 0 else ""
        least = 2 * len(held)
