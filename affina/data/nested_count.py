"""How many records lists in lists of a JSON document hold, from its keys and brackets: no value is decoded."""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

TOKEN = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"(?:[ \t\r\n]*+:)?|[\[\]{}]|(?P<open>")|[^\s\[\]{},:"]++', re.DOTALL)


@dataclass(slots=True)
class _Open:
    """A list or object whose end has not come. `level`: how many lists on the way stand before it; None: it is not on
    the way."""

    level: int | None
    before: int
    """Records that were counted before it began."""
    listed: bool
    key: str = ""
    """Of an object, the key that was last seen."""
    lists: int = 0
    """Of an object on the way, how many of its members are the next list."""


def count_nested(chunks: Iterable[str], key: str | None, steps: Sequence[str]) -> int:
    """The elements of the innermost lists, and the objects on the way that lack a list or have two. The first list is
    that of the outermost object called `key`; with None, the document itself."""
    found, way = 0, (key, *steps)
    stack: list[_Open] = []
    for token in _tokens(chunks):
        above = stack[-1] if stack else None
        if token in ("]", "}"):
            closed = stack.pop()
            if not closed.listed and closed.level is not None and closed.lists != 1:
                found = closed.before + 1
        elif token.endswith(":") and above is not None:
            above.key = _key(token)
        else:
            level, record = _entered(above, token, way)
            if token in ("[", "{"):
                stack.append(_Open(level, found, token == "["))
            found += record
    return found


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


def _tokens(chunks: Iterable[str]) -> Iterator[str]:
    """Keys with their colon, brackets, and values of other kinds."""
    text = ""
    for chunk in chunks:
        text += chunk
        last = None
        for match in TOKEN.finditer(text):
            if last is not None:
                yield last.group()
            last = match
            if match["open"]:
                break
        text = text[last.start() :] if last is not None else ""
    yield from (match.group() for match in TOKEN.finditer(text))


def _key(token: str) -> str:
    return str(json.loads(token[: token.rindex(":")])) if "\\" in token else token[1 : token.rindex('"')]
