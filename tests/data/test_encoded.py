"""Rows for heads: what is tied, what a place says, what is kept of a text that is too long."""

from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest

from affina.core.example import Labelled, MultiLabelled, Related, Tagged
from affina.data.encoded import first_tokens, labelled, multi_labelled, related, tagged
from affina.data.tokens import Vocabulary

CLOSING = 3
LABELS = ("a", "b")


@pytest.fixture
def vocabulary(family: Callable[[str], Path]) -> Vocabulary:
    return Vocabulary(family("bert+words"))


def test_an_anchor_its_partner_and_all_that_only_seems_to_belong_are_tied(vocabulary: Vocabulary) -> None:
    given = [Related(id="1", anchor="the card", positive="my card", negatives=("a bill", "the old one", "a bank"))]
    (rows,) = related(vocabulary, given * 2, 40)[1:]
    assert [row.label for row in rows] == [0, 1, 2, 2, 2] and [row.tied for row in rows] == [False] + [True] * 4
    assert [row.id for row in rows] == [f"1#{n}" for n in range(5)] and not any(row.targets for row in rows)


def test_a_label_that_is_not_known_is_none(vocabulary: Vocabulary) -> None:
    given = [Labelled(id=str(n), text="my card", label=label, labels=LABELS) for n, label in enumerate("bza")]
    assert [row.label for (row,) in labelled(vocabulary, given, 40)] == [1, -1, 0]


def test_goals_are_1_for_what_is_right(vocabulary: Vocabulary) -> None:
    ((row,),) = multi_labelled(vocabulary, [MultiLabelled(id="1", text="my card", right=("b",), labels=LABELS)], 40)
    assert row.goals is not None and row.goals.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("offsets", "special", "places"),
    [
        ([(0, 3), (4, 7)], (), [0, 1]),
        ([(0, 3), (3, 7)], (), [0, 1]),  # a token that begins with the space before
        ([(0, 0), (0, 2), (2, 3), (4, 6), (6, 7), (0, 0)], (), [1, 3]),  # the first of several, none of the frame
        ([(0, 3), (0, 3), (4, 7)], (0,), [1, 2]),  # a special token that has characters
        ([(4, 7)], (), [-1, 0]),
    ],
)
def test_a_words_place_is_its_first_token(
    offsets: Sequence[tuple[int, int]], special: Sequence[int], places: Sequence[int]
) -> None:
    mask = [int(place in special) for place in range(len(offsets))]
    assert first_tokens(SimpleNamespace(offsets=offsets, special_tokens_mask=mask), ["abc", "def"]) == places


def test_a_tag_that_is_not_known_is_no_target(vocabulary: Vocabulary) -> None:
    words = ("my", "old", "card")
    ((row,),) = tagged(vocabulary, [Tagged(id="1", words=words, tags=("b", "z", "a"), labels=LABELS)], 40)
    assert row.said is not None and row.said[row.weights > 0].tolist() == [1, 0] and row.targets == 2


def test_what_is_cut_is_counted_and_the_closing_token_stays(vocabulary: Vocabulary) -> None:
    words = ("the", "card", "of", "my", "account", "is", "old")
    ((row,),) = tagged(vocabulary, [Tagged(id="1", words=words, tags=("a",) * 7, labels=LABELS)], 6)
    whole = len(vocabulary.encode([" ".join(words)], special=True)[0].ids)
    assert len(row.tokens) == 6 and row.tokens[-1] == CLOSING and row.cut == whole - 6
    assert row.weights.tolist() == [0, 1, 0, 0, 1, 0] and row.cut_targets == 5  # "the" is three tokens here
