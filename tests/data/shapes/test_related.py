from typing import Any

import pytest

from affina.core.example import Related
from affina.core.kinds import Record, Unusable, shapes
from affina.data.recognise import shape_for


def only(row: dict[str, Any]) -> Related:
    records = [Record(row, "rows.json", line) for line in range(1, 4)]
    shape, _ = shape_for(records)
    assert shape.name == "related"
    example = shape.example(records[0])
    assert isinstance(example, Related)
    return example


@pytest.mark.parametrize(
    ("row", "negatives"),
    [
        ({"anchor": "a b", "positive": "c d"}, ()),
        ({"query": "a b", "positive": "c d", "negative": "e f"}, ("e f",)),
        ({"query": "a b", "pos": ["c d"], "neg": ["e f", "g h"]}, ("e f", "g h")),
        ({"question": "a b", "positive": "c d", "negative_1": "e f", "negative_2": ""}, ("e f",)),
        ({"question1": "a b", "question2": "c d", "is_duplicate": 1}, ()),
    ],
)
def test_pairs_are_known_by_the_names_of_their_columns(row: dict[str, Any], negatives: tuple[str, ...]) -> None:
    found = only(row)
    assert (found.anchor, found.positive, found.negatives) == ("a b", "c d", negatives)


@pytest.mark.parametrize(
    ("fields", "values", "why"),
    [
        ({}, {"anchor": "", "positive": "b"}, "the anchor is empty"),
        ({}, {"anchor": "a", "positive": []}, "the positive is empty"),
        ({}, {"anchor": "a", "positive": ["b", "c"]}, "the positive is several texts"),
        ({}, {"anchor": "a"}, "no column 'positive'"),
        ({"related": "same"}, {"anchor": "a", "positive": "b", "same": "0"}, "the two texts do not belong together"),
        ({"related": "same"}, {"anchor": "a", "positive": "b", "same": "maybe"}, "'maybe' where 0 or 1 is expected"),
        ({"related": "same"}, {"anchor": "a", "positive": "b", "same": ""}, "the mark is empty"),
    ],
)
def test_texts_that_are_no_pair_say_why(fields: dict[str, Any], values: dict[str, Any], why: str) -> None:
    with pytest.raises(Unusable, match=why):
        shapes.build({"name": "related", **fields}).example(Record(values, "rows.json", 1))
