from pathlib import Path

import pytest
from shared_data import shared

from affina.core.errors import Refused
from affina.core.kinds import Record
from affina.data.readers.jsonl import Jsonl
from affina.data.tiles import recount


def read(folder: Path, content: bytes) -> list[Record]:
    path = folder / "rows.jsonl"
    path.write_bytes(content)
    return list(Jsonl().records(path))


def test_a_bad_line_is_a_problem_with_its_line_and_column(tmp_path: Path) -> None:
    records = read(tmp_path, b'{"a": 1}\n\n{"a": 1,}\n{"a": 2}\n')
    assert [(record.line, bool(record.problem)) for record in records] == [(1, False), (3, True), (4, False)]
    assert "column" in records[1].problem
    assert records[1].values == '{"a": 1,}'


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"3", "an object is expected"),
        (b"[1]", "an object is expected"),
        (b'{"a": NaN}', "NaN is not JSON"),
        (b'{"a": 1, "a": 2}', "'a' stands twice"),
        (b'{"a": "\\ud800"}', "half of a surrogate pair"),
        (b'{"a": 1} {"a": 2}', "something follows"),
        (b'{"a": ' + b"[" * 100_000, "not JSON"),
        (b'{"a": ' + b"9" * 5000 + b"}", "not JSON"),
    ],
)
def test_what_is_not_one_sound_object_is_a_problem(tmp_path: Path, line: bytes, why: str) -> None:
    good, bad = read(tmp_path, b'{"a": "fine"}\n' + line + b"\n")
    assert not good.problem
    assert why in bad.problem


def test_any_line_end_and_a_byte_order_mark_are_understood(tmp_path: Path) -> None:
    records = read(tmp_path, b'\xef\xbb\xbf{"a": 1}\r\n{"a": 2}\r{"a": 3}\n{"a": "\xe2\x80\xa8"}')
    assert [record.values["a"] for record in records] == [1, 2, 3, "\u2028"]
    assert [record.line for record in records] == [1, 2, 3, 4]


def test_what_is_white_space_elsewhere_is_no_blank_line_of_json(tmp_path: Path) -> None:
    records = read(tmp_path, '{"a": 1}\n \t\n\xa0\n{"a": 2}'.encode())
    assert [(record.line, bool(record.problem)) for record in records] == [(1, False), (3, True), (4, False)]


def test_a_line_of_megabytes_is_one_record(tmp_path: Path) -> None:
    (record, _) = read(tmp_path, b'{"a": "' + b"word " * 1_000_000 + b'"}\n{"a": 1}')
    assert len(record.values["a"]) == 5_000_000


def test_a_file_of_blank_lines_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="no records"):
        read(tmp_path, b"\n \n")


def test_gsm8k_has_a_record_per_line() -> None:
    records = list(Jsonl().records(shared("data", "gsm8k", "test.jsonl")))
    assert len(records) == 1319  # the published size of the test split
    assert recount(Jsonl(), shared("data", "gsm8k", "test.jsonl")) == 1319
    assert not any(record.problem for record in records)
