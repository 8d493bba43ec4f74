"""Delimited text (comma, semicolon, tab, pipe): one record per row, columns named by the header or by their place."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import field_validator

from affina.core.errors import Refused
from affina.core.kinds import Reader, Record
from affina.data import encoding
from affina.data.dialect import SEPARATORS, Parsed, column_names, header, parse, physical_lines, sniff

SAMPLE = 1 << 19


class Csv(Reader):
    """Delimited text. A row with too few or too many cells, a stray quote or a NUL is a record with a problem."""

    suffixes: ClassVar[tuple[str, ...]] = (".csv", ".tsv", ".tab", ".psv")

    separator: Literal[",", ";", "\t", "|"] | None = None
    """What stands between cells; found on the first rows when left out."""
    quote: Literal['"', "'", ""] | None = None
    """What encloses a cell that holds the separator or a line end; empty for none. Found when left out."""
    escape: Literal["", "\\"] | None = None
    """What stands before a quote inside a cell; empty where quotes are doubled instead. Found when left out."""
    header: bool | None = None
    """Whether the first row names the columns; judged from the rows when left out."""
    encoding: str | None = None
    """The file's encoding; detected when left out."""

    @field_validator("encoding")
    @classmethod
    def _known(cls, name: str | None) -> str | None:
        return name and encoding.known(name)

    def look(self, path: Path) -> tuple[Csv, str]:
        """This reader with the file's dialect, header and encoding filled in, and how they were found."""
        settled, reason, _ = self._settle(path)
        return settled, reason

    def records(self, path: Path) -> Iterator[Record]:
        """Every row that is not blank, with the physical line it starts on. Raises Refused for a file without rows."""
        settled, _, width = self._settle(path)
        names = None if settled.header else [f"column {place + 1}" for place in range(width)]
        empty = True
        with encoding.open_text(path, settled.encoding) as stream:
            assert settled.separator is not None and settled.quote is not None and settled.escape is not None
            for row in parse(stream, settled.separator, settled.quote, settled.escape):
                if names is None and row.cells is not None:
                    names = column_names(row.cells)
                else:
                    empty = False
                    yield _record(row, names or [], str(path))
        if empty:
            if not names or not settled.header:
                raise Refused(f"{path} is empty", why="there is nothing in it but white space")
            raise Refused(f"{path} holds no rows", why="there is only a header")

    def _settle(self, path: Path) -> tuple[Csv, str, int]:
        found = encoding.detect(path, self.encoding)
        with path.open(encoding=found.name, newline="") as stream:
            sample = stream.read(SAMPLE)
            whole = not stream.read(1)
        dialect = sniff(sample, whole, self.separator, self.quote, self.escape)
        rows = parse(physical_lines(sample), dialect.separator, dialect.quote, dialect.escape)
        cells = [row.cells for row in rows if row.cells is not None]
        named, reason = header(cells[:200]) if self.header is None else (self.header, "as the reader was told")
        settled = Csv(
            separator=dialect.separator, quote=dialect.quote, escape=dialect.escape, header=named, encoding=found.name
        )
        cut = f"{SEPARATORS[dialect.separator]}-separated" if dialect.width > 1 else "one column"
        how = f"{cut}, {'a header' if named else 'no header'} because {reason}"
        return settled, f"{how}, {found.name}", dialect.width


def _record(row: Parsed, names: list[str], file: str) -> Record:
    if row.cells is None:
        return Record(row.lines[0].rstrip("\r\n"), file, row.line, row.problem)
    cells = row.cells
    while len(cells) > len(names) and not cells[-1].strip():
        cells = cells[:-1]
    if len(cells) != len(names):
        return Record(cells, file, row.line, f"the row has {len(cells)} cells where {len(names)} are expected")
    values = dict(zip(names, cells, strict=True))
    return Record(
        values, file, row.line, "the row holds a NUL character" if any("\0" in cell for cell in cells) else ""
    )
