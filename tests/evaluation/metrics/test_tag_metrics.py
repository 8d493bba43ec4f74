"""Entities read from tags as conlleval reads them, and their F1, against published and counted cases."""

import numpy as np
import pytest

from affina.core.answers import Answers
from affina.core.errors import Refused
from affina.core.example import Tagged
from affina.evaluation.answer import require, usual
from affina.evaluation.metrics.entity_f1 import EntityF1, entities
from affina.evaluation.metrics.tag_accuracy import TagAccuracy


def tagged(right: list[str], given: list[str]) -> Answers:
    n = len(right)
    tags, guessed = (tuple(tuple(each.split()) for each in side) for side in (right, given))
    return Answers(tuple(map(str, range(n))), np.ones(n), np.ones(n), tags=tags, guessed=guessed)


def test_the_example_in_seqevals_documentation() -> None:
    answers = tagged(
        ["O O O B-MISC I-MISC I-MISC O", "B-PER I-PER O"], ["O O B-MISC I-MISC I-MISC I-MISC O", "B-PER I-PER O"]
    )
    assert EntityF1().value(answers) == pytest.approx(0.50)
    assert TagAccuracy().value(answers) == pytest.approx(0.80)


@pytest.mark.parametrize(
    "tags",
    [
        "B-PER I-PER O B-LOC B-LOC",  # IOB2
        "I-PER I-PER O I-LOC B-LOC",  # IOB1: B only between neighbours of one type
        "B-PER E-PER O S-LOC S-LOC",  # BIOES
        "B-PER L-PER O U-LOC U-LOC",  # BILOU
        "I-PER E-PER O E-LOC E-LOC",  # IOE
    ],
)
def test_one_text_in_every_scheme_has_the_same_entities(tags: str) -> None:
    assert entities(tags.split()) == {("PER", 0, 2), ("LOC", 3, 4), ("LOC", 4, 5)}


@pytest.mark.parametrize(
    ("tags", "found"),
    [
        ("", set()),
        ("O O", set()),
        ("I-PER I-LOC", {("PER", 0, 1), ("LOC", 1, 2)}),  # a change of type begins another
        ("B-PER I-LOC I-LOC", {("PER", 0, 1), ("LOC", 1, 3)}),
        ("B-PER E-PER I-PER", {("PER", 0, 2), ("PER", 2, 3)}),
        ("S-PER I-PER", {("PER", 0, 1), ("PER", 1, 2)}),
        ("B I O B", {("", 0, 2), ("", 3, 4)}),  # chunks without types
        ("B-album-name I-album-name", {("album-name", 0, 2)}),
        ("PER PER O LOC", {("PER", 0, 2), ("LOC", 3, 4)}),  # types alone
    ],
)
def test_what_begins_and_ends_an_entity(tags: str, found: set[tuple[str, int, int]]) -> None:
    assert entities(tags.split()) == found


def test_an_entity_is_right_only_with_both_ends_and_its_type() -> None:
    answers = tagged(["B-PER I-PER O B-LOC", "B-ORG O"], ["B-PER O O B-LOC", "B-LOC O"])
    # Three actual, three given, one right.
    assert EntityF1().value(answers) == pytest.approx(2 * 1 / 6)
    # Tags: 3 + 1 of 6 words
    assert TagAccuracy().value(answers) == pytest.approx(4 / 6)


def test_no_entities_at_all_are_no_score() -> None:
    assert EntityF1().value(tagged(["O O"], ["O O"])) == 0.0


@pytest.mark.parametrize("labels", [("ADJ", "NOUN", "VERB"), ("0", "1", "2")])
def test_tags_that_leave_no_word_outside_are_judged_word_by_word(labels: tuple[str, ...]) -> None:
    """Parts of speech, or entities by number: every run of one tag would be an entity."""
    assert EntityF1().objection(labels).endswith("use tag_accuracy")
    example = Tagged(id="1", words=("a",), tags=labels[:1], labels=labels)
    assert usual([example]) == ("tag_accuracy", "loss")
    with pytest.raises(Refused, match="metric entity_f1 cannot be computed: none of the tags"):
        require([EntityF1()], [example])


@pytest.mark.parametrize("labels", [("B-PER", "O"), ("B-PER", "I-PER"), ("LOC", "O", "PER"), ()])
def test_entities_in_any_convention_are_judged_as_such(labels: tuple[str, ...]) -> None:
    assert EntityF1().objection(labels) == ""
