"""Options by log-probability: three ways to count length, answers written in three ways, prefixes shared, one call."""

import math
from pathlib import Path

import numpy as np
import pytest
from tiny import written
from tiny_models import Guessing

from affina.core.errors import Refused
from affina.core.kinds import tasks
from affina.core.task import Hall, Task, Tested

ROWS = [
    {"question": "What is wet?", "options": ["fire", "a glass of water"], "answer": 1, "kind": "things"},
    {"question": "What barks?", "options": ["dog", "cat"], "answer": "A", "kind": "beasts"},
    {"question": "What meows?", "options": ["dog", "cat"], "answer": "cat", "kind": "beasts"},
]


def choices(folder: Path, **settings: object) -> Task:
    written(folder, "bank.jsonl", ROWS)
    return tasks.build({"name": "multiple_choice", "data": "bank.jsonl", **settings})


def asked(folder: Path, model: Guessing, **settings: object) -> Tested:
    return choices(folder, **settings).ask(model, Hall(folder=folder))


def test_sums_and_lengths_choose_as_arithmetic_says(tmp_path: Path) -> None:
    # A nat per option and one per letter of it: the long right option loses by its sum (4 + 1 against 16 + 1), wins by
    # letter (17 / 16 = 1.06 against 5 / 4 = 1.25); tokens of bytes count its leading space too: 17 / 17 and 5 / 5.
    found = asked(tmp_path, Guessing(lambda before, said: 1.0 + len(said.strip())), form="text")
    assert found.ids == ("bank.jsonl:1", "bank.jsonl:2", "bank.jsonl:3")
    assert found.columns["right"].tolist() == [0, 1, 0]
    assert found.columns["right_per_character"].tolist() == [1, 1, 0]
    assert found.columns["nats"].tolist() == [17, 4, 4]
    # exp(-17) / (exp(-17) + exp(-5)), and two equal options
    assert found.columns["probability"] == pytest.approx([1 / (1 + math.exp(12)), 0.5, 0.5])


def test_the_right_option_is_a_place_a_letter_or_its_text(tmp_path: Path) -> None:
    right = {"What is wet?": "water", "What barks?": "dog", "What meows?": "cat"}
    model = Guessing(
        lambda before, said: 1.0 if right[before.partition("user: ")[2].partition("?")[0] + "?"] in said else 2.0
    )
    found = asked(tmp_path, model)
    assert found.columns["right"].tolist() == [1, 1, 1] and model.calls == 1
    assert found.shown[0] == {"given": "What is wet?", "expected": "a glass of water", "said": "a glass of water"}


def test_columns_group_and_lengths_do(tmp_path: Path) -> None:
    found = asked(tmp_path, Guessing(lambda before, said: 1.0), by="kind")
    assert found.slices["kind"] == ("things", "beasts", "beasts")
    assert found.slices["length"] == ("Q2 (12–12)", "Q1 (11–11)", "Q1 (11–11)")


def test_options_may_be_columns_of_their_own_and_deeper_ones(tmp_path: Path) -> None:
    rows = [{"question": "q", "a": "one", "b": "two", "deep": {"texts": ["one", "two"]}, "answer": "B"}]
    written(tmp_path, "other.jsonl", rows)
    for options in (["a", "b"], "deep.texts"):
        task = tasks.build({"name": "multiple_choice", "data": "other.jsonl", "options": options})
        found = task.ask(Guessing(lambda before, said: float("two" not in said)), Hall(folder=tmp_path))
        assert found.columns["right"].tolist() == [1]


def test_rows_that_are_no_choice_are_left_out_and_told(tmp_path: Path) -> None:
    bad = [
        {"question": "one option", "options": ["a"], "answer": 0},
        {"question": "?", "options": ["a", "b"], "answer": 7},
    ]
    written(tmp_path, "bad.jsonl", [*bad, *ROWS])
    task = tasks.build({"name": "multiple_choice", "data": "bad.jsonl"})
    found = task.ask(Guessing(lambda before, said: 1.0), Hall(folder=tmp_path))
    assert len(found) == 3
    assert found.notes == ("2 rows left out, the first bad.jsonl:1: a choice needs two options, and there is 1",)
    written(tmp_path, "bad.jsonl", bad[1:])
    with pytest.raises(
        Refused, match=r"no item of bad.jsonl can be asked: bad.jsonl:1: the right answer '7' is none of"
    ):
        task.ask(Guessing(lambda before, said: 1.0), Hall(folder=tmp_path))
    with pytest.raises(Refused, match="no column 'options'"):
        written(tmp_path, "bad.jsonl", [{"question": "?", "answer": 7}])
        task.ask(Guessing(lambda before, said: 1.0), Hall(folder=tmp_path))


def test_options_share_their_question_and_score_as_alone(tmp_path: Path, chat_model: Path) -> None:
    from affina.core.say import Silent
    from affina.evaluation.open import open_model

    model = open_model(str(chat_model), tmp_path, True, Silent()).model
    long = " ".join(["where is the parcel"] * 6)
    said = ("in the house", "on the roof of it", "at sea")
    written(tmp_path, "bank.jsonl", [{"question": long, "options": said, "answer": 0}])
    task: object = tasks.build({"name": "multiple_choice", "data": "bank.jsonl"})
    items, _ = task.items(Hall(folder=tmp_path), task._right)  # type: ignore[attr-defined]
    rows = task.options_of(model.renderer, items[0], said, " ")  # type: ignore[attr-defined]
    shared = len(model.layout(rows).tokens_T)
    assert shared < sum(len(row.tokens) for row in rows) / 2
    together = [each.logprobs_S.sum() for each in model.score(rows)]
    alone = [model.score([row])[0].logprobs_S.sum() for row in rows]
    assert together == pytest.approx(alone, rel=1e-3)
    found = task.ask(model, Hall(folder=tmp_path))  # type: ignore[attr-defined]
    assert found.columns["nats"] == pytest.approx([-together[0]], abs=1e-6)
    assert found.columns["right"].tolist() == [float(np.argmax(alone) == 0)]


def test_an_item_the_model_would_not_see_whole_is_refused_by_name(tmp_path: Path) -> None:
    for form in ("chat", "text"):
        with pytest.raises(Refused, match=r"bank.jsonl:1.*: an item is too long for the model: it has .* takes 12"):
            asked(tmp_path, Guessing(lambda before, said: 1.0, max_tokens=12), form=form)
