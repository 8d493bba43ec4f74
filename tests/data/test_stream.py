"""Records are gone through again and again, few from memory and many from their files, always the same."""

from pathlib import Path

import pytest

from affina.core.kinds import Record
from affina.data import stream
from affina.data.recognise import SAMPLE, readings
from affina.data.stream import Records, spread


def records(folder: Path, rows: int) -> Records:
    path = folder / "rows.jsonl"
    path.write_text("".join(f'{{"text": "row {n}"}}\n' for n in range(rows)) + "not JSON\n", encoding="utf-8")
    return Records(readings([path]), ["rows.jsonl"])


def test_many_records_are_the_same_as_few(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    few = list(records(tmp_path, 500))
    monkeypatch.setattr(stream, "BUFFER_BYTES", 1000)
    many = records(tmp_path, 500)
    assert list(many) == few and list(many) == few
    assert [entry.id for entry in few[:2]] == ["rows.jsonl:1", "rows.jsonl:2"] and few[-1].record.problem
    assert many.counts() == {str(tmp_path / "rows.jsonl"): 501}


def test_a_sample_is_spread_over_all_sound_records(tmp_path: Path) -> None:
    found = records(tmp_path, 9000).sample()
    assert SAMPLE <= len(found) <= 2 * SAMPLE
    assert [found[0].line, found[-1].line] == [1, 8993]  # every eighth


@pytest.mark.parametrize(("count", "step"), [(0, 1), (2 * SAMPLE, 1), (2 * SAMPLE + 1, 2), (8 * SAMPLE + 1, 8)])
def test_a_spread_takes_every_nth(count: int, step: int) -> None:
    every = [Record({}, "a", line) for line in range(count)]
    assert spread(every) == every[::step]


def test_records_of_one_line_have_names_of_their_own(tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    path.write_text('[{"a": 1}, {"a": 2}, {"a": 3},\n{"a": 4}]', encoding="utf-8")
    names = [entry.id for entry in Records(readings([path]), ["rows.json"])]
    assert names == ["rows.json:1", "rows.json:1.2", "rows.json:1.3", "rows.json:2"]
