import json
import stat
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from affina.core.errors import Failed, Refused
from affina.core.example import Text
from affina.core.kinds import Record
from affina.data.ledger import Ledger


def example(number: int) -> Text:
    return Text(id=f"rows.csv:{number}", text="words")


@settings(deadline=None)
@given(ends=st.lists(st.sampled_from(["train", "validation", "test", "dropped", "quarantined"]), max_size=50))
def test_totals_add_up_whatever_becomes_of_the_rows(ends: list[str]) -> None:
    ledger = Ledger()
    for number in range(1, len(ends) + 1):
        ledger.read("rows.csv", f"rows.csv:{number}")
    used: dict[str, list[Text]] = {}
    for number, end in enumerate(ends, 1):
        if end == "quarantined":
            ledger.quarantine(Record({}, "rows.csv", number), "the label is empty")
        elif end == "dropped":
            ledger.drop(example(number), "exact duplicate of rows.csv:1")
        else:
            used.setdefault(end, []).append(example(number))
    for split, examples in used.items():
        ledger.use(split, examples)
    ledger.reconcile()
    found = ledger.summary()
    assert found["read"] == sum(found["used"].values()) + found["dropped"]["total"] + found["quarantined"]["total"]
    assert sum(found["dropped"]["reasons"].values()) == found["dropped"]["total"]
    assert len(found["dropped"]["reasons"]) <= 1  # reasons differ in their numbers only


@pytest.mark.parametrize(("read", "used"), [(2, [1]), (1, [1, 2]), (2, [1, 1]), (2, [1, 3])])
def test_a_lost_an_invented_and_a_doubled_row_are_noticed(read: int, used: list[int]) -> None:
    ledger = Ledger()
    for number in range(1, read + 1):
        ledger.read("rows.csv", f"rows.csv:{number}")
    ledger.use("train", [example(number) for number in used])
    with pytest.raises(Failed, match="does not add up"):
        ledger.reconcile()


def test_the_first_bad_row_stops_the_run_when_asked() -> None:
    with pytest.raises(Refused, match=r"rows\.csv:7: this row cannot be used: the label is empty"):
        Ledger("stop").quarantine(Record({}, "rows.csv", 7), "the label is empty")


def test_quarantined_rows_are_kept_whole_and_private(tmp_path: Path) -> None:
    ledger = Ledger()
    for number in (1, 2, 3):
        ledger.read("rows.csv", f"rows.csv:{number}")
    ledger.quarantine(Record({"text": "è \ud800", "label": None}, "rows.csv", 2), "the label is empty")
    ledger.drop(example(3), "exact duplicate of rows.csv:1")
    ledger.use("train", [example(1)])
    ledger.cut(rows=1, tokens=20, targets=5)
    ledger.write(tmp_path)
    ledger.write(tmp_path)
    assert json.loads((tmp_path / "quarantine.jsonl").read_text(encoding="utf-8")) == {
        "file": "rows.csv",
        "line": 2,
        "reason": "the label is empty",
        "row": {"text": "è \ud800", "label": None},
    }
    assert json.loads((tmp_path / "dropped.jsonl").read_text()) == {
        "id": "rows.csv:3",
        "reason": "exact duplicate of rows.csv:1",
    }
    assert json.loads((tmp_path / "ledger.json").read_text()) == ledger.summary()
    assert ledger.summary()["cut"] == {"rows": 1, "tokens": 20, "targets": 5}
    assert stat.S_IMODE((tmp_path / "quarantine.jsonl").stat().st_mode) == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dropped.jsonl", "ledger.json", "quarantine.jsonl"]


def test_a_folder_that_cannot_be_written_is_a_failure_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(Failed, match="cannot be written"):
        Ledger().write(tmp_path / "absent")
