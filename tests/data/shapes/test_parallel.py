from pathlib import Path
from typing import Any

import pytest
from shared_data import shared

from affina.core.example import Parallel
from affina.core.kinds import Record, Unusable, shapes
from affina.core.recipe import Data
from affina.data.prepare import read_examples
from affina.data.recognise import shape_for


def records(*names: str) -> list[Record]:
    return [Record({name: f"words of {name} {n}" for name in names}, "rows.csv", n) for n in range(1, 6)]


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("en", "it"),
        ("English", "Italian"),
        ("source", "target"),
        ("dialogue", "summary"),
        ("text", "summary"),
        ("MR", "ref"),
    ],
)
def test_usual_pairs_are_known_by_name(source: str, target: str) -> None:
    shape, _ = shape_for(records("id", source, target))
    assert shape.name == "parallel"
    assert shape.model_dump() == {"source": source, "target": target, "references": ()}


def test_two_languages_go_from_the_first_column_to_the_second() -> None:
    assert shape_for(records("it", "en"))[0].changed() == {"source": "it", "target": "en"}


def test_three_languages_are_not_decided_between() -> None:
    assert shapes.build("parallel").recognise(records("it", "en", "es")) is None


def test_an_answer_to_a_question_is_no_translation() -> None:
    assert shape_for(records("question", "answer"))[0].name == "prompt_completion"


@pytest.mark.parametrize(
    ("values", "fields"),
    [
        ({"source": "a", "target": ["b", "c"]}, {}),
        ({"source": "a", "target": "b", "other": "c", "none": ""}, {"references": ["other", "none", "absent"]}),
    ],
)
def test_further_results_are_references(values: dict[str, Any], fields: dict[str, Any]) -> None:
    found = shapes.build({"name": "parallel", **fields}).example(Record(values, "rows.csv", 1))
    assert isinstance(found, Parallel)
    assert (found.result, found.references) == ("b", ("c",))


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"source": " ", "target": "b"}, "the source is empty"),
        ({"source": "a", "target": ""}, "the target is empty"),
        ({"source": "a", "target": []}, "the target is empty"),
        ({"source": "a", "target": [["b"]]}, "holds a list"),
        ({"source": "a"}, "no column 'target'"),
    ],
)
def test_a_side_that_is_empty_says_so(values: dict[str, Any], why: str) -> None:
    with pytest.raises(Unusable, match=why):
        shapes.build("parallel").example(Record(values, "rows.csv", 1))


@pytest.mark.parametrize(
    ("parts", "rows", "references"),
    [
        (("dialogsum_dev_test", "dialogsum.dev.jsonl"), 500, 0),
        (("dialogsum_dev_test", "dialogsum.test.jsonl"), 500, 2),
        (("billsum_sample", "billsum-0.csv"), 200, 0),
        (("e2e_nlg", "devset.csv"), 4672, 0),
    ],
)
def test_real_files_are_read_whole(parts: tuple[str, str], rows: int, references: int) -> None:
    found = read_examples(Data(read=[str(shared("data", *parts))]), Path())
    assert (found.shape.name, found.ledger.summary()["used"]["all"]) == ("parallel", rows)
    assert all(len(each.references) == references for each in found.examples["all"] if isinstance(each, Parallel))
