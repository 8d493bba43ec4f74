"""The base is asked once: another run takes its answers where nothing that decides them changed, and only there."""

from pathlib import Path
from typing import Any

import pytest
from tiny import Heard, data, recipe, session

import affina
from affina.core.run import Run
from affina.core.say import Silent
from affina.training.base import FILES, KEY, base_key, measure_base
from affina.training.kept import kept

BEFORE = "base: measured before, in run 'first', on these rows with this code and versions"


def measured(run: Run) -> list[Any]:
    return [run.read(name) for name in FILES]


def test_a_second_run_with_another_rate_does_not_ask_the_base_again(tmp_path: Path, chat_model: Path) -> None:
    root, heard = tmp_path / "runs", Heard()
    path = recipe(data(tmp_path), chat_model, train={"steps": 2})
    first = affina.train(path, run="first", root=root)
    path = recipe(tmp_path, chat_model, train={"steps": 3, "learning_rate": 0.02})
    second = affina.train(path, run="second", root=root, say=heard)
    assert BEFORE in heard.lines
    assert measured(second) == measured(first) and second.read(KEY)["key"] == first.read(KEY)["key"]
    assert second.read(KEY)["seconds"] == 0 < first.read(KEY)["seconds"]


@pytest.mark.parametrize(
    ("sections", "same"),
    [
        ({"train": {"learning_rate": 0.5, "steps": 7, "save_every": 3, "schedule": "linear"}}, True),
        ({"name": "other", "evaluate": {"every": 2, "patience": 1}}, True),
        ({"regime": {"name": "supervised", "window": 0}}, True),
        ({"data": {"template": "plain"}}, False),
        ({"train": {"seed": 1}}, False),
        ({"train": {"compute": {"precision": "bf16"}}}, False),
        ({"tuning": "full"}, False),
        ({"objective": "classify"}, False),
        ({"evaluate": {"metrics": ["loss"]}}, False),
        ({"read": "chats.jsonl"}, False),
    ],
)
def test_the_key_is_of_what_decides_the_answers(
    sections: dict[str, Any], same: bool, tmp_path: Path, chat_model: Path
) -> None:
    first = base_key(session(tmp_path, chat_model))
    assert (base_key(session(tmp_path, chat_model, **sections)) == first) is same


def test_other_weights_are_another_base(tmp_path: Path, chat_model: Path, encoder_model: Path) -> None:
    classify = {"objective": "classify"}
    keys = {base_key(session(tmp_path, base, **classify)) for base in (chat_model, encoder_model)}
    assert len(keys) == 2


def test_a_class_that_stands_for_a_base_without_words_is_of_its_training_labels(
    tmp_path: Path, encoder_model: Path
) -> None:
    first = base_key(session(tmp_path, encoder_model, objective="classify"))
    opened = session(tmp_path, encoder_model, objective="classify")
    opened.material.prepared.examples["train"][:] = opened.material.prepared.examples["train"][1:]
    assert base_key(opened) != first


@pytest.mark.parametrize("name", [KEY, *FILES])
@pytest.mark.parametrize("content", ["", "{", None])
def test_a_run_with_a_damaged_or_missing_file_is_passed_over(
    name: str, content: str | None, tmp_path: Path, chat_model: Path
) -> None:
    opened = session(tmp_path, chat_model)
    key = base_key(opened)
    first = Run.create(tmp_path / "runs", "first")
    first.mark("finished")
    for each, plain in zip((KEY, *FILES), ({"key": key}, [], {}), strict=True):
        first.write(each, plain)
    assert kept(opened.run, key, KEY, *FILES) is not None
    if content is None:
        (first.folder / name).unlink()
    else:
        (first.folder / name).write_text(content)
    assert kept(opened.run, key, KEY, *FILES) is None


def test_what_was_measured_stays_on_resume(tmp_path: Path, chat_model: Path) -> None:
    opened, heard = session(tmp_path, chat_model), Heard()
    measure_base(opened, Silent())
    before = measured(opened.run)
    (opened.run.folder / KEY).unlink()
    measure_base(opened, heard)
    assert heard.lines == [] and measured(opened.run) == before
