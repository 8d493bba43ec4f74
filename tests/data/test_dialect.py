import pytest

from affina.data.dialect import Told, fixed_width, sniff


@pytest.mark.parametrize(
    ("sample", "expected"),
    [
        ("a,b\n1,2\n", (",", '"')),
        ("a;b\n1,5;2,5\n3,5;4,5\n", (";", '"')),
        ("'a','b'\n'1,2','3'\n'4','5'\n", (",", "'")),
        ("'a','b'\n'it\\'s, well','3'\n'4','5'\n", (",", "'", "\\")),
        ("a\tb\n1\t2\n", ("\t", "")),
        ('"a"\t"b"\n"1\n2"\t"3"\n', ("\t", '"')),
        ("a\tb\\\nc\nd\te\\\tf\n", ("\t", "", "\\")),  # as databases write tables
        ("one column\nof, prose\nand more\n", ("\t", "")),  # no separator at all
        ("one\tcolumn\nof, prose\nand more\n", ("|", '"')),
        ("a`b\n1`2\n", ("`", '"')),
        ("sep=.\na.b\n1,5.2,5\n", (".", '"')),  # as Excel is told
        ("a~b\nand ~ so ~ on\n", ("\t", "")),
    ],
)
def test_separator_and_quote_are_found(sample: str, expected: tuple[str, ...]) -> None:
    assert sniff(sample, whole=True).form[: len(expected)] == expected


def test_a_sample_that_ends_inside_a_cell_is_no_evidence() -> None:
    sample = "id,text\n" + '1,"first, with\nlines"\n' * 5 + '2,"long\n' + "prose without end\n" * 6
    found = sniff(sample, whole=False)
    assert (*found.form[:3], found.width) == (",", '"', "", 2)


def test_blank_lines_between_rows_are_no_evidence() -> None:
    assert sniff("a;b\n\n\n\n1;2\n\n\n\n3;4\n\n\n\n", whole=True)[1:] == (2, 1.0)


def test_blanks_before_quotes_are_no_part_of_the_cell() -> None:
    assert sniff('"a", "b"\n"1, 2", "3"\n', whole=True).form.padded
    assert not sniff('"a","b"\n"1, 2", "3"\n"4","5"\n', whole=True).form.padded


@pytest.mark.parametrize(
    ("sample", "comment"),
    [
        ("# made today\na,b\n1,2\n", "#"),
        ("# made today\na,b\n# hm\n1,2\n# 3,4\n", ""),  # some are rows
        ("a,b\n# hm\n1,2\n", ""),  # the file does not begin with it: it may be a row that is broken
        ("#one\n#two\n", ""),
        ("#one,x\n#two,y\nthree,z\n", ""),
    ],
)
def test_comments_are_what_the_file_begins_with_and_no_rows(sample: str, comment: str) -> None:
    assert sniff(sample, whole=True).form.comment == comment
    assert sniff(sample, whole=True, told=Told(comment="")).form.comment == ""


def test_columns_of_fixed_width_are_told_from_prose() -> None:
    assert fixed_width("name      town      n\nAnna      Roma      1\nGiovanni  Napoli    22\n")
    assert not fixed_width("a line of prose.  And more\nthe next  one is  of words\nso  is  this one\n")
    assert not fixed_width("a    b    c\n")
