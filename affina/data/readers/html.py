"""Web pages: what a person reads of one, whole, by section or by paragraph; or the rows of one of its tables."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field, field_validator

from affina.core.errors import Refused
from affina.core.kinds import Reader, Record
from affina.data import declared, encoding, webpage
from affina.data.blocks import parts
from affina.data.heading import header, told_apart
from affina.data.html_count import Page, count_paragraphs, count_rows, count_sections, countable

MOST_BYTES = 1 << 26


class Html(Reader):
    """A page's readable text. `line` is the number of the block that a record begins with, as the text is read, or of
    the row in its table; the source's own lines are not known to a parser of HTML."""

    suffixes: ClassVar[tuple[str, ...]] = (".html", ".htm", ".xhtml")
    texts: ClassVar[bool] = True

    by: Literal["document", "section", "paragraph", "table"] = "document"
    """What one record is: the whole page, what stands under a heading, a paragraph; or, of a table, a row."""
    boilerplate: Literal["drop", "keep"] = "drop"
    """Whether navigation, headers, footers, asides and runs of links are left out."""
    table: int | None = Field(None, ge=1)
    """Which table is read, counted from 1 among those without another inside; the one of most cells when left out."""
    header: bool | None = None
    """Whether the table's first row names the columns; told by its marks, or judged from the rows, when left out."""
    encoding: str | None = None
    """The file's encoding; the one that the page declares when left out, or a detected one."""

    @field_validator("encoding")
    @classmethod
    def _known(cls, name: str | None) -> str | None:
        return name and encoding.known(name)

    def look(self, path: Path) -> tuple[Html, str]:
        """This reader with the encoding filled in, and with the table and its header where a table is read."""
        page = declared.read(path, self.encoding, MOST_BYTES)
        told = f"{page.codec}{f'; {page.note}' if page.note else ''}"
        if self.by != "table":
            settled = self.model_copy(update={"encoding": page.codec})
            return settled, f"a web page, one record per {self.by}, {told}"
        place, rows, named, many = self._table(page.text, path)
        settled = self.model_copy(update={"encoding": page.codec, "table": place, "header": named})
        which = f"table {place} of {many}, {len(rows)} rows, {'a header' if named else 'no header'}"
        return settled, f"a web page's {which}, {told}"

    def records(self, path: Path) -> Iterator[Record]:
        """The records in order. A page without text is one with a problem; raises Refused for one without a table."""
        page = declared.read(path, self.encoding, MOST_BYTES)
        if self.by == "table":
            yield from self._rows(page.text, path)
            return
        found = list(parts(webpage.blocks(page.text, self.boilerplate == "keep"), self.by))
        for line, text in found:
            yield Record(text, str(path), line)
        if not found:
            yield Record("", str(path), 1, _empty(page.text))

    def count(self, path: Path) -> int | None:
        """One, where the record is the page; else by the tags of its tree, written out. A page without text is one.
        None where these cannot be told from texts."""
        if self.by == "document":
            return 1
        text = declared.read(path, self.encoding, MOST_BYTES).text
        page = Page(*webpage.written_out(text, self.by == "table" or self.boilerplate == "keep"))
        if not countable(page):
            return None
        if self.by == "table":
            place, _, named, _ = self._table(text, path)
            return count_rows(page.source, place, named)
        return (count_sections if self.by == "section" else count_paragraphs)(page) or 1

    def _rows(self, text: str, path: Path) -> Iterator[Record]:
        _, rows, named, _ = self._table(text, path)
        width = max(map(len, rows))
        remedy = "mend the page, or write `header: false` in the reader, which numbers the columns"
        heads = [*rows[0], *[""] * (width - len(rows[0]))] if named else [""] * width
        names = told_apart(heads, f"the table of {path}", remedy)
        for number, cells in enumerate(rows[1:] if named else rows, 2 if named else 1):
            if len(cells) == width:
                yield Record(dict(zip(names, cells, strict=True)), str(path), number)
            elif any(cells):
                why = f"the row has {len(cells)} cells where {width} are expected"
                yield Record(cells, str(path), number, why)

    def _table(self, text: str, path: Path) -> tuple[int, list[list[str]], bool, int]:
        """Its number, its rows, whether the first names the columns, and how many tables there are."""
        found = webpage.tables(text)
        if not found or (self.table or 1) > len(found):
            there = f"there are {len(found)}" if found else "there is none"
            raise Refused(f"{path} has no table{f' {self.table}' if self.table else ''}", why=there)
        largest = max(range(len(found)), key=lambda at: (sum(map(len, found[at][0])), -at))
        place = self.table or largest + 1
        rows, marked = found[place - 1]
        if not any(map(any, rows)):
            raise Refused(f"table {place} of {path} is empty", why="no cell of it holds text")
        named = self.header if self.header is not None else marked or header(rows[:200])[0]
        return place, rows, named, len(found)


def _empty(text: str) -> str:
    if webpage.blocks(text, whole=True):
        return "the page holds nothing but navigation and links: `boilerplate: keep` under `data.reader` reads them"
    return "the page holds no text: a script may write it, or it is all pictures"
