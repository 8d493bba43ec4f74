"""What is counted without being kept: sets of ids, reasons, and lines that go to disk."""

from pathlib import Path

import pytest

from affina.data import tally
from affina.data.tally import Lines, Reasons, Tally


def test_tallies_are_equal_when_they_counted_the_same_ids_in_any_order() -> None:
    one, two, other = Tally(), Tally(), Tally()
    for id in ("a:1", "a:2", "è \ud800"):
        one.add(id)
    for id in ("è \ud800", "a:1", "a:3", "a:2"):
        two.add(id)
    two.take("a:3")
    other.add("a:1")
    assert one == two and one != other and other + Tally() == other


def test_reasons_that_differ_in_numbers_or_in_the_row_they_name_are_one() -> None:
    reasons = Reasons()
    for reason in ("3 cells where 2 are expected", "4 cells where 2 are expected", "exact duplicate of a.txt:1"):
        reasons.add(reason)
    reasons.add("exact duplicate of b c.txt:7.2")
    reasons.add("exact duplicate of b.txt:1")
    reasons.add("empty", 5)
    assert reasons.items()[0] == ("empty", 5)
    assert ("# cells where # are expected", 2) in reasons.items()
    assert ("exact duplicate of a row", 2) in reasons.items()


def test_of_very_many_reasons_the_rest_are_told_together() -> None:
    reasons = Reasons()
    for place in range(tally.MOST + 50):
        reasons.add(f"'{chr(97 + place % 26) * (place // 26 + 1)}' is no number")
    assert len(reasons.items()) == tally.MOST + 1
    assert (tally.OTHERS, 50) in reasons.items() and sum(times for _, times in reasons.items()) == tally.MOST + 50


def test_many_lines_are_as_few(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AFFINA_CACHE", str(tmp_path))
    monkeypatch.setattr(tally, "LINES_BYTES", 40)
    (tmp_path / "before").write_bytes(b"before\n")
    lines = Lines(tmp_path / "before")
    for place in range(30):
        lines.add(f"line {place}\n".encode())
    for _ in range(2):
        with (tmp_path / "out").open("wb") as file:
            lines.write(file)
        assert (tmp_path / "out").read_text().split("\n") == ["before", *(f"line {place}" for place in range(30)), ""]
