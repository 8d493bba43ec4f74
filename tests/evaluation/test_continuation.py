"""A text and what follows it: the same tokens as the whole, targets behind the edge, spaces to the next word."""

import pytest

from affina.core.errors import Refused
from affina.engine.toy import STOP, Bytes
from affina.evaluation.continuation import beginning, continuation


def test_what_follows_is_supervised_and_nothing_else() -> None:
    row = continuation(Bytes(), "id", "a b", " cd")
    assert bytes(row.tokens.tolist()) == b"a b cd" and row.weights.tolist() == [0, 0, 0, 1, 1, 1]


def test_white_space_before_the_edge_belongs_to_what_follows() -> None:
    row = continuation(Bytes(), "id", "a: ", "b")
    assert row.weights.tolist() == [0, 0, 1, 1]


def test_a_text_without_a_beginning_follows_the_end_of_another() -> None:
    row = continuation(Bytes(), "id", "", "ab")
    assert row.tokens.tolist() == [STOP, 97, 98] and row.weights.tolist() == [0, 1, 1]
    assert beginning(Bytes()) == [STOP]


class Joining(Bytes):
    """One token of two letters stands across the edge."""

    def continued(self, text: str) -> list[int]:
        return list(text.replace("xy", "\x01").encode())


def test_a_token_across_the_edge_is_divided() -> None:
    row = continuation(Joining(), "id", "ax", "yb")
    assert row.tokens.tolist() == [*b"axyb"] and row.weights.tolist() == [0, 0, 1, 1]


def test_nothing_and_too_much_are_refused() -> None:
    with pytest.raises(Refused, match="goes on with nothing"):
        continuation(Bytes(), "id", "a", "")
    with pytest.raises(Refused, match="id: an item is too long for the model: it has 6 tokens and the model takes 5"):
        continuation(Bytes(5), "id", "abc", "def")
