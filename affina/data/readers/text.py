"""Plain text: each document, paragraph or line is one record, a string."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import field_validator

from affina.core.errors import Refused
from affina.core.kinds import Reader, Record, Stretches
from affina.data import encoding
from affina.data.linecount import count_lines, count_paragraphs
from affina.data.lines import LONGEST
from affina.data.offsets import Line, located, stretches, united


class PlainText(Reader):
    """Text without columns. Line ends become \\n; nothing else is changed. Of paragraphs and lines one is in memory at
    a time."""

    suffixes: ClassVar[tuple[str, ...]] = (".txt", ".text")
    texts: ClassVar[bool] = True

    by: Literal["document", "paragraph", "line"] = "document"
    """What one record is: the whole file, what stands between blank lines, or a line that is not blank."""
    encoding: str | None = None
    """The file's encoding; detected when left out."""

    @field_validator("encoding")
    @classmethod
    def _known(cls, name: str | None) -> str | None:
        return name and encoding.known(name)

    def look(self, path: Path) -> tuple[PlainText, str]:
        """This reader with the encoding filled in."""
        found = encoding.detect(path, self.encoding)
        return PlainText(by=self.by, encoding=found.name), f"plain text, one record per {self.by}, {found.name}"

    def records(self, path: Path) -> Iterator[Record]:
        """The records in order, with the line each starts on; a line or paragraph with a NUL has a problem. Raises
        Refused for a file without text, and for a document with a NUL."""
        yield from encoding.judged(self._records(path), encoding.detect(path, self.encoding).errors)

    def _records(self, path: Path) -> Iterator[Record]:
        if self.by == "document":
            yield self._document(path)
            return
        empty = True
        lines = located(path, self.encoding)
        for held in _lines(lines) if self.by == "line" else _paragraphs(lines, path):
            empty = False
            text = "\n".join([line.text.rstrip("\r\n") for line in held])
            problem = f"the {self.by} holds a NUL character" if "\0" in text else ""
            yield Record(text, str(path), held[0].number, problem, united(held))
        if empty:
            raise _without_text(path)

    def count(self, path: Path) -> int | None:
        """One, of a document."""
        return 1 if self.by == "document" else None

    def stretches(self, path: Path) -> Stretches | None:
        """Lines, or runs of lines, that are not blank, by regular expressions."""
        if self.by == "document":
            return None
        return stretches(path, self.encoding, count_lines if self.by == "line" else count_paragraphs)

    def _document(self, path: Path) -> Record:
        with encoding.open_text(path, self.encoding, newline=None) as stream:
            text = stream.read()
        if "\0" in text:
            raise Refused(f"{path} is binary", why="text holds no NUL characters", instead="give a text file")
        if not text.strip():
            raise _without_text(path)
        return Record(text, str(path), 1)


def _lines(lines: Iterator[Line]) -> Iterator[list[Line]]:
    return ([line] for line in lines if line.text.strip())


def _paragraphs(lines: Iterator[Line], path: Path) -> Iterator[list[Line]]:
    """Runs of lines that are not blank. Raises Refused for one that is too long: the text has no paragraphs."""
    held: list[Line] = []
    size = 0
    for line in lines:
        if line.text.strip():
            held.append(line)
            size += len(line.text)
            if size > LONGEST:
                raise Refused(
                    f"{path} has a paragraph of more than {LONGEST} characters",
                    why="no blank line divides it",
                    instead="read it by line: `reader: {name: text, by: line}` under `data`",
                    where=f"{path}:{held[0].number}",
                )
        elif held:
            yield held
            held, size = [], 0
    if held:
        yield held


def _without_text(path: Path) -> Refused:
    return Refused(f"{path} holds no text", why="there is nothing in it but white space")
