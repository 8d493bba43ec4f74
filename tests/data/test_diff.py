"""Two data sets side by side: counts from arithmetic, whichever side is called first."""

import json
from pathlib import Path

import pytest

import affina
from affina.core.errors import Refused


def write(path: Path, rows: list[tuple[str, str]]) -> str:
    lines = (json.dumps({"text": text, "label": label}) for text, label in rows)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(path)


def test_what_is_in_one_only_what_changed_and_how_classes_moved(tmp_path: Path) -> None:
    """20 rows in both, 5 in the first alone, 3 in the second alone, 2 whose class is another."""
    both = [(f"the text of row {n}", "xy"[n % 2]) for n in range(20)]
    one = write(
        tmp_path / "one.jsonl", [*both, *((f"first {n} only", "x") for n in range(5)), ("a b", "x"), ("c", "y")]
    )
    two = write(
        tmp_path / "two.jsonl", [*both, *((f"second {n} only", "y") for n in range(3)), ("a  b", "y"), ("c", "x")]
    )
    found = affina.data_diff(one, two)
    assert (found["rows"], found["same"], found["only"], found["changed"]) == ([27, 25], 20, [5, 3], 2)
    assert found["classes"] == [{"x": 16, "y": 11}, {"y": 14, "x": 11}]
    assert [each["given"] for each in found["examples"]["only"][1]] == [f"second {n} only" for n in range(3)]
    assert [(before["target"], after["target"]) for before, after in found["examples"]["changed"]] == [
        ("x", "y"),
        ("y", "x"),
    ]
    turned = affina.data_diff(two, one)
    assert (turned["rows"], turned["same"], turned["only"], turned["changed"]) == ([25, 27], 20, [3, 5], 2)


def test_a_recipe_stands_for_the_rows_it_reads(tmp_path: Path) -> None:
    one = write(tmp_path / "one.jsonl", [(f"row {n} of it", "xy"[n % 2]) for n in range(9)])
    (tmp_path / "recipe.yaml").write_text("name: a\nmodel: {base: b}\ndata: {read: [one.jsonl]}\n", encoding="utf-8")
    found = affina.data_diff(str(tmp_path / "recipe.yaml"), one)
    assert (found["same"], found["only"], found["changed"]) == (9, [0, 0], 0)


def test_what_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="there is no file"):
        affina.data_diff(str(tmp_path / "none.csv"), str(tmp_path / "none.csv"))
