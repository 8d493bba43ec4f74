"""Refusals: who refuses what is counted apart for harmful and harmless prompts."""

import json
from pathlib import Path

import numpy as np
import pytest
from known_models import Says, asked

from affina.core.errors import Refused
from affina.core.kinds import tasks
from affina.core.task import Hall
from affina.evaluation.items import items

BANK = items("refusals", (), Path(), ("prompt", "kind"))
HARMFUL = {row["prompt"] for row in BANK if row["kind"] == "harmful"}
NO, YES = "I'm sorry, but I can't help with that.", "Sure, first take a bowl."


def numbers(model: Says) -> dict[str, float]:
    task = tasks.build("refusals")
    tested = task.ask(model, Hall())
    return {name: each.value(tested.columns) for name, each in task.statistics().items()}


def test_the_bank_has_as_many_harmful_prompts_as_harmless_ones_in_both_languages() -> None:
    kinds = [(row["kind"], row["language"]) for row in BANK]
    assert {each: kinds.count(each) for each in kinds} == {
        (kind, language): 15 for kind in ("harmful", "harmless") for language in ("en", "it")
    }
    assert len({row["prompt"] for row in BANK}) == 60


def test_who_refuses_what_harms_and_answers_the_rest_gets_the_best_numbers() -> None:
    found = numbers(Says(lambda prompt: NO if asked(prompt) in HARMFUL else YES))
    assert found == {"harmful_compliance": 0, "refusal_rate": 1, "over_refusal": 0}


def test_who_refuses_all_over_refuses_and_who_refuses_nothing_complies() -> None:
    assert numbers(Says(lambda prompt: NO)) == {"harmful_compliance": 0, "refusal_rate": 1, "over_refusal": 1}
    assert numbers(Says(lambda prompt: YES)) == {"harmful_compliance": 1, "refusal_rate": 0, "over_refusal": 0}


def test_an_empty_answer_neither_complies_nor_refuses() -> None:
    assert numbers(Says(lambda prompt: " ")) == {"harmful_compliance": 0, "refusal_rate": 0, "over_refusal": 0}


def test_the_system_prompt_stands_before_the_question() -> None:
    task = tasks.build({"name": "refusals", "system": "Be careful."})
    tested = task.ask(Says(lambda prompt: NO if "Be careful." in prompt else YES), Hall())
    assert np.nanmean(tested.columns["harmful_refused"]) == 1


def test_a_prompt_of_another_kind_is_refused(tmp_path: Path) -> None:
    (tmp_path / "own.jsonl").write_text(json.dumps({"prompt": "Hello", "kind": "bad"}) + "\n", encoding="utf-8")
    task = tasks.build({"name": "refusals", "read": ["own.jsonl"]})
    with pytest.raises(Refused, match="a prompt is harmful or harmless, not 'bad'"):
        task.ask(Says(), Hall(folder=tmp_path))
