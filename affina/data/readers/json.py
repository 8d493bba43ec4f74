"""One JSON document: an array of objects or strings, columns of equal length, or an object that holds the records."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

from pydantic import field_validator

from affina.core.errors import Refused
from affina.core.kinds import Reader, Record
from affina.data import encoding
from affina.data.strict_json import Decoded, Decoder, past_space


class Json(Reader):
    """A whole file of JSON: `[{…}, …]`, `{"data": [{…}, …]}`, `{"column": […], …}`, `{"key": {…}, …}` or one object."""

    suffixes: ClassVar[tuple[str, ...]] = (".json",)

    encoding: str | None = None
    """The file's encoding; detected when left out."""

    @field_validator("encoding")
    @classmethod
    def _known(cls, name: str | None) -> str | None:
        return name and encoding.known(name)

    def look(self, path: Path) -> tuple[Json, str]:
        """This reader with the encoding filled in."""
        found = encoding.detect(path, self.encoding)
        return Json(encoding=found.name), f"one JSON document, {found.name}"

    def records(self, path: Path) -> Iterator[Record]:
        """Every record with the line it starts on. Raises Refused, located, for what is not JSON."""
        with encoding.open_text(path, self.encoding) as stream:
            text = stream.read()
        if not text.strip():
            raise Refused(f"{path} is empty", why="there is nothing in it but white space")
        decoder = Decoder()
        try:
            document = decoder.whole(text)
        except json.JSONDecodeError as error:
            raise Refused("not JSON", why=error.msg, where=f"{path}:{error.lineno}:{error.colno}") from error
        except ValueError as error:
            raise Refused(f"{path} is not JSON", why=str(error)) from error
        line, seen, empty = 1, 0, True
        for place, found in _located(decoder, document.value, text):
            line, seen, empty = line + _line_ends(text, seen, place), place, False
            yield _record(found, str(path), line)
        if empty:
            raise Refused(
                f"{path} holds no records",
                why=f"it is JSON, but {_kind(document.value)}",
                instead="give an array of objects, or an object of columns",
            )


def _located(decoder: Decoder, value: Any, text: str) -> Iterator[tuple[int, Decoded]]:
    """Each record and where it starts, whichever way the document holds them."""
    start = past_space(text, 0)
    if isinstance(value, list):
        yield from decoder.elements(text, start)
    elif isinstance(value, dict) and value:
        lists = [key for key, held in value.items() if isinstance(held, list)]
        objects = [key for key in lists if value[key] and isinstance(value[key][0], dict)]
        if len(lists) == len(value) and not objects and len({len(held) for held in value.values()}) == 1:
            for cells in zip(*value.values(), strict=True):
                yield start, Decoded(dict(zip(value, cells, strict=True)), start)
        elif len(objects) == 1 and not _is_conversation(value, objects[0]):
            inside = next(place for key, place, _ in decoder.members(text, start) if key == objects[0])
            yield from decoder.elements(text, inside)
        elif len(value) > 1 and all(isinstance(held, dict) for held in value.values()):
            yield from ((place, found) for _, place, found in decoder.members(text, start))
        else:
            yield start, decoder.at(text, start)


def _is_conversation(value: dict[str, Any], key: str) -> bool:
    """A single object whose list is the turns of one conversation is itself the record."""
    return {"role", "from"} & set(value[key][0]) != set()


def _line_ends(text: str, start: int, stop: int) -> int:
    ends = text.count("\n", start, stop)
    return ends or text.count("\r", start, stop)


def _record(found: Decoded, file: str, line: int) -> Record:
    if not isinstance(found.value, (dict, str)):
        return Record(found.value, file, line, f"an object is expected, here is {_kind(found.value)}")
    return Record(found.value, file, line, found.problem)


def _kind(value: Any) -> str:
    names = {dict: "an empty object", list: "an array", str: "one string", bool: "true or false", type(None): "null"}
    return names.get(type(value), "one number")
