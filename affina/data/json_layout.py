"""Where the records of a JSON document are: found in one pass over it, in which one element at a time is in memory."""

from itertools import islice
from typing import Literal, NamedTuple

from affina.data.json_stream import JsonStream
from affina.data.nested import leads

NESTED = ("data[].paragraphs[].qas[]", "[].paragraphs[].qas[]", "instances[].questions[]", "[].questions[]")
"""Lists in lists that are known: SQuAD's, and those of its variants."""
LOOKED_AT = 100
"""Elements of a list in which further lists are looked for."""
MANY = 10_000
"""Members of an object that are told apart."""
TURNS = {"role", "from"}
"""Keys of one turn of a conversation."""


class Layout(NamedTuple):
    """How a document holds its records."""

    kind: Literal["elements", "member", "members", "columns", "document", "sequence", "none"]
    """They are the elements of the document, those of one of its lists, its members, the rows of its columns, the
    document itself, or objects one after another with nothing between; or there are none."""
    key: str = ""
    """Of the one list."""
    before: int | None = None
    """How many members stand before it, where that was counted."""
    steps: tuple[str, ...] = ()
    """The keys of the lists that stand in its elements."""
    columns: tuple[tuple[str, int, int], ...] = ()
    """Each column's name, how many characters stand before it, and its line."""
    what: str = ""
    """What the document is, where it holds no records."""


class _Member(NamedTuple):
    """A member of the outermost object."""

    key: str
    offset: int
    line: int
    held: Literal["list", "object", "other"]
    size: int
    objects: bool = False
    """Of a list: its first element is an object, and `turn` that it is a turn of a conversation."""
    turn: bool = False
    leads: tuple[str, ...] = ()
    """The known lists in a list's elements."""
    numbered: bool = False
    """An object whose keys are 0, 1, 2 … above plain values: a column, as pandas writes it."""


def layout_of(document: JsonStream, each: str | None) -> Layout:
    """Raises Refused, located, where an outermost object is not JSON or has two lists of one key."""
    steps = _steps(each) if each else ()
    mark = document.mark()
    if mark == "[":
        if steps and steps[0]:
            return Layout("document", steps=steps)
        return Layout("elements", steps=steps[1:] if each else _known(document))
    if mark == "{":
        if steps:
            return Layout("member", steps[0], steps=steps[1:]) if steps[0] else Layout("document", steps=steps)
        found = _members(document)
        if document.mark() == "{":
            return Layout("sequence")
        document.end()
        return _held(found)
    document.value()
    document.end()
    names = {"t": "true or false", "f": "true or false", "n": "null", '"': "one string"}
    return Layout("none", what=names.get(mark, "one number"))


def _steps(path: str) -> tuple[str, ...]:
    """The keys of the lists on the way; an empty one for a document that is a list."""
    return tuple(step.removesuffix("[]") for step in path.split("."))


def _known(document: JsonStream) -> tuple[str, ...]:
    """The way to known lists in the first elements of the document, which is a list."""
    ways = [_steps(path)[1:] for path in NESTED if not _steps(path)[0]]
    for found in islice(document.elements(), LOOKED_AT):
        if way := next((way for way in ways if leads(found.value, way)), None):
            return way
    return ()


def _members(document: JsonStream) -> list[_Member]:
    """Of very many members no more than are needed to tell that they are all objects."""
    found: list[_Member] = []
    keys: set[str] = set()
    for key in document.members():
        mark = document.mark()
        line, offset = document.line, document.offset + document.place
        if mark == "[" and key in keys:
            raise document.refused(f"the key {key!r} stands twice in one object", document.place)
        member = (_list if mark == "[" else _other)(document, key, offset, line)
        if len(found) < MANY or (member.held != "object" and found[-1].held == "object"):
            found.append(member)
            keys.add(key)
    return found


def _list(document: JsonStream, key: str, offset: int, line: int) -> _Member:
    ways = [_steps(path)[1:] for path in NESTED if _steps(path)[0] == key]
    size, objects, turn = 0, False, False
    way: tuple[str, ...] = ()
    for found in document.elements():
        if not size and isinstance(found.value, dict):
            objects, turn = True, bool(TURNS & set(found.value))
        if ways and not way and size < LOOKED_AT:
            way = next((way for way in ways if leads(found.value, way)), ())
        size += 1
    return _Member(key, offset, line, "list", size, objects, turn, way)


def _other(document: JsonStream, key: str, offset: int, line: int) -> _Member:
    value = document.value().value
    if not isinstance(value, dict):
        return _Member(key, offset, line, "other", 0)
    plain = bool(value) and not any(isinstance(held, (dict, list)) for held in value.values())
    numbered = plain and all(name == str(number) for number, name in enumerate(value))
    return _Member(key, offset, line, "object", len(value), numbered=numbered)


def _held(found: list[_Member]) -> Layout:
    if not found:
        return Layout("none", what="an empty object")
    if nested := next((member for member in found if member.leads), None):
        return Layout("member", nested.key, steps=nested.leads)
    lists = [member for member in found if member.held == "list"]
    objects = [member for member in lists if member.objects]
    if len({member.size for member in found}) == 1 == len({member.held for member in found}):
        numbered = all(member.numbered for member in found) and not all(member.key.isdecimal() for member in found)
        if (lists and not objects) or numbered:
            return Layout("columns", columns=tuple((member.key, member.offset, member.line) for member in found))
    if len(objects) == 1 and not objects[0].turn:
        return Layout("member", objects[0].key, found.index(objects[0]))
    if len(found) > 1 and all(member.held == "object" for member in found):
        return Layout("members")
    return Layout("document")
