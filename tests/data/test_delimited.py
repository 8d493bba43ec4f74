import csv
import io

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from affina.data import delimited, rowcount
from affina.data.delimited import UNCLOSED, Form, parse
from affina.data.lines import physical_lines
from affina.data.rowcount import count_rows

FORMS = (
    Form(","),
    Form(",", "'"),
    Form(",", ""),
    Form(",", '"', "\\"),
    Form(",", "", "\\"),
    Form(",", '"', "", "#"),
    Form(",", '"', "\\", "#", True),
    Form("\t", ""),
    Form(" ", '"'),
    Form("\t", '"'),
    Form(",", '"', "", "", True),
)
UGLY = st.text('aa,""\'\\\n\r# \t\x85\0', max_size=60)


@settings(deadline=None)
@given(
    rows=st.lists(
        st.tuples(st.text("ab \"',;\n", max_size=8), st.text("ab \"',;\n", max_size=8)), min_size=1, max_size=9
    )
)
def test_rows_start_on_the_lines_that_the_text_is_made_of(rows: list[tuple[str, str]]) -> None:
    file = io.StringIO(newline="")
    csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows(rows)
    parsed = list(parse([physical_lines(file.getvalue())], Form(",")))
    assert [tuple(row.cells or ()) for row in parsed] == rows
    assert [row.line for row in parsed] == [1, *(row.after for row in parsed[:-1])]
    assert parsed[-1].after - 1 == len(physical_lines(file.getvalue()))


@settings(deadline=None)
@given(text=UGLY, form=st.sampled_from(FORMS))
def test_every_line_belongs_to_one_row_or_is_blank_or_a_comment(text: str, form: Form) -> None:
    lines = physical_lines(text)
    covered = [number for row in parse([lines], form) for number in range(row.line, row.after)]
    assert covered == sorted(set(covered))
    left = [line for number, line in enumerate(lines, 1) if number not in set(covered)]
    assert all(not line.strip() or (form.comment and line.startswith(form.comment)) for line in left)


@settings(deadline=None)
@given(text=UGLY, form=st.sampled_from(FORMS), cuts=st.lists(st.integers(1, 5), max_size=12))
def test_lines_that_come_in_batches_are_the_same_rows(text: str, form: Form, cuts: list[int]) -> None:
    lines, cut = physical_lines(text), list[list[str]]()
    for size in cuts:
        cut, lines = [*cut, lines[:size]], lines[size:]
    assert list(parse([*cut, lines], form)) == list(parse([physical_lines(text)], form))


def pieces(text: str, cuts: list[int]) -> list[str]:
    """The text in pieces of these sizes, none of which ends in a carriage return that more follows."""
    cut = []
    for size in cuts:
        while text[size - 1 : size] == "\r":
            size += 1
        cut, text = [*cut, text[:size]], text[size:]
    return [*cut, text]


@settings(deadline=None, max_examples=400)
@given(text=UGLY, form=st.sampled_from(FORMS), cuts=st.lists(st.integers(1, 12), max_size=12))
@example(text="\\\r\\\r", form=Form(",", '"', "\\"), cuts=[])  # nothing but escaped line ends
@example(text="a\\\nb\n", form=Form(",", '"', "\\"), cuts=[3])  # a piece that ends in one
def test_a_regular_expression_counts_as_many_rows(text: str, form: Form, cuts: list[int]) -> None:
    assert count_rows(pieces(text, cuts), form) == len(list(parse([physical_lines(text)], form)))


@settings(deadline=None, max_examples=400)
@given(text=UGLY, form=st.sampled_from(FORMS), cuts=st.lists(st.integers(1, 12), max_size=12))
def test_both_counts_agree_on_where_a_row_is_too_long(text: str, form: Form, cuts: list[int]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        for module in (delimited, rowcount):
            patch.setattr(module, "LONGEST_LINES", 4)
            patch.setattr(module, "LONGEST_TEXT", 25)
        assert count_rows(pieces(text, cuts), form) == len(list(parse([physical_lines(text)], form)))


def test_a_quote_never_closed_is_looked_for_so_far_and_costs_its_line() -> None:
    lines = ['1,"begun\n', *["2,a\n"] * delimited.LONGEST_LINES, '3,"closed"\n']
    first, *rest = parse([lines], Form(","))
    assert (first.line, first.raw, first.problem) == (1, '1,"begun', UNCLOSED)
    assert len(rest) == len(lines) - 1 == count_rows(["".join(lines)], Form(",")) - 1
