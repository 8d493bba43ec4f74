"""Plain text: each document, paragraph or line is one record, a string."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import field_validator

from affina.core.errors import Refused
from affina.core.kinds import Reader, Record
from affina.data import encoding


class PlainText(Reader):
    """Text without columns. Line ends become \\n; nothing else is changed."""

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
        """The records in order, with the line each starts on. Raises Refused for a file without text or with NULs."""
        with encoding.open_text(path, self.encoding, newline=None) as stream:
            text = stream.read()
        if "\0" in text:
            raise Refused(f"{path} is binary", why="text holds no NUL characters", instead="give a text file")
        if not text.strip():
            raise Refused(f"{path} holds no text", why="there is nothing in it but white space")
        for line, part in self._parts(text):
            yield Record(part, str(path), line)

    def _parts(self, text: str) -> Iterator[tuple[int, str]]:
        if self.by == "document":
            yield 1, text
            return
        held: list[str] = []
        for number, line in enumerate([*text.split("\n"), ""], 1):
            if line.strip() and self.by == "line":
                yield number, line
            elif line.strip():
                held.append(line)
            elif held:
                yield number - len(held), "\n".join(held)
                held = []
