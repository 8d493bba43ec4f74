import csv
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shared_data import shared

from affina.core.errors import Refused
from affina.core.kinds import Record, readers
from affina.data.readers.csv import Csv
from affina.data.tiles import recount


def written(folder: Path, content: str | bytes, name: str = "rows.csv") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def read(path: Path, **fields: object) -> list[Record]:
    return list(Csv.model_validate(fields).records(path))


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_the_separator_is_found_on_the_rows(tmp_path: Path, separator: str) -> None:
    rows = [["text", "label"], ["good; very, good", "yes"], ["bad | worse", "no"], ["so so\tla", "no"]] * 3
    path = tmp_path / "rows.csv"
    with path.open("w", newline="") as file:
        csv.writer(file, delimiter=separator).writerows(rows)
    assert [list(record.values.values()) for record in read(path)] == rows[1:]


def test_lines_are_physical_lines_of_the_record_s_start(tmp_path: Path) -> None:
    path = written(tmp_path, 'text,label\n"one\ntwo\n\nthree",a\n\nfour,b\n"five\r\nsix",c\r\nseven,d\n')
    assert [(record.line, record.values["label"]) for record in read(path)] == [(2, "a"), (7, "b"), (8, "c"), (10, "d")]
    assert read(path)[0].values["text"] == "one\ntwo\n\nthree"


def test_a_row_of_another_width_is_a_problem_and_the_next_rows_are_read(tmp_path: Path) -> None:
    records = read(written(tmp_path, "text,label\ngood,yes\nonly\nbad,no,maybe,more\nfine,yes\nwell,yes\n"))
    assert [record.problem for record in records] == [
        "",
        "the row has 1 cells where 2 are expected",
        "the row has 4 cells where 2 are expected",
        "",
        "",
    ]
    assert records[2].where.endswith("rows.csv:4")


def test_empty_cells_beyond_the_header_are_no_problem(tmp_path: Path) -> None:
    assert [record.values for record in read(written(tmp_path, "text,label\ngood,yes,,\nbad,no\nfine,yes\n"))] == [
        {"text": "good", "label": "yes"},
        {"text": "bad", "label": "no"},
        {"text": "fine", "label": "yes"},
    ]


def test_a_quote_never_closed_costs_one_row(tmp_path: Path) -> None:
    body = "".join(f'"text {n}",a\n' for n in range(20))
    records = read(written(tmp_path, f'text,label\n{body}"never closed,a\n{body.replace(chr(34), "")}'))
    assert [(record.line, record.problem) for record in records if record.problem] == [
        (22, "a quote opened in this row is never closed")
    ]
    assert len(records) == 41


def test_a_quote_inside_a_quoted_cell_costs_one_row(tmp_path: Path) -> None:
    records = read(written(tmp_path, 'text,label\n"she said "no" twice",a\n"fine, really",b\n"good",a\n"x",b\n'))
    assert [record.problem for record in records] == ["a quote inside a quoted cell is not doubled", "", "", ""]


def test_lone_quotes_in_a_table_with_tabs_are_characters(tmp_path: Path) -> None:
    rows = ['ham\t"Yes', "spam\tFree entry", 'ham\tno" way', 'ham\t"why', "spam\tWin", 'ham\tgo"'] * 5
    records = read(written(tmp_path, "\n".join(rows), "rows.tsv"))
    assert [f"{r.values['column 1']}\t{r.values['column 2']}" for r in records] == rows


def test_backslash_escapes_are_found(tmp_path: Path) -> None:
    records = read(written(tmp_path, 'text,label\n"a \\"quoted\\", word",x\n"plain",y\n"other \\"",x\n'))
    assert [record.values["text"] for record in records] == ['a "quoted", word', "plain", 'other "']


def test_carriage_returns_alone_end_lines(tmp_path: Path) -> None:
    records = read(written(tmp_path, b"text,label\rone,a\rtwo,b\r"))
    assert [(record.line, record.values["text"]) for record in records] == [(2, "one"), (3, "two")]


def test_a_nul_is_a_problem_of_its_row_only(tmp_path: Path) -> None:
    records = read(written(tmp_path, b"text,label\none,a\nt\0wo,b\nthree,a\n"))
    assert [record.problem for record in records] == ["", "the row holds a NUL character", ""]


def test_a_cell_of_a_megabyte_is_read(tmp_path: Path) -> None:
    long = "word " * 200_000
    assert read(written(tmp_path, f'text,label\n"{long}",a\nshort,b\n'))[0].values["text"] == long


def test_a_cell_longer_than_the_sample_leaves_the_header_what_it_is(tmp_path: Path) -> None:
    found = read(written(tmp_path, 'alpha,beta\n"' + "word " * 2_000_000 + '",x\ny,z\n'))
    assert [(each.line, each.values["beta"]) for each in found] == [(2, "x"), (3, "z")]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32", "cp1252"])
def test_the_encoding_is_detected(tmp_path: Path, encoding: str) -> None:
    path = written(tmp_path, "testo,etichetta\nperché è così,domanda\nva bene,altro\n".encode(encoding))
    assert [record.values["testo"] for record in read(path)] == ["perché è così", "va bene"]


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ("ham,hello you\nspam,win now\nham,bye\n", False),
        ("3,first title\n4,second title\n", False),
        ("id,year\n1,2020\n2,2021\n", True),
        ("v1,v2\nham,hello you there my old friend\nspam,win money now or never at all\n", True),
        ("alpha,beta\nx,y\nz,w\n", True),
    ],
)
def test_a_header_is_told_from_the_rows(tmp_path: Path, content: str, named: bool) -> None:
    reader, reason = Csv().look(written(tmp_path, content))
    assert reader.header is named
    assert ("no header because" in reason) is not named


@pytest.mark.parametrize("first", ["text,text,label", "text,,label"])
def test_names_that_do_not_tell_columns_apart_are_refused_unless_others_are_given(tmp_path: Path, first: str) -> None:
    path = written(tmp_path, f"{first}\na,b,c\nd,e,f\n")
    for use in (Csv().look, read):
        with pytest.raises(Refused, match="cannot be told apart by their names"):
            use(path)
    assert [list(each.values.items()) for each in read(path, columns=["x", "y", "z"])] == [
        [("x", "a"), ("y", "b"), ("z", "c")],
        [("x", "d"), ("y", "e"), ("z", "f")],
    ]


def test_a_header_that_comes_again_is_no_row(tmp_path: Path) -> None:
    found = read(written(tmp_path, "text,label\ngood,yes\ntext,label\nbad,no\n"))
    assert [each.problem for each in found] == ["", "it is the header again", ""]


def test_any_character_may_be_the_separator(tmp_path: Path) -> None:
    path = written(tmp_path, "text/label\ngood, very/yes\nbad/no\n")
    assert [record.values["text"] for record in read(path, separator="/")] == ["good, very", "bad"]
    for wrong in (
        {"separator": "||"},
        {"separator": "\n"},
        {"separator": '"', "quote": '"'},
        {"columns": ["a", "a"]},
    ):
        with pytest.raises(ValueError):
            Csv.model_validate(wrong)


def test_columns_of_fixed_width_are_refused_kindly(tmp_path: Path) -> None:
    path = written(tmp_path, "name      town      n\nAnna      Roma      1\nGiovanni  Napoli    22\n")
    with pytest.raises(Refused, match="laid out in columns of fixed width"):
        read(path)


def test_what_stands_above_the_header_is_set_aside_and_comments_are_no_rows(tmp_path: Path) -> None:
    found = read(written(tmp_path, "Our data\nid,text\n1,one\n2,two\n"))
    assert [(each.line, each.problem[:29]) for each in found] == [
        (1, "it stands above the row that "),
        (3, ""),
        (4, ""),
    ]
    reader, reason = Csv().look(path := written(tmp_path, '# "ours\n#\nid,text\n1,one\n# more\n2,"two\n# yes"\n'))
    assert [(each.line, each.values["text"]) for each in reader.records(path)] == [(4, "one"), (6, "two\n# yes")]
    assert "lines that begin with # are comments" in reason


@pytest.mark.parametrize(
    "content",
    ["a,b\n1,2\n", "a,b\r1,2\r\r3,4", "Title\nid,b\n1,2\n", '# c\nid,b\n1,"2\n', "x\ny\n", 'id\tb\n1\t\0\n\n"2\t3\n'],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_the_second_count_agrees(tmp_path: Path, content: str, encoding: str) -> None:
    path = written(tmp_path, content.encode(encoding))
    assert recount(Csv(), path) == len(read(path)) == recount(Csv().look(path)[0], path)


def test_what_the_reader_is_told_is_kept(tmp_path: Path) -> None:
    records = read(written(tmp_path, "a;b\nc;d\n"), separator=";", quote="", header=False)
    assert [record.values for record in records] == [
        {"column 1": "a", "column 2": "b"},
        {"column 1": "c", "column 2": "d"},
    ]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "is empty: it holds no bytes"),
        (b"text,label\n", "holds no rows: there is only a header"),
        (b"\n  \n", "is empty: there is nothing in it but white space"),
        (b"\xef\xbb\xbf", "is empty: there is nothing in it but white space"),
        (b"\xef\xbb\xbf\n", "is empty: there is nothing in it but white space"),
    ],
)
def test_a_file_without_rows_is_refused(tmp_path: Path, content: bytes, why: str) -> None:
    with pytest.raises(Refused, match=why):
        read(written(tmp_path, content))


def test_a_wrong_encoding_is_refused_at_the_recipe_and_at_the_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no text encoding"):
        readers.build({"name": "csv", "encoding": "utf-99"})
    with pytest.raises(Refused, match="cannot be decoded near byte 11"):
        read(written(tmp_path, "text,label\n\xe9,a\n".encode("latin-1") + b"b,c\n"), encoding="utf-8")


CELLS = st.text(st.characters(exclude_categories=["Cs", "Cc"], include_characters="\t\n\r\x85"), max_size=30)


@settings(deadline=None)
@given(rows=st.lists(st.tuples(CELLS, CELLS, CELLS), min_size=1, max_size=20))
def test_any_cells_written_by_the_standard_library_come_back(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str, str]]
) -> None:
    path = tmp_path_factory.mktemp("csv") / "rows.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_ALL)
        writer.writerows([("text", "label", "id"), *rows])
    records = read(path, separator=",", quote='"', escape="")
    assert [tuple(record.values.values()) for record in records] == rows
    assert not any(record.problem for record in records)


@pytest.mark.parametrize(
    "name", ["comma_in_quotes", "empty_crlf", "json", "newlines", "quotes_and_newlines", "simple_crlf"]
)
def test_the_csv_spectrum_reads_as_its_published_json(name: str) -> None:
    expected = json.loads(shared("data", "csv_spectrum_a", f"json__{name}.json").read_text(encoding="utf-8"))
    assert [record.values for record in read(shared("data", "csv_spectrum_a", f"csvs__{name}.csv"))] == expected


def test_sms_spam_has_a_record_per_line() -> None:
    path = shared("data", "sms_spam", "sms.tsv")
    lines = path.read_text(encoding="utf-8").split("\n")
    lines = lines[:-1] if not lines[-1] else lines
    records = read(path)
    assert [f"{record.values['column 1']}\t{record.values['column 2']}" for record in records] == lines
    assert [record.line for record in records] == list(range(1, len(lines) + 1))


@pytest.mark.parametrize(
    ("parts", "encoding", "bad"),
    [
        (("banking77", "train.csv"), "utf-8", 0),
        (("ag_news_test", "test.csv"), "utf-8", 0),
        (("twitter_airline_sentiment", "Tweets.csv"), "utf-8", 0),
        (("billsum_sample", "billsum-0.csv"), "utf-8", 0),
        (("sms_spam", "spam_kaggle_latin1.csv"), "cp1252", 50),  # as many cells stand under the first of no name
    ],
)
def test_real_files_have_as_many_rows_as_the_standard_library_counts(
    parts: tuple[str, str], encoding: str, bad: int
) -> None:
    path = shared("data", *parts)
    with path.open(newline="", encoding=encoding) as file:
        counted = sum(1 for row in csv.reader(file) if row)
    reader, _ = Csv().look(path)
    records = read(path)
    assert sum(bool(record.problem) for record in records) == bad
    assert len(records) == recount(reader, path) == counted - bool(reader.header)
