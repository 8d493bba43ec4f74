import pytest

from affina.core.errors import Refused
from affina.data.heading import header, heading, unique


def test_no_rows_have_no_header_and_names_are_made_unique() -> None:
    assert header([])[0] is False
    assert unique(["a", " ", "a", "a"]) == ["a", "column 2", "a 2", "a 3"]


@pytest.mark.parametrize(
    ("rows", "named"),
    [
        ([["a", "b"], ["1", "b"]], True),  # numbers below say more than a word that comes again
        ([["b", "x"], ["b", "y"]], False),
        ([["2007-01-01", "x"], ["2007-01-02", "y"]], False),
        ([["", ""], ["x", "y"]], False),
        ([["good", "", "yes"], ["bad", "x", "no"]], False),
        ([["A", "B", "B", "C"], ["a", "b", "c", "d"]], True),
    ],
)
def test_a_header_is_told_by_what_stands_below_it(rows: list[list[str]], named: bool) -> None:
    assert header(rows)[0] is named


def test_titles_above_the_names_are_passed_over_where_the_table_is_wider() -> None:
    rows = [["Sales of 2020"], ["in euro", "", ""], ["id", "text", "n"], ["1", "x", "3"]]
    assert heading(rows, 3)[:2] == (("id", "text", "n"), 2)
    assert heading([["id", "text"], ["1", "x", "3"]], 3, True)[1] == 0


@pytest.mark.parametrize(
    ("rows", "names"),
    [
        ([["", "text"], ["0", "a"], ["1", "b"]], ("column 1", "text")),  # as pandas writes its index
        ([["text", "", "label"], ["a", "", "b"]], ("text", "column 2", "label")),
        ([["text", "label", "", ""], ["a", "b", "", ""], ["a", "b", ""]], ("text", "label")),
        ([["v1", "text", ""], *[["ham", "so", ""]] * 19, ["ham", "so", "cut"]], ("v1", "text")),  # its last is too long
        ([["text", "label"], ["r1", "a", "b"], ["r2", "a", "b"]], ("column 1", "text", "label")),  # as R writes rows
    ],
)
def test_a_missing_name_over_nothing_or_over_row_numbers_is_said(rows: list[list[str]], names: tuple[str, ...]) -> None:
    found = heading(rows, len(rows[1]))
    assert found.names == names
    assert "no name" in found.reason or len(names) == 2


@pytest.mark.parametrize(
    ("first", "why"),
    [(["id", "text", "text"], "2 of them are called 'text'"), (["id", " ", "text"], "column 2 has no name")],
)
def test_columns_that_names_do_not_tell_apart_are_refused_with_names_to_use(first: list[str], why: str) -> None:
    with pytest.raises(Refused, match=why) as refused:
        heading([first, ["7", "a", "b"]], 3, file="f.csv")
    assert f"columns: [{', '.join(unique(first))}]" in refused.value.instead
    assert heading([first, ["7", "a", "b"]], 3, names=("a", "b", "c")).names == ("a", "b", "c")


def test_names_are_shown_on_one_line_as_a_recipe_has_them() -> None:
    with pytest.raises(Refused, match=r"are called 'a\\nb'") as refused:
        heading([["a\nb", "a\nb", "7"], ["7", "a", "b"]], 3, True)
    assert r'["a\nb", "a\nb 2", "7"]' in refused.value.instead and "\n" not in str(refused.value)


def test_another_number_of_names_than_of_cells_is_refused() -> None:
    with pytest.raises(Refused, match="2 columns are named for f: its rows have 3 cells"):
        heading([["1", "2", "3"]], 3, names=("a", "b"), file="f")
