import csv
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from affina.data.dialect import column_names, header, parse, physical_lines, sniff


@settings(deadline=None)
@given(
    rows=st.lists(
        st.tuples(st.text("ab \"',;\n", max_size=8), st.text("ab \"',;\n", max_size=8)), min_size=1, max_size=9
    )
)
def test_rows_start_on_the_lines_that_the_text_is_made_of(rows: list[tuple[str, str]]) -> None:
    file = io.StringIO(newline="")
    csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows(rows)
    parsed = list(parse(physical_lines(file.getvalue()), ",", '"', ""))
    assert [tuple(row.cells or ()) for row in parsed] == rows
    assert [line for row in parsed for line in row.lines] == physical_lines(file.getvalue())
    assert [row.line for row in parsed] == [1 + sum(len(each.lines) for each in parsed[:n]) for n in range(len(rows))]


@settings(deadline=None)
@given(text=st.text('ab,"\n\r', max_size=60))
def test_any_text_is_divided_without_losing_a_line(text: str) -> None:
    lines = physical_lines(text)
    rows = list(parse(lines, ",", '"', ""))
    starts = [row.line for row in rows]
    assert starts == sorted(set(starts))
    covered = {number for row in rows for number in range(row.line, row.line + len(row.lines))}
    assert all(not line.strip() for number, line in enumerate(lines, 1) if number not in covered)


@pytest.mark.parametrize(
    ("sample", "expected"),
    [
        ("a,b\n1,2\n", (",", '"')),
        ("a;b\n1,5;2,5\n3,5;4,5\n", (";", '"')),
        ("'a','b'\n'1,2','3'\n'4','5'\n", (",", "'")),
        ("a\tb\n1\t2\n", ("\t", "")),
        ('"a"\t"b"\n"1\n2"\t"3"\n', ("\t", '"')),
        ("one column\nof, prose\nand more\n", ("\t", "")),  # no separator at all
    ],
)
def test_separator_and_quote_are_found(sample: str, expected: tuple[str, str]) -> None:
    found = sniff(sample, whole=True)
    assert (found.separator, found.quote) == expected


def test_a_sample_that_ends_inside_a_cell_is_no_evidence() -> None:
    sample = "id,text\n" + '1,"first, with\nlines"\n' * 5 + '2,"long\n' + "prose without end\n" * 6
    assert sniff(sample, whole=False)[:4] == (",", '"', "", 2)


def test_no_rows_have_no_header_and_names_are_made_unique() -> None:
    assert header([])[0] is False
    assert column_names(["a", " ", "a", "a"]) == ["a", "column 2", "a 2", "a 3"]
