import json
import subprocess
import sys
from pathlib import Path

import pytest
from shared_data import ROOT, shared

from affina.core.errors import Refused
from affina.core.kinds import Record
from affina.data.readers.json import Json
from affina.data.recognise import reader_for
from affina.data.tiles import recount


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
        '{"a": {"0": "x", "1": "z"},\n "b": {"0": "y", "1": "w"}}',  # as pandas writes a table
        '{"a": "x",\n "b": "y"}\n{"a": "z", "b": "w"}',
    ],
)
def test_records_are_found_however_the_document_holds_them(tmp_path: Path, content: str) -> None:
    assert [record.values for record in read(tmp_path, content)] == [{"a": "x", "b": "y"}, {"a": "z", "b": "w"}]
    assert Json().count(tmp_path / "rows.json") == 2


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


@pytest.mark.parametrize(
    ("content", "where", "why"),
    [
        ('[{"a": 1}, {"a": "NaN", "b": NaN}]', "1:30", "NaN is not JSON"),
        ('[{"a": 1},\r\n{"a": 2}\r\n{"a": 3}]', "3:1", "delimiter"),
        ('[{"a": 1},\r{"a": 2}}', "2:9", "delimiter"),
        ('{"a": [],\n "a": []}', "2:7", "'a' stands twice"),
        ('[{"a": 1}]\n[]', "2:1", "something follows"),
        ('{"a": 1}\n[]', "2:1", "something follows"),
        ("[1, " + "[" * 100_000, "1:5", "nested too deeply"),
        ('[{"a": "' + "x" * 3_000_000, "1:8", "Unterminated string"),
        ("[" + "9" * 5000 + "]", "1:2", "more digits than can be read"),
    ],
)
def test_a_fault_is_located_and_named(tmp_path: Path, content: str, where: str, why: str) -> None:
    with pytest.raises(Refused, match=rf"rows\.json:{where}: not JSON: .*{why}"):
        read(tmp_path, content)


def test_records_before_a_fault_are_given_before_it_is_met(tmp_path: Path) -> None:
    (path := tmp_path / "rows.json").write_text(json.dumps([{"a": "x" * 1000}] * 3000)[:-1])
    found = Json().records(path)
    assert sum(1 for _, record in zip(range(3000), found, strict=False) if record.values) == 3000
    with pytest.raises(Refused, match="delimiter"):
        next(found)


def test_a_string_of_megabytes_of_escapes_is_read_and_counted_at_once(tmp_path: Path) -> None:
    (record,) = read(tmp_path, json.dumps([{"a": '"' * 3_000_000}]))
    assert record.values == {"a": '"' * 3_000_000}
    assert Json().count(tmp_path / "rows.json") == 1


def test_columns_with_a_fault_or_of_unequal_length_are_no_rows(tmp_path: Path) -> None:
    assert [bool(each.problem) for each in read(tmp_path, '{"a": [1, {"x": 1, "x": 2}], "b": [3, 4]}')] == [False, True]
    assert len(read(tmp_path, '{"a": [1, 2], "b": [3]}')) == 1
    with pytest.raises(Refused, match="an object of 501 columns"):
        read(tmp_path, json.dumps({f"c{n}": [n] for n in range(501)}))


@pytest.mark.slow
def test_half_a_gigabyte_is_read_in_bounded_memory(tmp_path: Path) -> None:
    """Peak memory in a process of its own, above what it has when the reader is imported."""
    path = tmp_path / "rows.json"
    row = json.dumps({"text": 'some "words", ' * 40, "label": "x"}) + ",\n"
    with path.open("w") as file:
        file.write('{"version": 1, "data": [')
        written = 0
        while written < 500_000_000:
            written += file.write(row * 1000)
        file.write('{"text": "last"}]}')
    program = (
        "import resource, sys; from pathlib import Path; from affina.data.readers.json import Json\n"
        "from affina.data.tiles import recount\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss; began = peak(); path = Path(sys.argv[1])\n"
        "print(sum(1 for _ in Json().records(path)), recount(Json(), path), (peak() - began) // 1024)"
    )
    done = subprocess.run([sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=True)
    records, counted, mebibytes = map(int, done.stdout.split())
    assert records == counted == written // len(row) + 1
    assert mebibytes < 200


def test_the_json_test_suite_is_parsed_or_refused_as_the_standard_says() -> None:
    folder = shared("data", "json_test_suite_a")
    verdicts = {}
    for path in sorted(folder.glob("test_parsing__*.json")):
        try:
            verdicts[path.name] = bool(found := list(Json().records(path)))
            assert Json().count(path) == recount(Json(), path) == len(found)
        except Refused as error:
            verdicts[path.name] = "is JSON, but" in str(error)
            located = f"{path.name}:" in str(error) and ": not JSON: " in str(error)
            assert verdicts[path.name] or located or "is empty" in str(error) or "is binary" in str(error)
    assert len(verdicts) > 100
    assert [name for name, parsed in verdicts.items() if "__y_" in name and not parsed] == []
    assert [name for name, parsed in verdicts.items() if "__n_" in name and parsed] == []


@pytest.mark.parametrize(
    "path", sorted((ROOT / "data" / "duckdb_json_a").glob("*.*json*")), ids=lambda path: str(path.name)
)
def test_ugly_files_give_records_that_are_counted_twice_or_a_sentence(path: Path) -> None:
    try:
        reader, _ = reader_for(path)
        found = list(reader.records(path))
    except Refused as error:
        assert "\n" not in str(error)
    else:
        assert recount(reader, path) == len(found) > 0


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
    assert Json().count(shared("data", *parts)) == recount(Json(), shared("data", *parts)) == rows
    lines = [record.line for record in records]
    assert lines == sorted(lines)
