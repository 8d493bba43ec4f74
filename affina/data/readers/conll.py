"""CoNLL files: one word a line with its columns, a blank line after each sentence; CoNLL-U included."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import field_validator

from affina.core.errors import Refused
from affina.core.kinds import Reader, Record
from affina.data import encoding

SAMPLE = 2000
"""Lines on which separator and columns are found."""
UNIVERSAL = ("words", "lemma", "upos", "xpos", "feats", "head", "deprel", "deps", "misc")
NUMBER = re.compile(r"\d+(?:[-.]\d+)?")
DOCUMENT = "-DOCSTART-"
Line = tuple[int, str]


class Conll(Reader):
    """A sentence is a record of lists, one item a word. Comments, numbers of words and CoNLL-U's multiword tokens and
    empty nodes are passed over."""

    suffixes: ClassVar[tuple[str, ...]] = (".conll", ".conllu", ".iob", ".iob2", ".bio")

    separator: Literal["tab", "space"] | None = None
    """What stands between columns: a tab, or any white space; found on the first lines when left out."""
    columns: tuple[str, ...] = ()
    """The names of the columns; when left out, those of CoNLL-U, or `words` first, `tags` last, and between them by
    their place."""
    encoding: str | None = None
    """The file's encoding; detected when left out."""

    @field_validator("encoding")
    @classmethod
    def _known(cls, name: str | None) -> str | None:
        return name and encoding.known(name)

    def look(self, path: Path) -> tuple[Conll, str]:
        """This reader with separator, columns and encoding filled in."""
        found = encoding.detect(path, self.encoding)
        with encoding.open_text(path, found.name, newline=None) as stream:
            lines = [line for _, line in islice(_filled(stream), SAMPLE)]
        if not lines:
            raise Refused(f"{path} holds no sentences", why="there is nothing in it but white space and comments")
        tabs = 2 * sum("\t" in line for line in lines) > len(lines)
        separator: Literal["tab", "space"] = self.separator or ("tab" if tabs else "space")
        names = self.columns or _names([_cells(line, separator) for line in lines])
        if len(names) < 2:
            raise Refused(f"{path} holds single words", why="a word and its tag are expected on each line")
        settled = Conll(separator=separator, columns=names, encoding=found.name)
        return settled, f"words with {', '.join(name for name in names if name)}, {separator}-separated, {found.name}"

    def records(self, path: Path) -> Iterator[Record]:
        """Every sentence, with the line it starts on; one with a line of too few or too many cells has a problem."""
        settled, _ = self.look(path)
        with encoding.open_text(path, settled.encoding, newline=None) as stream:
            for sentence in _sentences(stream):
                if record := settled._record(sentence, str(path)):
                    yield record

    def _record(self, sentence: Sequence[Line], file: str) -> Record | None:
        assert self.separator is not None
        rows = [(number, _cells(line, self.separator)) for number, line in sentence]
        width = len(self.columns)
        opening = next((at for at, (_, row) in enumerate(rows) if not _is_comment(row, width)), len(rows))
        rows = rows[opening:]
        if not rows or rows[0][1][0] == DOCUMENT:
            return None
        for number, row in rows:
            if len(row) != width:
                why = f"line {number} has {len(row)} cells where {width} are expected"
                return Record([line for _, line in sentence], file, rows[0][0], why)
        words = [row for _, row in rows if self.columns[0] or row[0].isdecimal()]
        held = {name: [row[at] for row in words] for at, name in enumerate(self.columns) if name}
        return Record(held, file, rows[0][0])


def _is_comment(row: Sequence[str], width: int) -> bool:
    """A line before the first word that begins with # and is no word: it has other columns."""
    return row[0].startswith("#") and len(row) != width


def _cells(line: str, separator: str) -> list[str]:
    return [cell.strip() for cell in line.split("\t")] if separator == "tab" else line.split()


def _names(rows: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """A name for each column; a first column that only numbers the words has none."""
    width = Counter(map(len, rows)).most_common(1)[0][0]
    fits = [row for row in rows if len(row) == width]
    numbered = width > 2 and all(NUMBER.fullmatch(row[0]) for row in fits)
    if numbered and width == len(UNIVERSAL) + 1:
        return ("", *UNIVERSAL)
    first = 1 if numbered else 0
    between = [f"column {place}" for place in range(first + 2, width)]
    return ("",) * first + ("words", *between, "tags")[: width - first]


def _filled(lines: Iterator[str]) -> Iterator[Line]:
    """Lines of words, numbered; blank ones and what can only be a comment are not."""
    for number, line in enumerate(lines, 1):
        if line.strip() and not line.startswith("# ") and not line.startswith(DOCUMENT):
            yield number, line.rstrip("\n")


def _sentences(lines: Iterator[str]) -> Iterator[list[Line]]:
    held: list[Line] = []
    for number, line in enumerate(lines, 1):
        if line.strip():
            held.append((number, line.rstrip("\n")))
        elif held:
            yield held
            held = []
    if held:
        yield held
