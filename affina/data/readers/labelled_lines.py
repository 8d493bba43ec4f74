"""Lines that begin with their class: `0 some words`, `__label__sport some words` (Joulin et al. 2016, fastText)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import ClassVar

from pydantic import field_validator

from affina.core.errors import Refused
from affina.core.kinds import Reader, Record
from affina.data import encoding
from affina.data.linecount import count_lines
from affina.data.lines import batches, chunks
from affina.data.prefixed import divided


class LabelledLines(Reader):
    """A class (or several marked ones) and a text on each line, as columns `label` and `text`, or `labels` and `text`.
    Found in files without an ending of their own, and in text files whose lines have marks."""

    suffixes: ClassVar[tuple[str, ...]] = (".ft", ".fasttext")

    several: bool | None = None
    """Whether a line may have several classes; as the first 64 kB show when left out."""
    encoding: str | None = None
    """The file's encoding; detected when left out."""

    @field_validator("encoding")
    @classmethod
    def _known(cls, name: str | None) -> str | None:
        return name and encoding.known(name)

    def look(self, path: Path) -> tuple[LabelledLines, str]:
        """This reader with the encoding filled in, and whether lines have several classes."""
        found = encoding.detect(path, self.encoding)
        several = self.several
        if several is None:
            with encoding.open_text(path, found.name) as stream:
                lines = stream.read(1 << 16).splitlines()
            several = any(len(divided(line)[0]) > 1 for line in lines if line.strip())
        told = "classes before their text" if several else "a class before its text"
        return LabelledLines(several=several, encoding=found.name), f"each line {told}, {found.name}"

    def records(self, path: Path) -> Iterator[Record]:
        """Every line that is not blank. Raises Refused for a file of blank lines only."""
        settled, _ = self.look(path)
        empty = True
        with encoding.open_text(path, settled.encoding) as stream:
            for number, line in enumerate(chain.from_iterable(batches(stream, str(path))), 1):
                if line.strip():
                    empty = False
                    yield _record(line, settled.several is True, str(path), number)
        if empty:
            raise Refused(f"{path} holds no lines", why="there is nothing in it but white space")

    def count(self, path: Path) -> int:
        """Lines that are not blank, by a regular expression over chunks of the text."""
        with encoding.open_text(path, self.encoding) as stream:
            return count_lines(chunks(stream))


def _record(line: str, several: bool, file: str, number: int) -> Record:
    if "\0" in line:
        return Record(line.rstrip("\r\n"), file, number, "the line holds a NUL character")
    classes, text = divided(line)
    if several:
        return Record({"labels": classes, "text": text}, file, number)
    return Record({"label": classes[0], "text": text}, file, number)
