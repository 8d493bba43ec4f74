"""Neutral text: what a model without knowledge gets is known, and the user's own texts are read."""

import json
from pathlib import Path

import numpy as np
import pytest
from known_models import Masked, Says

from affina.core.errors import Failed, Refused
from affina.core.kinds import tasks
from affina.core.task import Hall
from affina.engine.toy import VOCABULARY, Toy


def test_a_model_that_knows_nothing_gives_every_byte_the_logarithm_of_its_vocabulary() -> None:
    task = tasks.build("neutral_text")
    tested = task.ask(Toy(4096), Hall())
    found = {name: each.value(tested.columns) for name, each in task.statistics().items()}
    assert found["nats_per_byte"] == pytest.approx(np.log(VOCABULARY))  # a token is a byte
    assert found["nats_per_token"] == pytest.approx(np.log(VOCABULARY))
    assert found["perplexity"] == pytest.approx(VOCABULARY)


def test_a_text_in_several_rows_is_one_item_and_each_token_counts_once_without_its_end() -> None:
    task = tasks.build("neutral_text")
    whole, parts = (task.ask(Toy(size), Hall()) for size in (4096, 100))
    assert whole.ids == parts.ids and len(whole) == 40
    lost = whole.columns["bytes"] // 100  # a row of bytes never asks its first
    np.testing.assert_array_equal(parts.columns["tokens"], whole.columns["tokens"] - lost)


def test_longer_texts_weigh_more_and_languages_are_slices() -> None:
    task = tasks.build("neutral_text")
    tested = task.ask(Says(nats=lambda before, said: 2.0 if "il " in said else 1.0), Hall())
    columns = tested.columns
    expected = columns["nats"].sum() / columns["bytes"].sum()
    assert task.statistics()["nats_per_byte"].value(columns) == pytest.approx(expected)
    assert [tested.slices["language"].count(each) for each in ("en", "it")] == [20, 20]


def test_texts_of_the_users_take_the_place_of_the_own_ones_and_most_caps_them(tmp_path: Path) -> None:
    rows = [{"text": f"a text about number {n} è"} for n in range(6)]
    (tmp_path / "own.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    task = tasks.build({"name": "neutral_text", "read": ["own.jsonl"], "most": 3})
    tested = task.ask(Toy(), Hall(folder=tmp_path))
    assert tested.ids == ("own.jsonl:1", "own.jsonl:3", "own.jsonl:5")
    assert tested.columns["bytes"].tolist() == [len("a text about number 0 è".encode()) - 1] * 3


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ('{"txt": "a"}\n', "own.jsonl:1: the item has no text: the columns found are txt"),
        ("", "holds no row|is empty"),
        ('{"text": ""}\n', "the item has no text"),
        ('{"text": "a", "id": 1}\n{"text": "b", "id": 1}\n', "two items are called 1"),
        ('{"text": "a"\n', "cannot be read"),
        ('{"text": 3}\n', "3 is no text"),
    ],
)
def test_a_file_that_is_none_of_the_tasks_is_refused(tmp_path: Path, content: str, complaint: str) -> None:
    (tmp_path / "own.jsonl").write_text(content, encoding="utf-8")
    task = tasks.build({"name": "neutral_text", "read": ["own.jsonl"]})
    with pytest.raises(Refused, match=complaint):
        task.ask(Toy(), Hall(folder=tmp_path))


def test_rows_of_one_line_of_json_and_files_of_one_name_are_items_of_their_own(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "own.json").write_text('[{"text": "one"}, {"text": "two"}]', encoding="utf-8")
    task = tasks.build({"name": "neutral_text", "read": ["a/own.json", "b/own.json"]})
    assert len(set(task.ask(Toy(), Hall(folder=tmp_path)).ids)) == 4


def test_a_model_that_fills_gaps_is_refused() -> None:
    with pytest.raises(Refused, match="neutral_text cannot be put to this model: it fills gaps"):
        tasks.build("neutral_text").ask(Masked(), Hall())


def test_a_model_whose_numbers_are_none_fails_and_is_not_taken_for_silent() -> None:
    with pytest.raises(Failed, match="log-probabilities of en-1#0 are no finite numbers"):
        tasks.build("neutral_text").ask(Says(nats=lambda before, said: float("nan")), Hall())
    with pytest.raises(Failed, match="is nan"):
        tasks.build("knowledge").ask(Says(nats=lambda before, said: float("nan")), Hall())
