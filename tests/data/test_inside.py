from typing import Any

import pytest

from affina.core.kinds import Unusable
from affina.data import inside


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        ("plain", "plain"),
        (None, ""),
        (2019, "2019"),
        (["one", "two"], "one\n\ntwo"),
        ([{"text": "one", "order": 1}, {"text": "two"}], "one\n\ntwo"),
        ([["", "2019"], ["Sales", 7]], " | 2019\nSales | 7"),
        ({"uid": "t", "table": [["a", "b"]]}, "a | b"),
        ({"content": ["one", " "]}, "one"),
        ([], ""),
    ],
)
def test_a_cell_with_an_inside_is_told_as_text(cell: Any, text: str) -> None:
    assert inside.text(cell, "about") == text


def test_an_object_of_unknown_keys_is_unusable_and_not_readable() -> None:
    with pytest.raises(Unusable, match="column 'about' holds an object without any of text"):
        inside.text([{"deep": 1}], "about")
    assert not inside.readable([{"deep": 1}] * 5)
    assert not inside.readable([])
    assert inside.readable(["one"] * 9 + [{"deep": 1}])


def test_an_answer_of_several_parts_has_commas_between() -> None:
    assert inside.answer(["2019", " ", 7], "answer") == "2019, 7"
    assert inside.answer(7.5, "answer") == "7.5"
    with pytest.raises(Unusable):
        inside.answer([{"text": "a"}], "answer")
