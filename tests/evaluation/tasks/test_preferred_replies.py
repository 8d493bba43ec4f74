"""Preferred replies: margins by hand, the reply alone asked, and real pairs read as they were published."""

import json
from pathlib import Path

import numpy as np
import pytest
from known_models import Says
from shared_data import shared

from affina.core.errors import Refused
from affina.core.kinds import tasks
from affina.core.task import Hall
from affina.engine.toy import Toy

PAIRS = [
    {"prompt": "How are you today?", "chosen": "fine", "rejected": "awful"},
    {"prompt": "And now, my friend?", "chosen": "well, as ever", "rejected": "no"},
    {"prompt": "What else is new?", "chosen": "ab", "rejected": "cd"},
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "pairs.jsonl").write_text("".join(json.dumps(pair) + "\n" for pair in PAIRS), encoding="utf-8")
    return tmp_path


def test_margins_are_differences_of_log_probabilities_and_equal_replies_count_half(folder: Path) -> None:
    nats = {"fine": 1.0, "awful": 2.0, "well, as ever": 1.0, "no": 2.0, "ab": 1.0, "cd": 1.0}
    task = tasks.build({"name": "preferred_replies", "read": ["pairs.jsonl"]})
    tested = task.ask(Says(nats=lambda before, said: nats[said]), Hall(folder=folder))
    # a reply is its bytes and a stop token: 5 and 6, 14 and 3, 3 and 3 tokens
    assert tested.columns["margin"].tolist() == [-5 + 12, -14 + 6, 0]
    assert tested.columns["margin_per_token"].tolist() == [1, 1, 0]
    assert tested.columns["preferred"].tolist() == [1, 0, 0.5]
    assert tested.columns["preferred_per_token"].tolist() == [1, 1, 0.5]


def test_earlier_answers_of_a_conversation_are_not_counted(tmp_path: Path) -> None:
    before = "\n\nHuman: Hi\n\nAssistant: Hello there\n\nHuman: Bye now\n\nAssistant: "
    row = {"chosen": f"{before}ab", "rejected": f"{before}cde"}
    (tmp_path / "pairs.jsonl").write_text(json.dumps(row) + "\n" + json.dumps(row) + "\n", encoding="utf-8")
    task = tasks.build({"name": "preferred_replies", "read": ["pairs.jsonl"]})
    tested = task.ask(Says(), Hall(folder=tmp_path))
    assert tested.columns["margin"].tolist() == [1, 1]  # 3 tokens against 4, 1 nat each
    assert tested.columns["margin_per_token"].tolist() == [0, 0]


def test_a_pair_that_the_model_cannot_read_whole_is_left_out_and_said_so(folder: Path) -> None:
    task = tasks.build({"name": "preferred_replies", "read": ["pairs.jsonl"]})
    tested = task.ask(Toy(max_tokens=44), Hall(folder=folder))
    assert len(tested) == 2 and tested.notes[0] == "1 of 3 pairs are longer than the model takes"
    with pytest.raises(Refused, match="all are longer than the 20 tokens"):
        task.ask(Toy(max_tokens=20), Hall(folder=folder))


def test_real_pairs_of_harmlessness_are_read_as_published() -> None:
    file = shared("data", "hh_rlhf_harmless_base_test", "test.jsonl.gz")
    task = tasks.build({"name": "preferred_replies", "read": [str(file)], "most": 300})
    tested = task.ask(Toy(max_tokens=16384), Hall())
    assert len(tested) == 300 and np.isfinite(tested.columns["margin"]).all()
    # a model of no knowledge prefers the shorter reply, and per token none
    assert np.allclose(tested.columns["preferred_per_token"], 0.5, atol=0.5)
    lengths = [len(each["other"].encode()) - len(each["preferred"].encode()) for each in tested.shown]
    assert (np.sign(tested.columns["margin"]) == np.sign(lengths)).all()


def test_rows_that_are_no_pairs_are_refused(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text('{"prompt": "a b c", "completion": "d"}\n' * 3, encoding="utf-8")
    for settings, complaint in (({"read": ["rows.jsonl"]}, "holds no pairs of replies"), ({}, "has no pairs")):
        with pytest.raises(Refused, match=complaint):
            tasks.build({"name": "preferred_replies", **settings}).ask(Toy(), Hall(folder=tmp_path))
