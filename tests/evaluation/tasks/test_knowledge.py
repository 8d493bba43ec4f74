"""Knowledge: the bank is sound, and who knows the answers is right everywhere."""

import json
from pathlib import Path

import numpy as np
import pytest
from known_models import Says

from affina.core.errors import Refused
from affina.core.kinds import tasks
from affina.core.task import Hall
from affina.evaluation.items import items

BANK = items("knowledge", (), Path(), ("question", "options", "answer"))


def test_every_question_has_four_options_one_of_them_right_and_none_is_asked_twice() -> None:
    assert len(BANK) == 80
    assert len({row["question"] for row in BANK}) == 80
    assert all(len({*row["options"]}) == 4 and row["answer"] in row["options"] for row in BANK)


def test_the_right_option_stands_in_every_place_about_equally_often() -> None:
    places = [row["options"].index(row["answer"]) for row in BANK]
    assert [places.count(place) for place in range(4)] == pytest.approx([20] * 4, abs=4)


def test_who_finds_the_right_options_likelier_is_right_everywhere_and_else_nowhere() -> None:
    right = {row["question"]: row["answer"] for row in BANK}

    def nats(before: str, said: str) -> float:
        question = before.removeprefix("user: ").partition("assistant: ")[0]
        return 0.0 if said == right[question] else 1.0

    task = tasks.build("knowledge")
    for model, share in ((Says(nats=nats), 1.0), (Says(nats=lambda b, s: 1 - nats(b, s)), 0.0)):
        tested = task.ask(model, Hall())
        assert task.statistics()["accuracy"].value(tested.columns) == share
    assert tested.ids == tuple(row["id"] for row in BANK)


def test_the_chance_of_the_right_option_is_its_share_of_the_options_likelihood(tmp_path: Path) -> None:
    row = {"question": "Which?", "options": ["ab", "cd"], "answer": "cd"}
    (tmp_path / "own.jsonl").write_text(json.dumps(row) + "\n", encoding="utf-8")
    task = tasks.build({"name": "knowledge", "read": ["own.jsonl"]})
    tested = task.ask(Says(nats=lambda before, said: 0.5 if said == "cd" else 1.0), Hall(folder=tmp_path))
    # two bytes each, the stop token left out: e^-1 against e^-2
    assert tested.columns["chance"][0] == pytest.approx(np.exp(-1) / (np.exp(-1) + np.exp(-2)))


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        ({"question": "Which?", "options": ["a", "b"], "answer": "c"}, "the right answer 'c' is none of the 2 known"),
        ({"question": "Which?", "options": ["a"], "answer": "a"}, "no list of options"),
        ({"question": "Which?", "options": "a, b", "answer": "a"}, "no list of options"),
        ({"question": "Which?", "answer": "a"}, "the item has no options"),
    ],
)
def test_a_question_that_cannot_be_asked_is_refused(tmp_path: Path, row: dict[str, object], complaint: str) -> None:
    (tmp_path / "own.jsonl").write_text(json.dumps(row) + "\n", encoding="utf-8")
    task = tasks.build({"name": "knowledge", "read": ["own.jsonl"]})
    with pytest.raises(Refused, match=complaint):
        task.ask(Says(), Hall(folder=tmp_path))
