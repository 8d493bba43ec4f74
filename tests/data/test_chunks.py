import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shared_data import shared

from affina.data.chunks import chunks, sentences


def parts(text: str) -> list[str]:
    return [text[start:stop] for start, stop in sentences(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It rains. It snows! Does it? Yes.", ["It rains.", "It snows!", "Does it?", "Yes."]),
        ("Mr. Rossi met Dr. Bianchi. They spoke.", ["Mr. Rossi met Dr. Bianchi.", "They spoke."]),
        ("Vedi l'art. 12, n. 3, del D.Lgs. 82/2005. Poi no.", ["Vedi l'art. 12, n. 3, del D.Lgs. 82/2005.", "Poi no."]),
        ("J. S. Bach wrote it. U.S. law applies.", ["J. S. Bach wrote it.", "U.S. law applies."]),
        ("He said “stop.” Then he left… and came back.", ["He said “stop.”", "Then he left…", "and came back."]),
        ("The sum is 3.5 million. More", ["The sum is 3.5 million.", "More"]),
        ("a heading\n\nIts text goes\non here.\n \n\nAnother", ["a heading", "Its text goes\non here.", "Another"]),
        ("=====\n\nTitle\n\n-----", ["Title"]),
        ("", []),
        (" \n\t\n ", []),
    ],
)  # fmt: skip
def test_sentences_are_those_a_reader_sees(text: str, expected: list[str]) -> None:
    assert parts(text) == expected


@given(st.text(alphabet="ab .!?\n\u00a0é", max_size=200), st.integers(1, 30))
def test_chunks_hold_every_letter_once_in_order_and_keep_to_the_budget(text: str, budget: int) -> None:
    found = list(chunks(text, budget, len))
    assert all(start < stop for start, stop in found)
    assert all(one[1] <= two[0] for one, two in pairwise(found))
    covered = "".join(text[start:stop] for start, stop in found)
    assert [sign for sign in covered if sign.isalnum()] == [sign for sign in text if sign.isalnum()]
    for start, stop in found:
        # the white space between sentences is not counted: the sum of what sentences cost is
        inside = sum(b - a for a, b in sentences(text[start:stop]))
        assert inside <= budget or stop - start == 1


def test_a_sentence_without_spaces_is_divided_where_it_must() -> None:
    text = "x" * 1000
    found = list(chunks(text, 64, len))
    assert "".join(text[a:b] for a, b in found) == text
    assert max(b - a for a, b in found) <= 64


def test_whole_sentences_stand_together_as_long_as_they_fit() -> None:
    text = "One two. Three four. Five six. Seven."
    assert [text[a:b] for a, b in chunks(text, 20, len)] == ["One two. Three four.", "Five six. Seven."]


@pytest.mark.parametrize("folder", ["piano_triennale_ict_it", "sec_contracts"])
def test_real_documents_are_covered_within_the_budget(folder: str) -> None:
    draws = random.Random(0)
    for path in draws.sample(sorted(shared("data", folder).glob("[a-z]*.[rt]*")), 8):
        text = path.read_text(encoding="utf-8")
        found = list(chunks(text, 120, lambda part: len(part) // 4 + 1))
        letters = sum(sign.isalnum() for start, stop in found for sign in text[start:stop])
        assert letters == sum(sign.isalnum() for sign in text)
        assert all(len(text[start:stop].split()) for start, stop in found)
