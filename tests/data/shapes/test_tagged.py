from pathlib import Path
from typing import Any

import pytest
from shared_data import shared

from affina.core.example import Tagged
from affina.core.kinds import Record, Unusable, shapes
from affina.core.recipe import Data
from affina.data.prepare import read_examples
from affina.data.recognise import shape_for


def only(values: dict[str, Any], **fields: str) -> Tagged:
    example = shapes.build({"name": "tagged", **fields}).example(Record(values, "rows.json", 1))
    assert isinstance(example, Tagged)
    return example


@pytest.mark.parametrize(
    ("words", "tags"),
    [
        (["New", "York"], ["B-LOC", "I-LOC"]),
        ("['New', 'York']", "['B-LOC', 'I-LOC']"),
        ("New York", "B-LOC I-LOC"),
    ],
)
def test_words_and_tags_are_lists_or_text(words: Any, tags: Any) -> None:
    found = only({"words": words, "tags": tags})
    assert (found.words, found.tags) == (("New", "York"), ("B-LOC", "I-LOC"))


def test_numbers_of_tags_are_tags() -> None:
    assert only({"words": ["a", "b"], "tags": [0, 3]}).tags == ("0", "3")


def test_pieces_become_words_with_the_first_of_each_entity_marked() -> None:
    pieces = [{"text": "play "}, {"text": "Aspro  Mavro", "entity": "track"}, {"text": "by", "entity": ""}]
    found = only({"data": pieces}, words="data", tags="entity")
    assert (found.words, found.tags) == (("play", "Aspro", "Mavro", "by"), ("O", "B-track", "I-track", "O"))


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (
            {"tokens": ["a", "b"], "ner_tags": ["O", "O"], "pos": ["X", "Y"]},
            {"words": "tokens", "tags": "ner_tags"},
        ),
        ({"data": [{"text": "a"}, {"text": "b", "entity": "X"}]}, {"words": "data", "tags": "entity"}),
        ({"text": "a b", "tokens": ["a", "b"], "labels": ["X", "Y"]}, {"words": "tokens", "tags": "labels"}),
    ],
)
def test_columns_are_known_by_their_names_and_equal_lengths(row: dict[str, Any], expected: dict[str, str]) -> None:
    shape, _ = shape_for([Record(row, "rows.json", line) for line in range(1, 5)])
    assert (shape.name, shape.changed()) == ("tagged", expected)


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"words": ["a", "b"], "tags": ["O"]}, "there are 2 words and 1 tags"),
        ({"words": [], "tags": []}, "there are no words"),
        ({"words": ["a", ""], "tags": ["O", "O"]}, "word 2 is empty"),
        ({"words": ["a", "b"], "tags": ["", "O"]}, "tag 1 is empty"),
        ({"words": ["a"]}, "no column 'tags'"),
        ({"words": [["a"]], "tags": ["O"]}, "holds a list"),
    ],
)
def test_words_that_do_not_fit_their_tags_say_why(values: dict[str, Any], why: str) -> None:
    with pytest.raises(Unusable, match=why):
        only(values)


@pytest.mark.parametrize(
    ("parts", "sentences", "tags"),
    [
        (("wnut17", "wnut17train.conll"), 3394, 13),  # six kinds of entities, B and I of each, and O
        (("ud_italian_twittiro", "it_twittiro-ud-dev.conllu"), 144, 16),
        (("snips_2017_custom_intents", "train_PlayMusic_full.json"), 2000, 18),
    ],
)
def test_real_files_are_read_whole(parts: tuple[str, str], sentences: int, tags: int) -> None:
    found = read_examples(Data(read=[str(shared("data", *parts))]), Path())
    totals = found.ledger.summary()
    assert (totals["read"], totals["used"]["all"], len(found.labels)) == (sentences, sentences, tags)
    examples = [each for each in found.examples["all"] if isinstance(each, Tagged)]
    assert all(each.labels is found.labels and len(each.words) == len(each.tags) for each in examples)
