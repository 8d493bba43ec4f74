"""One JSON document: an array of objects or strings, columns of equal length, or an object that holds the records."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field, field_validator

from affina.core.errors import Refused
from affina.core.kinds import Reader, Record
from affina.data import encoding
from affina.data.nested import walked
from affina.data.strict_json import Decoded, Decoder, past_space

NESTED = ("data[].paragraphs[].qas[]", "[].paragraphs[].qas[]", "instances[].questions[]", "[].questions[]")
"""Lists in lists that are known: SQuAD's, and those of its variants."""


class Json(Reader):
    """A whole file of JSON: `[{…}, …]`, `{"data": [{…}, …]}`, `{"column": […], …}`, `{"key": {…}, …}`, lists in lists,
    or one object."""

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
        each = self.each or next((path for path in NESTED if _leads(document.value, _steps(path))), None)
        inside = walked(decoder, text, _steps(each)) if each else _located(decoder, document.value, text)
        for place, found in inside:
            line, seen, empty = line + _line_ends(text, seen, place), place, False
            yield _record(found, str(path), line)
        if empty:
            raise Refused(
                f"{path} holds no records",
                why=f"it is JSON, but {_kind(document.value)}",
                instead="give an array of objects, or an object of columns",
            )


def _steps(path: str) -> list[str]:
    """The keys of the lists on the way; an empty one for a file that is a list."""
    return [step.removesuffix("[]") for step in path.split(".")]


def _leads(value: Any, steps: list[str]) -> bool:
    """Whether some object of the document has this list, and in it another, to the end."""
    held = value.get(steps[0]) if isinstance(value, dict) else value if not steps[0] else None
    if not isinstance(held, list):
        return False
    return len(steps) == 1 or any(_leads(each, steps[1:]) for each in held)


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
