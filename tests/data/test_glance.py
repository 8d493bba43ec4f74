from typing import Any

import pytest

from affina.data.glance import Glance


def summary(*cells: Any) -> dict[str, Any]:
    glance = Glance()
    for cell in cells:
        glance.add(cell)
    return glance.summary()


@pytest.mark.parametrize(
    ("cells", "holds"),
    [
        (["a", "b"], "text"),
        (["1", "2,5", 3, 4.5], "numbers"),
        ([True, False], "true or false"),
        ([[1]], "lists"),
        ([{"a": 1}], "objects"),
        (["a", "a", "1"], "text or numbers"),
        ([None, "", " ", [], {}], "nothing"),
    ],
)
def test_a_column_tells_what_it_holds(cells: list[Any], holds: str) -> None:
    assert summary(*cells)["holds"] == holds


def test_empty_cells_are_not_filled_and_different_ones_are_counted() -> None:
    assert summary("a", "", "b", "a", None, 0, False) == {
        "holds": "text or numbers",
        "rows": 7,
        "filled": 5,
        "different": 4,
        "of": 5,
        "cells": ["a", "b", "0"],
    }


def test_a_huge_cell_is_cut_where_it_is_shown() -> None:
    (cell,) = summary("x" * 1_000_000)["cells"]
    assert len(cell) == 80 and cell.endswith("…")
