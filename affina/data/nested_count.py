"""Where the records in lists in lists of a JSON document stand, from its keys and brackets: no value is decoded."""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

TOKEN = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"(?:[ \t\r\n]*+:)?|[\[\]{}]|(?P<open>")|[^\s\[\]{},:"]++', re.DOTALL)


@dataclass(slots=True)
class _Open:
    """A list or object whose end has not come. `level`: how many lists on the way stand before it; None: it is not on
    the way."""

    level: int | None
    before: int
    """Records that were found before it began and may yet be none."""
    start: int
    record: bool
    listed: bool
    key: str = ""
    """Of an object, the key that was last seen."""
    lists: int = 0
    """Of an object on the way, how many of its members are the next list."""


def count_nested(chunks: Iterable[str], key: str | None, steps: Sequence[str]) -> int:
    """The elements of the innermost lists, and the objects on the way that lack a list or have two. The first list is
    that of the outermost object called `key`; with None, the document itself."""
    return sum(1 for _ in nested_places(chunks, key, steps))


def nested_places(chunks: Iterable[str], key: str | None, steps: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Where in the text each of them begins and ends, in order. For what is no JSON that means nothing."""
    way, stack, outermost = (key, *steps), list[_Open](), 1 if key is None else 2
    found: list[list[int]] = []  # those in the outermost element that is open
    for token, start, stop in _tokens(chunks):
        above = stack[-1] if stack else None
        if token in ("]", "}"):
            if above is None:
                return
            closed = stack.pop()
            if not closed.listed and closed.level is not None and closed.lists != 1:
                found[closed.before :] = [[closed.start, stop]]
            elif closed.record:
                found[-1][1] = stop
            if len(stack) <= outermost:
                yield from map(_pair, found)
                found.clear()
        elif token.endswith(":") and above is not None:
            above.key = _key(token)
        else:
            level, record = _entered(above, token, way)
            if token in ("[", "{"):
                stack.append(_Open(level, len(found), start, record, token == "["))
            if record:
                found.append([start, stop])


def _entered(above: _Open | None, token: str, way: Sequence[str | None]) -> tuple[int | None, bool]:
    """The level of the value that begins with this token, and whether it is a record."""
    if above is None:
        return (0 if token == ("[" if way[0] is None else "{") else None), False
    if above.level is None:
        return None, False
    if above.listed:
        inner = above.level < len(way) - 1 and token == "{"
        return (above.level + 1 if inner else None), not inner
    if token != "[" or above.key != way[above.level]:
        return None, False
    above.lists += 1
    return above.level, False


def _tokens(chunks: Iterable[str]) -> Iterator[tuple[str, int, int]]:
    """Keys with their colon, brackets, and values of other kinds; and where each begins and ends."""
    text, begun = "", 0
    for chunk in chain(chunks, [""]):
        text += chunk
        last = None
        for match in TOKEN.finditer(text):
            if last is not None:
                yield last.group(), begun + last.start(), begun + last.end()
            last = match
            if match["open"] and chunk:
                break
        if chunk:
            cut = last.start() if last is not None else len(text)
            text, begun = text[cut:], begun + cut
        elif last is not None:
            yield last.group(), begun + last.start(), begun + last.end()


def _key(token: str) -> str:
    if "\\" not in token:
        return token[1 : token.rindex('"')]
    try:
        return str(json.loads(token[: token.rindex(":")]))
    except ValueError:  # it is no JSON, which its reader will say
        return ""


def _pair(place: list[int]) -> tuple[int, int]:
    return place[0], place[1]
