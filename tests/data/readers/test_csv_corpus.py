"""Hundreds of ugly files that people reported: records or one sentence, no line lost, and what others read in them."""

import csv
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import csv as arrow
from shared_data import ROOT

from affina.core.errors import Refused
from affina.data import encoding
from affina.data.delimited import Form, parse
from affina.data.lines import physical_lines
from affina.data.readers.csv import Csv
from affina.data.tiles import recount

FOLDERS = (
    "duckdb_csv_a",
    "csvkit_examples_a",
    "frictionless_tables_a",
    "csv_parser_fixtures_a",
    "csv_spectrum_a",
    "papaparse_samples",
    "readr_fixtures_a",
    "utf8_documents_a",
    "big_list_of_naughty_strings",
)
TEXTS = (".csv", ".tsv", ".txt", "")
FILES = sorted(
    path
    for folder in FOLDERS
    for path in (ROOT / "data" / folder).glob("*")
    if path.suffix in TEXTS and not path.name.startswith("LICENSE")
)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.name}"),
]


def read(path: Path) -> tuple[Csv, Form, str]:
    """The settled reader, its form and the file's text. Skips a file that is refused."""
    try:
        reader, _ = Csv().look(path)
        list(reader.records(path))
    except Refused:
        pytest.skip("it is refused, in a sentence: the first test sees to that")
    settings = (reader.separator or "", reader.quote or "", reader.escape or "", reader.comment or "")
    with encoding.open_text(path, reader.encoding) as stream:
        return (
            reader,
            reader._layout(path).form._replace(**dict(zip(Form._fields, settings, strict=False))),
            stream.read(),
        )


def test_the_outcome_is_records_or_one_sentence(path: Path) -> None:
    try:
        records = list(Csv().records(path))
    except Refused as error:
        assert str(error).count(str(path)) >= 1 and "\n" not in str(error)
    else:
        assert all(record.problem for record in records if not isinstance(record.values, dict))


def test_every_line_is_in_one_row_or_blank_or_a_comment_and_the_counts_agree(path: Path) -> None:
    reader, form, text = read(path)
    lines, rows = physical_lines(text), list(parse([physical_lines(text)], form))
    covered = [number for row in rows for number in range(row.line, row.after)]
    assert covered == sorted(set(covered))
    rest = [lines[number - 1] for number in sorted({*range(1, len(lines) + 1)} - {*covered})]
    assert all(not line.strip() or line.startswith(form.comment or "\n") for line in rest)
    records = list(reader.records(path))
    assert len(records) == recount(reader, path) == recount(Csv(), path) == len(rows) - bool(reader.header)
    starts = {row.line for row in rows}
    assert [record.line for record in records] == sorted({record.line for record in records} & starts)


def is_filled(cells: list[str] | None) -> bool:
    return len(cells or ()) > 1 or bool(cells and cells[0].strip())


def test_sound_cells_are_those_of_the_standard_library(path: Path) -> None:
    """It swallows what follows a faulty row, so it is compared where every row is sound."""
    _, form, text = read(path)
    rows = list(parse([physical_lines(text)], form))
    if form.comment or any(row.problem for row in rows):
        pytest.skip("it has comments or faulty rows")
    quoting = csv.QUOTE_MINIMAL if form.quote else csv.QUOTE_NONE
    known = csv.reader(
        physical_lines(text),
        delimiter=form.separator,
        quotechar=form.quote or None,
        escapechar=form.escape or None,
        quoting=quoting,
        skipinitialspace=form.padded,
    )
    assert [row.cells for row in rows if is_filled(row.cells)] == [cells for cells in known if is_filled(cells)]


def test_sound_cells_are_those_that_arrow_reads(path: Path) -> None:
    """Arrow has a parser of its own; it reads UTF-8 and refuses a table of unequal rows."""
    reader, form, text = read(path)
    rows = [row.cells for row in parse([physical_lines(text)], form)]
    widths = {len(cells) for cells in rows if cells is not None}
    names = [str(number) for number in range(max(widths, default=0))]
    white = any(not line.strip() and line.strip("\r\n") for line in physical_lines(text))
    if None in rows or len(widths) != 1 or widths == {1} or form.comment or form.padded or "\0" in text or white:
        pytest.skip("arrow would refuse it, or has no such settings")
    found = arrow.read_csv(
        pa.BufferReader(text.encode()),
        read_options=arrow.ReadOptions(column_names=names),
        parse_options=arrow.ParseOptions(
            delimiter=form.separator,
            quote_char=form.quote or False,
            double_quote=bool(form.quote),
            escape_char=form.escape or False,
            newlines_in_values=True,
        ),
        convert_options=arrow.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False, quoted_strings_can_be_null=False
        ),
    )
    assert [list(cells) for cells in zip(*(column.to_pylist() for column in found.columns), strict=True)] == rows
    assert recount(reader, path) == found.num_rows - bool(reader.header)
