"""Exact match with and without SQuAD's normalisation."""

import numpy as np
import pytest

from affina.core.answers import Answers
from affina.evaluation.metrics.exact_match import ExactMatch
from affina.evaluation.squad import squad_form


def said(expected: str, text: str) -> Answers:
    return Answers(("0",), np.ones(1), np.ones(1), expected=(expected,), said=(text,))


@pytest.mark.parametrize(
    ("expected", "text", "strict", "normalised"),
    [
        ("refund", "refund", 1, 1),
        ("refund", " refund\n", 1, 1),
        ("refund", "Refund.", 0, 1),
        ("the Eiffel Tower", "Eiffel  tower!", 0, 1),
        ("an answer", "answer", 0, 1),
        ("theatre", "atre", 0, 0),
        ("perché", "perche", 0, 0),
        ("", "", 1, 1),
    ],
)
def test_what_counts_as_the_same_answer(expected: str, text: str, strict: int, normalised: int) -> None:
    assert ExactMatch().value(said(expected, text)) == strict
    assert ExactMatch(normalise=True).value(said(expected, text)) == normalised


def test_squad_form_drops_case_punctuation_articles_and_extra_space() -> None:
    assert squad_form("  The  cat, a DOG and an owl's nest ") == "cat dog and owls nest"
