"""Instructions: an answer is judged by all of its rules."""

import json
from pathlib import Path

import pytest
from known_models import Says, asked

from affina.core.errors import Refused
from affina.core.kinds import tasks
from affina.core.task import Hall

ROWS = [
    {"id": "a", "prompt": "Say rain in two words.", "rules": [{"words": {"exactly": 2}}, {"contains": ["rain"]}]},
    {"id": "b", "prompt": "Shout.", "rules": [{"case": "upper"}]},
]


def test_followed_is_all_rules_of_an_instruction_and_rules_the_share_of_them(tmp_path: Path) -> None:
    (tmp_path / "own.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS), encoding="utf-8")
    task = tasks.build({"name": "instructions", "read": ["own.jsonl"]})
    tested = task.ask(Says(_said), Hall(folder=tmp_path))
    assert tested.columns["followed"].tolist() == [0, 1]
    assert tested.columns["rules"].tolist() == [0.5, 1]
    assert [each["answered"] for each in tested.shown] == ["heavy snow", "HEY"]


def _said(prompt: str) -> str:
    return {"Say rain in two words.": "heavy snow", "Shout.": "HEY"}[asked(prompt)]


def test_the_bank_is_given_whole_and_capped(tmp_path: Path) -> None:
    assert len(tasks.build("instructions").ask(Says(), Hall())) == 40
    assert len(tasks.build({"name": "instructions", "most": 7}).ask(Says(), Hall())) == 7


def test_an_unknown_rule_is_refused_before_anything_is_generated(tmp_path: Path) -> None:
    (tmp_path / "own.jsonl").write_text('{"prompt": "Say.", "rules": [{"wrds": 1}]}\n', encoding="utf-8")
    task = tasks.build({"name": "instructions", "read": ["own.jsonl"]})
    with pytest.raises(Refused, match="no rule is called 'wrds'"):
        task.ask(Says(lambda prompt: 1 / 0), Hall(folder=tmp_path))  # type: ignore[arg-type, return-value]
