import json
from typing import Any

import pytest
from shared_data import shared

from affina.core.errors import Refused
from affina.core.kinds import Record
from affina.data.seeds import Task, tasks


def records(*rows: Any) -> list[Record]:
    return [Record(row, "a.jsonl", line) for line, row in enumerate(rows, 1)]


def test_the_published_form_keeps_its_own_word_on_what_is_a_choice() -> None:
    row = {
        "instruction": " Sort it ", "is_classification": True,
        "instances": [{"input": "x", "output": "y"}, {"input": "z", "output": "w"}],
    }  # fmt: skip
    assert tasks(records(row)) == [Task("Sort it", "x", "y", True)]


@pytest.mark.parametrize("instances", [[], None, "x", [1], [{"input": "x"}], [{"input": "x", "output": " "}]])
def test_a_seed_without_an_example_is_none(instances: Any) -> None:
    whole = {"instruction": "a", "instances": [{"input": "", "output": "b"}]}
    assert tasks(records(whole, {"instruction": "b", "instances": instances})) == [Task("a", "", "b", False)]
    with pytest.raises(Refused, match="no seed task"):
        tasks(records({"instruction": "b", "instances": instances}))


def test_rows_of_questions_and_answers_are_seeds_and_shared_short_answers_are_choices() -> None:
    rows = [
        {"instruction": "Is it rain?", "input": "wet", "output": "yes"},
        {"instruction": "Is it snow?", "input": "", "output": "yes"},
        {"instruction": "Tell a tale", "input": "", "output": "Once upon a time there was a yes"},
    ]
    assert tasks(records(*rows)) == [
        Task("Is it rain?", "wet", "yes", True),
        Task("Is it snow?", "", "yes", True),
        Task("Tell a tale", "", "Once upon a time there was a yes", False),
    ]


def test_other_rows_are_no_seeds() -> None:
    with pytest.raises(Refused, match="seed tasks are questions and answers"):
        tasks(records(*({"text": f"text number {n}", "label": "xy"[n % 2]} for n in range(9))))


def test_the_published_seeds_are_all_read() -> None:
    lines = shared("data", "self_instruct_seed_tasks", "seed_tasks.jsonl").read_text(encoding="utf-8").splitlines()
    found = tasks(records(*map(json.loads, lines)))
    assert len(found) == 175  # Wang et al. (2023), section 3.1
    assert sum(task.choice for task in found) == sum('"is_classification": true' in line for line in lines) > 0
