"""Delimited text (comma, semicolon, tab, pipe …): one record per row, columns named by the header or by their place."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Annotated, ClassVar, Literal, NamedTuple

from pydantic import AfterValidator, Field, field_validator, model_validator

from affina.core.errors import Refused
from affina.core.kinds import Reader, Record, Span, Stretches
from affina.data import encoding
from affina.data.delimited import Form, Parsed, parse
from affina.data.dialect import NAMES, Told, fixed_width, sniff
from affina.data.heading import Heading, heading
from affina.data.lines import batches, physical_lines
from affina.data.offsets import measure, stretches
from affina.data.rowcount import count_rows

SAMPLE = 1 << 19
"""Characters that dialect and header are found on; more where they are no five lines."""
ROWS = 5
LONGEST_SAMPLE = 1 << 23


def _one_character(sign: str) -> str:
    if sign in "\r\n\0":
        raise ValueError("a line end or a NUL separates no cells")
    return sign


Sign = Annotated[str, Field(min_length=1, max_length=1), AfterValidator(_one_character)]


class Csv(Reader):
    """Delimited text. A row with too few or too many cells, a stray quote or a NUL is a record with a problem."""

    suffixes: ClassVar[tuple[str, ...]] = (".csv", ".tsv", ".tab", ".psv")

    separator: Sign | None = None
    """What stands between cells, one character; found on the first rows when left out."""
    quote: Literal['"', "'", ""] | None = None
    """What encloses a cell that holds the separator or a line end; empty for none. Found when left out."""
    escape: Literal["", "\\"] | None = None
    """What stands before a quote inside a cell; empty where quotes are doubled instead. Found when left out."""
    comment: Sign | Literal[""] | None = None
    """What begins a line that is no row; empty for none. When left out, `#` where the file begins with such lines, and
    they have no cells as rows have them."""
    header: bool | None = None
    """Whether the first row names the columns; judged from the rows when left out."""
    columns: tuple[str, ...] = ()
    """The columns' names, instead of those that the header gives."""
    encoding: str | None = None
    """The file's encoding; detected when left out."""

    @field_validator("encoding")
    @classmethod
    def _known(cls, name: str | None) -> str | None:
        return name and encoding.known(name)

    @field_validator("columns")
    @classmethod
    def _distinct(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(names)) < len(names) or "" in names:
            raise ValueError("each column needs a name of its own")
        return names

    @model_validator(mode="after")
    def _apart(self) -> Csv:
        signs = [sign for sign in (self.separator, self.quote, self.escape, self.comment) if sign]
        if len(set(signs)) < len(signs):
            raise ValueError("separator, quote, escape and comment are different characters")
        return self

    def look(self, path: Path) -> tuple[Csv, str]:
        """This reader with the file's dialect, header and encoding filled in, and how they were found. Raises Refused
        for columns that two have one name of, or one has none."""
        layout = self._layout(path)
        form, named = layout.form, layout.heading.above is not None
        settled = Csv(
            separator=form.separator,
            quote=form.quote,
            escape=form.escape,
            comment=form.comment,
            header=named,
            columns=self.columns,
            encoding=layout.encoding,
        )
        cut = f"{NAMES.get(form.separator, repr(form.separator))}-separated" if layout.width > 1 else "one column"
        how = f"{cut}, {'a header' if named else 'no header'} because {layout.heading.reason}"
        how += f", lines that begin with {form.comment} are comments" if form.comment else ""
        return settled, f"{how}, {layout.encoding}"

    def records(self, path: Path) -> Iterator[Record]:
        """Every row that is not blank, with the physical line it starts on. Raises Refused for a file without rows."""
        layout = self._layout(path)
        names, above, file = [*layout.heading.names], layout.heading.above, str(path)
        empty = True
        measured = measure(path, encoding.detect(path, layout.encoding))
        with encoding.open_text(path, layout.encoding) as stream:
            rows = parse(batches(stream, file), layout.form, measured)
            known = measured is not None
            found = chain(_headed(rows, above, file, known), (_record(row, names, file, known) for row in rows))
            for record in encoding.judged(found, stream.errors):
                empty = False
                yield record
        if empty:
            if above is None:
                raise Refused(f"{path} is empty", why="there is nothing in it but white space")
            raise Refused(f"{path} holds no rows", why="there is only a header")

    def stretches(self, path: Path) -> Stretches | None:
        """Rows, by a regular expression."""
        layout = self._layout(path)
        headers = int(layout.heading.above is not None)
        return stretches(path, layout.encoding, lambda text: count_rows(text, layout.form), headers)

    def _layout(self, path: Path) -> _Layout:
        found = encoding.detect(path, self.encoding)
        with encoding.open_text(path, found.name) as stream:
            sample = stream.read(SAMPLE)
            while sample.count("\n") + sample.count("\r") < ROWS and len(sample) < LONGEST_SAMPLE:
                more = stream.read(SAMPLE)
                if not more:
                    break
                sample += more
            whole = not stream.read(1)
        told = Told(self.separator, self.quote, self.escape, self.comment)
        form, width, _ = sniff(sample, whole, told)
        if width == 1 and self.separator is None and fixed_width(sample):
            raise Refused(
                f"{path} is laid out in columns of fixed width",
                why="where one column ends and the next begins cannot be told from the text",
                instead="save it as CSV, or read its lines as text: `reader: {name: text, by: line}` under `data`",
            )
        cells = [row.cells for row in parse([physical_lines(sample)], form) if row.cells is not None]
        if not whole and len(cells) > 1:
            del cells[-1]  # it may be cut
        named = heading(cells[:200], width, self.header, self.columns, str(path), follow=not whole)
        return _Layout(form, width, named, found.name)


class _Layout(NamedTuple):
    """What a file's sample tells."""

    form: Form
    width: int
    heading: Heading
    encoding: str


def _headed(rows: Iterator[Parsed], above: int | None, file: str, known: bool) -> Iterator[Record]:
    """What stands above the header, which is taken too; nothing where there is none."""
    if above is None:
        return
    for row in rows:
        if row.cells is not None and not above:
            return
        above -= row.cells is not None
        why = row.problem or "it stands above the row that names the columns"
        yield Record(row.raw or row.cells, file, row.line, why, _span(row, known))


def _span(row: Parsed, known: bool) -> Span | None:
    return Span(row.start, row.stop, row.after - row.line) if known else None


def _record(row: Parsed, names: list[str], file: str, known: bool) -> Record:
    cells, width, span = row.cells, len(names), _span(row, known)
    if cells is None:
        return Record(row.raw, file, row.line, row.problem, span)
    while len(cells) > width and not cells[-1].strip():
        del cells[-1]
    if len(cells) != width:
        return Record(cells, file, row.line, f"the row has {len(cells)} cells where {width} are expected", span)
    values = dict(zip(names, cells, strict=True))
    if "\0" in "".join(cells):
        return Record(values, file, row.line, "the row holds a NUL character", span)
    return Record(values, file, row.line, "it is the header again" if cells == names else "", span)
