"""Lines that begin with their class: `0 some words`, `__label__sport some words` (Joulin et al. 2016, fastText)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from pydantic import field_validator

from affina.core.errors import Refused
from affina.core.kinds import Reader, Record, Stretches
from affina.data import encoding
from affina.data.linecount import count_lines
from affina.data.offsets import Line, located, stretches, united
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
        for line in located(path, settled.encoding):
            if line.text.strip():
                empty = False
                yield _record(line, settled.several is True, str(path))
        if empty:
            raise Refused(f"{path} holds no lines", why="there is nothing in it but white space")

    def stretches(self, path: Path) -> Stretches | None:
        """Lines that are not blank, by a regular expression."""
        return stretches(path, self.encoding, count_lines)


def _record(line: Line, several: bool, file: str) -> Record:
    span = united([line])
    if "\0" in line.text:
        return Record(line.text.rstrip("\r\n"), file, line.number, "the line holds a NUL character", span)
    classes, text = divided(line.text)
    values = {"labels": classes, "text": text} if several else {"label": classes[0], "text": text}
    return Record(values, file, line.number, span=span)
