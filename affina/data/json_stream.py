"""A JSON document read from front to back: only what is being decoded is in memory, and errors have line and column."""

import json
from collections.abc import Callable, Iterator
from typing import TextIO

from affina.core.errors import Refused
from affina.core.kinds import Span
from affina.data.lines import CHUNK, chunks, line_ends
from affina.data.strict_json import Decoded, Decoder, past_space

LONGEST_CUT = 16
"""Characters from the end of what is read in which an error may come from what is not: `-Infinit`, `\\ud83`."""


class JsonStream:
    """A place in a document. What is taken moves it on. Raises Refused, with line and column, for what is not JSON."""

    def __init__(self, stream: TextIO, file: str, skip: int = 0, line: int = 1, size: int = 0) -> None:
        """`skip` characters of the stream are passed over, to what stands in this line; `size` are read at once."""
        self.ruler: Ruler | None = None
        """Tells bytes, where they are to be known."""
        self.file, self.decoder = file, Decoder()
        self.text, self.place, self.start = "", 0, 0
        self.offset = 0
        """Characters before `text`, of those that were not skipped."""
        self._size = size or CHUNK
        self._chunks, self._ended = _after(chunks(stream, self._size), skip), False
        self._line, self._column, self._seen = line, 1, 0

    @property
    def line(self) -> int:
        """The line that the last value starts on."""
        self._look(self.start)
        return self._line

    @property
    def span(self) -> Span | None:
        """The bytes of the last value, where they are known."""
        return self.ruler.span(self.text, self.start, self.place) if self.ruler else None

    @property
    def byte(self) -> int | None:
        """The byte that comes next, where bytes are known."""
        return self.ruler.span(self.text, self.place, self.place).start if self.ruler else None

    def part(self, start: int, stop: int) -> Span | None:
        """The bytes of a part of the last value's source; parts are asked for in order, and before its `span`."""
        return self.ruler.span(self.text, self.start + start, self.start + stop) if self.ruler else None

    @property
    def source(self) -> str:
        """The last value as it is written."""
        return self.text[self.start : self.place]

    def mark(self) -> str:
        """The next character that is no white space; empty at the end."""
        while (place := past_space(self.text, self.place)) == len(self.text) and not self._ended:
            self.place = place
            self._more()
        self.place = place
        return self.text[place : place + 1]

    def value(self) -> Decoded:
        """The value that begins here."""
        self.mark()
        while True:
            found = self._tried()
            if found is not None and (self._ended or len(self.text) - found.end > LONGEST_CUT):
                self.start, self.place = self.place, found.end
                return found
            self._more()

    def elements(self) -> Iterator[Decoded]:
        """Each element of the array that begins here."""
        self.place += 1
        if self.mark() == "]":
            self.place += 1
            return
        while True:
            yield self.value()
            if self._ends("]"):
                return

    def members(self) -> Iterator[str]:
        """Each key of the object that begins here; its value must be taken before the next key is asked for."""
        self.place += 1
        if self.mark() == "}":
            self.place += 1
            return
        while True:
            if self.mark() != '"':
                raise self.refused("Expecting property name enclosed in double quotes", self.place)
            key = self.value().value
            if self.mark() != ":":
                raise self.refused("Expecting ':' delimiter", self.place)
            self.place += 1
            yield key
            if self._ends("}"):
                return

    def end(self) -> None:
        """Nothing but white space may follow."""
        if self.mark():
            raise self.refused("something follows the value", self.place)

    def refused(self, why: str, place: int) -> Refused:
        """What is wrong at this place of the text, which is no earlier than the last value's start."""
        self._look(place)
        return Refused("not JSON", why=why, where=f"{self.file}:{self._line}:{self._column}")

    def _tried(self) -> Decoded | None:
        """The value, or None where what is wrong with it may be that it is not all read."""
        try:
            return self.decoder.at(self.text, self.place)
        except json.JSONDecodeError as error:
            cut = error.msg.startswith("Unterminated string") or len(self.text) - error.pos <= LONGEST_CUT
            if self._ended or not cut:
                raise self.refused(error.msg, error.pos) from error
            return None
        except ValueError as error:
            raise self.refused(str(error), self.place) from error

    def _ends(self, closing: str) -> bool:
        """Takes what stands after an element: its closing bracket (True), or a comma."""
        mark = self.mark()
        if mark not in (closing, ",") or not mark:
            raise self.refused("Expecting ',' delimiter", self.place)
        self.place += 1
        return mark == closing

    def _more(self) -> None:
        """At least as much more text as there is left, so that a long value is not tried too often."""
        self._look(self.place)
        if self.ruler:
            self.ruler.cut(self.text, self.place)
        self.offset += self.place
        parts, size = [self.text[self.place :]], 0
        wanted = max(self._size, len(parts[0]))
        while size < wanted and not self._ended:
            part = next(self._chunks, None)
            self._ended = part is None
            parts.append(part or "")
            size += len(parts[-1])
        self.text, self.place, self.start, self._seen = "".join(parts), 0, 0, 0

    def _look(self, place: int) -> None:
        """Moves line and column on to a place of the text."""
        text, seen = self.text, self._seen
        if ends := line_ends(text, seen, place):
            self._line += ends
            self._column = place - max(text.rfind("\n", seen, place), text.rfind("\r", seen, place))
        else:
            self._column += place - seen
        self._seen = place


class Ruler:
    """Where places of a text that is read in pieces stand in its file; they are asked for in order."""

    def __init__(self, size: Callable[[str], int], begun: int) -> None:
        """`size` of any part of the text; `begun`: bytes of the mark before it."""
        self._size, self._place, self._byte = size, 0, begun

    def span(self, text: str, start: int, stop: int) -> Span:
        """The bytes of this part of the text, which begins no earlier than the last one that was asked about ends."""
        begun = self._byte + self._size(text[self._place : start])
        self._place, self._byte = stop, begun + self._size(text[start:stop])
        return Span(begun, self._byte)

    def cut(self, text: str, place: int) -> None:
        """The text begins at this place from now on."""
        self.span(text, place, place)
        self._place = 0


def _after(pieces: Iterator[str], skip: int) -> Iterator[str]:
    for piece in pieces:
        if skip < len(piece):
            yield piece[skip:]
        skip = max(0, skip - len(piece))
