"""XML by record path: every element of one kind is a record, its attributes and child elements are its columns."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field, field_validator

from affina.core.errors import Refused
from affina.core.kinds import Reader, Record
from affina.data import encoding
from affina.data.xml_count import start_tags
from affina.data.xml_places import matches, own, plural, records_place, survey
from affina.data.xml_stream import codec, parse

MOST_CHARACTERS = 1 << 26
"""Of one record."""


class Xml(Reader):
    """Streamed: a file of any size is read in the memory of one record. An element's text is the column of its name
    (the record's own is `text`), what is in it has a dotted name (`author.name`), and elements that may repeat are
    lists. Where words and elements alternate (`a <b>word</b>`), the whole is text. An attribute called like a child
    element has an @ before it. `line` is the line on which the record's start tag begins."""

    suffixes: ClassVar[tuple[str, ...]] = (".xml", ".rss", ".atom", ".tmx", ".xlf", ".xliff", ".rdf", ".tei")

    record: str | None = Field(None, pattern=r"^/?[^/\s]+(/[^/\s]+)*$")
    """The records' path, or the end of it: `rss/channel/item`, `item`. When left out, the most repeated elements that
    have columns."""
    lists: tuple[str, ...] | None = None
    """The columns that are lists; when left out, those of elements that stand several times in some record."""
    encoding: str | None = None
    """The file's encoding; the declared one when left out."""

    @field_validator("encoding")
    @classmethod
    def _known(cls, name: str | None) -> str | None:
        return name and encoding.known(name)

    def look(self, path: Path) -> tuple[Xml, str]:
        """This reader with the path and the lists filled in, from the whole file."""
        name = codec(path, self.encoding)
        if self.record is not None and self.lists is not None:
            return self.model_copy(update={"encoding": name}), f"XML, a record per {self.record}"
        root = survey(path, name, self.record)
        if self.record is None:
            place = records_place(root)
            found, times = place.path, place.count
            lists = plural(place)
        else:
            places = [place for place in root.below() if place.record]
            found, times = self.record, sum(place.count for place in places)
            lists = tuple(sorted({name for place in places for name in plural(place)}))
            if not places:
                known = sorted({place.path for place in root.below()}, key=len)[:20]
                raise Refused(
                    f"{path} has no element {self.record}", why="there is none at that path",
                    instead=f"its elements are {', '.join(known)}",
                )  # fmt: skip
        others = [place for place in root.below() if place.repeats and place.columned and place.path != found]
        told = ", ".join(f"{place.path} ({place.count})" for place in sorted(others, key=lambda each: -each.count)[:3])
        lists = self.lists if self.lists is not None else lists
        settled = self.model_copy(update={"record": found, "lists": lists, "encoding": name})
        hint = f"; other elements that repeat: {told} (`record:` chooses)" if told and self.record is None else ""
        return settled, f"XML, {times} records at {found}{hint}"

    def records(self, path: Path) -> Iterator[Record]:
        """Every record, in order. Raises Refused, located, for what is not well-formed XML, or declares entities."""
        settled, _ = self.look(path)
        assert settled.record is not None and settled.lists is not None
        builder = _Builder(str(path), settled.record.strip("/").split("/"), frozenset(settled.lists))
        for _ in parse(path, settled.encoding, builder):
            while builder.done:
                yield builder.done.popleft()

    def count(self, path: Path) -> int | None:
        """How many start tags stand at the records' path, found in the characters of the file without an XML parser."""
        settled, _ = self.look(path)
        assert settled.record is not None
        return start_tags(path, settled.encoding, settled.record)


@dataclass(slots=True)
class _Element:
    name: str
    attributes: dict[str, str]
    line: int
    inside: list[_Element | str] = field(default_factory=list)

    @property
    def children(self) -> list[_Element]:
        return [each for each in self.inside if isinstance(each, _Element)]

    @property
    def words(self) -> str:
        """All text in it, at any depth."""
        return "".join(each if isinstance(each, str) else each.words for each in self.inside)

    @property
    def speaks(self) -> bool:
        """Whether it has text of its own."""
        return any(isinstance(each, str) and each.strip() for each in self.inside)


class _Unlisted(Exception):
    """A column that is there already, and is not said to be a list."""


class _Builder:
    """Hears a file and keeps the elements of the record that is open; finished records wait in `done`."""

    def __init__(self, file: str, steps: list[str], lists: frozenset[str]) -> None:
        self.file, self.steps, self.lists = file, steps, lists
        self.path: list[str] = []
        self.open: list[_Element] = []
        self.done: deque[Record] = deque()
        self.characters = 0
        self.known: dict[tuple[str, ...], bool] = {}

    def start(self, name: str, attributes: dict[str, str], line: int) -> None:
        self.path.append(name)
        if self.open or self._is_record():
            element = _Element(name, own(attributes), line)
            if self.open:
                self.open[-1].inside.append(element)
            self.open.append(element)
            self._grow(len(name) + sum(map(len, attributes.values())))

    def text(self, text: str) -> None:
        if self.open:
            self.open[-1].inside.append(text)
            self._grow(len(text))

    def end(self) -> None:
        self.path.pop()
        if not self.open:
            return
        element = self.open.pop()
        if not self.open:
            self.characters = 0
            values: dict[str, Any] = {}
            problem = ""
            try:
                _fill(values, element, "", self.lists)
            except _Unlisted as error:
                problem = f"its column {error} stands in it several times: name it in `lists`"
            self.done.append(Record(values, self.file, element.line, problem))

    def _is_record(self) -> bool:
        key = tuple(self.path)
        if key not in self.known:
            self.known[key] = matches(self.path, self.steps)
        return self.known[key]

    def _grow(self, characters: int) -> None:
        self.characters += characters
        if self.characters > MOST_CHARACTERS:
            raise Refused(
                f"a record of over {MOST_CHARACTERS:,} characters is not read",
                why="a record is held in memory whole",
                instead="name an element further in with `record`",
                where=f"{self.file}:{self.open[0].line}",
            )


def _fill(values: dict[str, Any], element: _Element, place: str, lists: frozenset[str]) -> None:
    """Puts an element's columns into the record; `place` is its dotted name there, empty for the record itself."""
    if not element.attributes and all(isinstance(each, str) for each in element.inside):
        _put(values, place or "text", element.words.strip())
        return
    dot = f"{place}." if place else ""
    children = [] if element.speaks else element.children
    text = element.words.strip() if not children else ""
    taken = {*(child.name for child in children), *(["text"] if text and not place else [])}
    for name, value in element.attributes.items():
        _put(values, f"{dot}@{name}" if name in taken else f"{dot}{name}", value)
    if not children and (text or not element.attributes):
        _put(values, place or "text", text)
    seen: set[str] = set()
    for child in children:
        name = f"{dot}{child.name}"
        if name in lists:
            values.setdefault(name, []).append(_item(child, name, lists))
        elif name in seen:
            raise _Unlisted(name)
        else:
            _fill(values, child, name, lists)
        seen.add(name)


def _put(values: dict[str, Any], name: str, value: str) -> None:
    if name in values:
        raise _Unlisted(name)
    values[name] = value


def _item(element: _Element, place: str, lists: frozenset[str]) -> Any:
    """An element of a list: its text, or its columns where it has any."""
    inside: dict[str, Any] = {}
    _fill(inside, element, place, lists)
    if set(inside) == {place}:
        return inside[place]
    return {"text" if name == place else name[len(place) + 1 :]: value for name, value in inside.items()}
