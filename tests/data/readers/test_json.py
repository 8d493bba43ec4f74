import json
from pathlib import Path

import pytest
from shared_data import shared

from affina.core.errors import Refused
from affina.core.kinds import Record
from affina.data.readers.json import Json


def read(folder: Path, content: str) -> list[Record]:
    path = folder / "rows.json"
    path.write_text(content, encoding="utf-8")
    return list(Json().records(path))


@pytest.mark.parametrize(
    "content",
    [
        '[{"a": "x", "b": "y"},\n {"a": "z", "b": "w"}]',
        '{"version": 1, "data": [{"a": "x", "b": "y"},\n {"a": "z", "b": "w"}]}',
        '{"a": ["x", "z"],\n "b": ["y", "w"]}',
        '{"first": {"a": "x", "b": "y"},\n "second": {"a": "z", "b": "w"}}',
    ],
)
def test_records_are_found_however_the_document_holds_them(tmp_path: Path, content: str) -> None:
    assert [record.values for record in read(tmp_path, content)] == [{"a": "x", "b": "y"}, {"a": "z", "b": "w"}]


def test_lines_are_those_of_each_record_s_start(tmp_path: Path) -> None:
    rows = [{"a": "x\ny"}, {"a": "z"}, {"a": ["deep", {"er": 1}]}]
    text = json.dumps(rows, indent=2)
    expected = [number for number, line in enumerate(text.split("\n"), 1) if line == "  {"]
    assert [record.line for record in read(tmp_path, text)] == expected
    assert [record.line for record in read(tmp_path, '{"n": 1,\n"rows":\n[\n{"a": 1},\n{"a": 2}]}')] == [4, 5]


def test_one_object_is_one_record_and_so_is_one_conversation(tmp_path: Path) -> None:
    assert len(read(tmp_path, '{"prompt": "a", "completion": "b"}')) == 1
    assert len(read(tmp_path, '{"messages": [{"role": "user", "content": "a"}]}')) == 1


def test_elements_that_are_no_objects_are_problems(tmp_path: Path) -> None:
    records = read(tmp_path, '[{"a": 1}, 3, null, [1], "raw text", {"a": 1, "a": 2}]')
    assert [bool(record.problem) for record in records] == [False, True, True, True, False, True]


@pytest.mark.parametrize("content", ["[]", "{}", "3", '"text"', "null"])
def test_json_without_records_is_refused_as_such(tmp_path: Path, content: str) -> None:
    with pytest.raises(Refused, match="holds no records"):
        read(tmp_path, content)


def test_what_is_not_json_is_refused_with_line_and_column(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"rows\.json:2:2: not JSON"):
        read(tmp_path, '[{"a": 1},\n }]')


def test_the_json_test_suite_is_parsed_or_refused_as_the_standard_says() -> None:
    folder = shared("data", "json_test_suite_a")
    verdicts = {}
    for path in sorted(folder.glob("test_parsing__*.json")):
        try:
            verdicts[path.name] = bool(list(Json().records(path)))
        except Refused as error:
            verdicts[path.name] = "is JSON, but" in str(error)
    assert len(verdicts) > 100
    assert [name for name, parsed in verdicts.items() if "__y_" in name and not parsed] == []
    assert [name for name, parsed in verdicts.items() if "__n_" in name and parsed] == []


@pytest.mark.parametrize(
    ("parts", "rows"),
    [
        (("alpaca_en_demo", "alpaca_en_demo.json"), 999),
        (("fastchat_dummy_conversation", "dummy_conversation.json"), 500),
        (("pubmedqa_labeled", "ori_pqal.json"), 1000),
        (("bbh_part_a", "date_understanding.json"), 250),
    ],
)
def test_real_documents_have_their_published_number_of_records(parts: tuple[str, str], rows: int) -> None:
    records = list(Json().records(shared("data", *parts)))
    assert len(records) == rows
    assert not any(record.problem for record in records)
    lines = [record.line for record in records]
    assert lines == sorted(lines)
