import sqlite3
from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from affina.core.errors import Refused
from affina.core.kinds import Record, readers
from affina.data.recognise import reader_for, shape_for


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.csv", "text,label\nx,y\n", "csv"),
        ("a.TSV", "text\tlabel\nx\ty\n", "csv"),
        ("a.md", "text,label\nx,y\n", "markdown"),
        ("a.json", '[{"a": 1}]', "json"),
        ("a.json", '{"a": 1}\n{"a": 2}\n', "jsonl"),
        ("a.jsonl", '[\n{"a": 1}\n]', "json"),
        ("a.jsonl", "not json at all", "jsonl"),
        ("a.jsonl", '{"a": 1,}\n{"a": 2}\n{"a": 3}\n', "jsonl"),
        ("a.jsonl", '{"a": "' + "x" * 100_000 + '"}\n{"a": 2}\n', "jsonl"),
        ("a.jsonl", '[{"a": 1},\n{"a": 2}]\n', "json"),
        ("a.ndjson", '{"a": 1}\n', "jsonl"),
        ("a", "ham\thello\nspam\twin\nham\tbye\n", "csv"),
        ("a.data", '{"a": 1}\n{"a": 2}\n', "jsonl"),
        ("a.xls", "<html><table><tr><td>a</td></tr></table></html>", "html"),
        ("a.xls", "name\tn\na\t1\nb\t2\n", "csv"),
        ("a", "\n<!-- made -->\n<!DOCTYPE HTML PUBLIC '-//W3C//DTD HTML 4.01//EN'><p>words", "html"),
        ("a", '<?xml version="1.0"?><!DOCTYPE html><html><p>words</p></html>', "html"),
        ("a", '<?xml version="1.0"?><rows><row>a</row></rows>', "xml"),
        ("a.dat", "<rows>\n<row>a</row></rows>", "xml"),
        ("a.txt", "<html><p>the page's source</p></html>", "text"),
        ("a", "<3 is a heart, and so on.\nThen others\n", "text"),
        ("a.log", "Some words of prose, and more.\nThen others\n", "text"),
    ],
)
def test_the_reader_is_chosen_by_ending_then_by_bytes(tmp_path: Path, name: str, content: str, expected: str) -> None:
    (tmp_path / name).write_text(content)
    reader, reason = reader_for(tmp_path / name)
    assert reader.name == expected
    assert reason.startswith(expected)


def test_files_with_a_mark_are_known_by_it_whatever_their_ending(tmp_path: Path) -> None:
    rows = pa.table({"text": ["uno", "due"]})
    pq.write_table(rows, tmp_path / "a.csv")
    with pa.ipc.new_stream(str(tmp_path / "b"), rows.schema) as stream:
        stream.write(rows)
    with closing(sqlite3.connect(tmp_path / "c.data")) as connection:
        connection.execute("create table rows (text)")
        connection.commit()
    found = [reader_for(tmp_path / name) for name in ("a.csv", "b", "c.data")]
    assert [reader.name for reader, _ in found] == ["parquet", "arrow", "sql"]
    assert found[0][1].startswith("parquet by its first bytes, whatever its ending .csv; 2 rows of 1 columns")
    assert found[1][1].startswith("arrow by its first bytes; Arrow stream")


def test_a_reader_that_is_given_is_kept(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("one line\n")
    assert reader_for(tmp_path / "a.csv", readers.build("text"))[0].name == "text"


def records(**columns: list[object]) -> list[Record]:
    rows = [dict(zip(columns, cells, strict=True)) for cells in zip(*columns.values(), strict=True)]
    return [Record(row, "rows.jsonl", number) for number, row in enumerate(rows, 1)]


def test_the_shape_that_uses_most_columns_is_chosen() -> None:
    words: list[object] = [f"some words {n}" for n in range(8)]
    alpaca = records(instruction=words, input=words, output=words)
    assert shape_for(alpaca)[0].name == "alpaca"
    assert shape_for(records(instruction=words, output=words))[0].name == "alpaca"
    assert shape_for(records(instruction=words, response=words))[0].name == "prompt_completion"
    assert shape_for(records(text=words, label=["a", "b"] * 4))[0].name == "labelled"
    assert shape_for(records(text=words, url=list(range(8))))[0].name == "raw"


def test_turns_tell_messages_from_sharegpt() -> None:
    openai: list[object] = [[{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]]
    vicuna: list[object] = [[{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]]
    assert shape_for(records(conversations=openai))[0].changed() == {"messages": "conversations"}
    assert shape_for(records(conversations=vicuna))[0].name == "sharegpt"


def test_two_shapes_that_fit_equally_are_refused_with_the_lines_to_choose_from() -> None:
    words: list[object] = [f"some words {n}" for n in range(8)]
    with pytest.raises(Refused) as error:
        shape_for(records(input=words, target=["a", "b"] * 4))
    assert "labelled and prompt_completion" in str(error.value)
    assert "`shape: {name: labelled, text: input, label: target}`" in str(error.value)
    assert "`data.shape`" in str(error.value)


def test_a_shape_that_nothing_fits_is_refused_with_the_columns_there_are() -> None:
    with pytest.raises(Refused, match="its columns are alfa, beta"):
        shape_for(records(alfa=["x y", "z w"], beta=["q r", "s t"]))


def test_columns_without_a_part_in_the_shape_are_named() -> None:
    words: list[object] = [f"some words {n}" for n in range(8)]
    label: list[object] = ["a", "b"] * 4
    premise: list[object] = ["one premise of many", "another premise of them"] * 4
    assert shape_for(records(text=words, url=list(range(8))))[1].endswith("; not used: 'url'")
    assert shape_for(records(sentence1=premise, text=words, label=label))[1].endswith("; not used: 'sentence1'")
    many = {f"extra{n}": list[object](range(8)) for n in range(10)}
    assert shape_for(records(text=words, label=label, **many))[1].endswith("'extra7' and 2 more")
    assert "not used" not in shape_for(records(text=words, label=label))[1]


def test_damaged_records_do_not_count() -> None:
    sound = records(question=["a", "b"], answer=["c", "d"])
    damaged = [Record("torn", "rows.jsonl", 9, "not JSON")] * 5
    assert shape_for([*damaged, *sound])[0].name == "prompt_completion"


def test_what_is_not_recognised_gets_lines_with_its_own_columns() -> None:
    two: list[object] = [f"some words {n}" for n in range(8)]
    rows = records(alfa=two, **{"b c": ["x", "y"] * 4, "d: e": ["p", "q"] * 4})
    with pytest.raises(Refused) as error:
        shape_for(rows)
    assert "`shape: {name: labelled, text: alfa, label: b c}`, or `shape: {name: raw, text: alfa}`" in str(error.value)
    many = records(**{f"column{n}": [n, n + 1] for n in range(30)})
    with pytest.raises(Refused, match="column11 and 18 more"):
        shape_for(many)


@pytest.mark.parametrize("line", ['"a string"', "3", "null", "torn {"])
def test_a_line_that_is_no_object_is_a_row_of_json_lines_and_no_end_of_them(line: str, tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(f'{{"text": "one"}}\n{line}\n{{"text": "two"}}\n', encoding="utf-8")
    reader, _ = reader_for(path)
    assert reader.name == "jsonl" and len(list(reader.records(path))) == 3
