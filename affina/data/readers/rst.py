"""reStructuredText: its readable text, whole, by section or by paragraph; nothing is inserted from other files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from pydantic import field_validator

from affina.core.errors import Refused
from affina.core.kinds import Reader, Record
from affina.data import encoding
from affina.data.blocks import By, parts
from affina.data.restructured import blocks, counted

MOST_BYTES = 1 << 24


class Rst(Reader):
    """Text without its marks: roles are their words, directives what they hold, items of lists a paragraph each. `line`
    is the line of the file near which a record begins, as docutils tells it."""

    suffixes: ClassVar[tuple[str, ...]] = (".rst", ".rest")
    texts: ClassVar[bool] = True

    by: By = "document"
    """What one record is: the whole text, what stands under a heading with it, or a paragraph."""
    encoding: str | None = None
    """The file's encoding; detected when left out."""

    @field_validator("encoding")
    @classmethod
    def _known(cls, name: str | None) -> str | None:
        return name and encoding.known(name)

    def look(self, path: Path) -> tuple[Rst, str]:
        """This reader with the encoding filled in."""
        found = encoding.detect(path, self.encoding)
        return Rst(by=self.by, encoding=found.name), f"reStructuredText, one record per {self.by}, {found.name}"

    def records(self, path: Path) -> Iterator[Record]:
        """The records in order; a text that is all comments and insertions is one with a problem. Raises Refused for a
        file of white space, with NULs, of more than 16 MiB, or nested too deeply."""
        with encoding.open_text(path, self.encoding, newline=None) as stream:
            text = stream.read(MOST_BYTES + 1)
        if len(text) > MOST_BYTES:
            raise Refused(f"{path} is too large for one text", why="16 MiB are held at most", instead="divide it")
        if "\0" in text:
            raise Refused(f"{path} is binary", why="text holds no NUL characters", instead="give a text file")
        if not text.strip():
            raise Refused(f"{path} holds no text", why="there is nothing in it but white space")
        try:
            found = blocks(text)
        except RecursionError as error:
            raise Refused(
                f"{path} cannot be read as reStructuredText",
                why="its parts are nested too deeply",
                instead="read it as it is written: `reader: text`",
            ) from error
        empty = True
        for line, part in parts(found, self.by):
            empty = False
            yield Record(part, str(path), line)
        if empty:
            yield Record(text, str(path), 1, "it holds no text of its own: only comments, lists of files or pictures")

    def count(self, path: Path) -> int | None:
        """One, where the record is the whole text; else by its sections one after the other. A text without any of
        its own is one."""
        if self.by == "document":
            return 1
        with encoding.open_text(path, self.encoding, newline=None) as stream:
            return counted(stream.read(), self.by) or 1
