"""One JSON document: an array of objects or strings, columns of equal length, or an object that holds the records."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from functools import lru_cache
from itertools import starmap
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field, field_validator

from affina.core.errors import Refused
from affina.core.kinds import Reader, Record, Span
from affina.data import encoding
from affina.data.json_count import count_members, count_objects, count_values
from affina.data.json_layout import Layout, layout_of
from affina.data.json_places import Within, places, width
from affina.data.json_stream import JsonStream, Ruler
from affina.data.lines import CHUNK, chunks, line_ends
from affina.data.nested import walked
from affina.data.nested_count import count_nested, nested_places
from affina.data.offsets import Measure, measure
from affina.data.strict_json import Decoded

WIDEST = 500
"""Columns that are read side by side, each through an opening of its own."""
SMALLEST = 1 << 14
"""Characters that are read at once of each of very many columns."""
HEAD = 1 << 16
"""Bytes by which a file is known from one that was there before it."""
Found = Iterator[tuple[int, Decoded, Span | None]]


class Json(Reader):
    """A whole file of JSON: `[{…}, …]`, `{"data": [{…}, …]}`, `{"column": […], …}`, `{"key": {…}, …}`, lists in lists,
    one object, or objects one after another. One record is in memory at a time."""

    suffixes: ClassVar[tuple[str, ...]] = (".json",)

    each: str | None = Field(None, pattern=r"^(\[\]|[^.\[\]]+\[\])(\.[^.\[\]]+\[\])*$")
    """Where the records are when lists stand in lists, such as `data[].paragraphs[].qas[]`: each has also what stands
    beside the lists on the way. A leading `[]` is a file that is a list. Found for questions when left out."""
    encoding: str | None = None
    """The file's encoding; detected when left out."""

    @field_validator("encoding")
    @classmethod
    def _known(cls, name: str | None) -> str | None:
        return name and encoding.known(name)

    def look(self, path: Path) -> tuple[Json, str]:
        """This reader with the encoding filled in."""
        found = encoding.detect(path, self.encoding)
        return Json(each=self.each, encoding=found.name), f"one JSON document, {found.name}"

    def records(self, path: Path) -> Iterator[Record]:
        """Every record with the line it starts on. Raises Refused, located, for what is not JSON, where it is met."""
        found = self._layout(path)
        empty = True
        records = (_record(decoded, str(path), line, span) for line, decoded, span in self._found(path, found))
        for record in encoding.judged(records, encoding.detect(path, self.encoding).errors):
            empty = False
            yield record
        if empty:
            raise Refused(
                f"{path} holds no records",
                why=f"it is JSON, but {found.what or 'its lists are empty'}",
                instead="give an array of objects, or an object of columns",
            )

    def count(self, path: Path) -> int:
        """The records, by the brackets of the text alone; of columns, the values of one that has not as many as the
        first, if there is one."""
        layout = self._layout(path)
        if layout.kind in ("document", "none"):
            return int(layout.kind == "document")
        with encoding.open_text(path, self.encoding) as stream:
            if _by_keys(layout):
                return count_nested(chunks(stream), layout.key if layout.kind == "member" else None, layout.steps)
            if layout.kind == "sequence":
                return count_objects(chunks(stream))
            if layout.kind == "columns":
                many = count_members(chunks(stream))
                return next((each for each in many if each != many[0]), sum(many[:1]))
            return count_values(chunks(stream), 1 if layout.before is None else 2, layout.before)

    def places(self, path: Path) -> Iterator[Span] | None:
        """By quotes, brackets and commas in the bytes; None for columns, whose rows have none of their own, and for
        encodings in which a byte may be part of something else."""
        layout = self._layout(path)
        measured = self._measured(path, layout)
        if measured is None:
            return None
        if _by_keys(layout):
            key = layout.key if layout.kind == "member" else None
            return _keyed(path, key, layout.steps, measured.codec)
        within = {"elements": Within(1), "members": Within(1, keyed=True), "member": Within(2, member=layout.before)}
        return places(path, measured.codec, within.get(layout.kind, Within(0)))

    def _layout(self, path: Path) -> Layout:
        found = encoding.detect(path, self.encoding)
        with path.open("rb") as file:
            head, now = file.read(HEAD), os.fstat(file.fileno())
        return _layout_of(path, found, self.each, (now.st_size, now.st_mtime_ns, head))

    def _measured(self, path: Path, layout: Layout) -> Measure | None:
        """None where no record has bytes of its own."""
        measured = measure(path, encoding.detect(path, self.encoding))
        wide = width(measured.codec) if measured else 0
        placed = layout.kind not in ("columns", "none") and (wide == 1 or not _by_keys(layout))
        return measured if wide and placed else None

    def _found(self, path: Path, layout: Layout) -> Iterator[tuple[int, Decoded, Span | None]]:
        """Line, value and bytes of each record."""
        if layout.kind == "columns":
            yield from self._columns(path, layout)
        elif layout.kind != "none":
            with encoding.open_text(path, self.encoding) as stream:
                document = JsonStream(stream, str(path))
                if (measured := self._measured(path, layout)) and measured.size:
                    document.ruler = Ruler(measured.size, measured.start)
                document.mark()
                yield from _HELD[layout.kind](document, layout)
                document.end()

    def _columns(self, path: Path, layout: Layout) -> Iterator[tuple[int, Decoded, None]]:
        """Rows of columns that are read side by side, each through an opening of its own."""
        names = [name for name, _, _ in layout.columns]
        if len(names) > WIDEST:
            raise Refused(
                f"{path} is an object of {len(names)} columns",
                why=f"columns are read side by side, and {WIDEST} is the most",
                instead="write it as an array of objects, or one object a line",
            )
        with ExitStack() as opened:
            streams = []
            for _, offset, line in layout.columns:
                stream = opened.enter_context(encoding.open_text(path, self.encoding))
                streams.append(JsonStream(stream, str(path), offset, line, max(SMALLEST, CHUNK // len(names))))
            for cells in zip(*map(_cells, streams), strict=True):
                values = {name: cell.value for name, cell in zip(names, cells, strict=True)}
                problem = next((cell.problem for cell in cells if cell.problem), "")
                yield streams[0].line, Decoded(values, 0, problem), None


@lru_cache(maxsize=64)
def _layout_of(path: Path, found: encoding.Encoding, each: str | None, state: tuple[int, int, bytes]) -> Layout:
    """Remembered for a file of one state, which is read and counted."""
    with path.open(encoding=found.name, errors=found.errors, newline="") as stream:
        document = JsonStream(stream, str(path))
        if not document.mark():
            raise Refused(f"{path} is empty", why="there is nothing in it but white space")
        return layout_of(document, each)


def _keyed(path: Path, key: str | None, steps: Sequence[str], codec: str) -> Iterator[Span]:
    """The bytes of records in lists in lists. Read as Latin 1, a byte is a character, and so are those of keys."""
    first, *others = (step.encode(codec).decode("latin_1") for step in (key or "", *steps))
    with path.open(encoding="latin_1", newline="") as stream:
        yield from starmap(Span, nested_places(chunks(stream), None if key is None else first, others))


def _by_keys(layout: Layout) -> bool:
    """Whether it takes the keys on the way to tell where records are."""
    return bool(layout.steps and layout.kind != "document") or (layout.kind == "member" and layout.before is None)


def _elements(document: JsonStream, layout: Layout) -> Found:
    for found in document.elements():
        if not layout.steps:
            yield document.line, found, document.span
            continue
        source, line, seen = document.source, document.line, 0
        for place, inner in walked(document.decoder, source, layout.steps):
            line, seen = line + line_ends(source, seen, place), place
            yield line, inner, document.part(place, inner.end)


def _member(document: JsonStream, layout: Layout) -> Found:
    """The elements of one list of the outermost object; or that object where it has no such list."""
    others: dict[str, Any] = {}
    missing, begun = True, document.byte
    for key in document.members():
        listed = document.mark() == "["
        if listed and key == layout.key:
            if not missing:
                raise document.refused(f"the key {key!r} stands twice in one object", document.place)
            missing = False
            yield from _elements(document, layout)
        elif listed:
            deque(document.elements(), 0)
        else:
            others[key] = document.value().value
    if missing:
        whole = None if begun is None or document.byte is None else Span(begun, document.byte)
        yield 1, Decoded(others, 0, f"it has no list '{layout.key}'"), whole


def _members(document: JsonStream, layout: Layout) -> Found:
    for _ in document.members():
        found = document.value()
        yield document.line, found, document.span


def _document(document: JsonStream, layout: Layout) -> Found:
    found = document.value()
    wrong = (
        ""
        if not layout.steps
        else "a list is expected"
        if not layout.steps[0]
        else f"it has no list '{layout.steps[0]}'"
    )
    yield document.line, found._replace(problem=wrong or found.problem), document.span


def _sequence(document: JsonStream, layout: Layout) -> Found:
    while document.mark() == "{":
        found = document.value()
        yield document.line, found, document.span


_HELD = {
    "elements": _elements,
    "member": _member,
    "members": _members,
    "document": _document,
    "sequence": _sequence,
}


def _cells(document: JsonStream) -> Iterator[Decoded]:
    """What stands in a column: a list, or an object whose keys number the rows."""
    if document.mark() == "[":
        yield from document.elements()
    else:
        for _ in document.members():
            yield document.value()


def _record(found: Decoded, file: str, line: int, span: Span | None) -> Record:
    if not isinstance(found.value, (dict, str)):
        return Record(found.value, file, line, f"an object is expected, here is {_kind(found.value)}", span)
    return Record(found.value, file, line, found.problem, span)


def _kind(value: Any) -> str:
    names = {list: "an array", bool: "true or false", type(None): "null"}
    return names.get(type(value), "one number")
