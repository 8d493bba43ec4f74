"""A reference becomes a model: a run's best checkpoint, or a base; a wrong one is a sentence."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.special import logsumexp
from tiny import data, recipe, session

import affina
from affina.core.errors import Refused
from affina.core.example import Chat, Labelled, Message, Text
from affina.core.run import Run
from affina.core.say import Silent
from affina.evaluation import open as opening
from affina.evaluation.open import from_file, open_model
from affina.training.train import loop


@pytest.mark.parametrize("kind", ["words", "labels", "encoder", "chats", "prose", "full"])
def test_a_run_opened_scores_as_its_stored_answers(kind: str, finished: Callable[[str], Run]) -> None:
    run = finished(kind)
    opened = open_model(kind, run.folder.parent, offline=True, say=Silent())
    items = opened.objective.expand(opening.test_split(opened))
    scored = opened.model.score(opened.model.renderer.rows(items))
    stored = run.read("tuned.json")
    if kind in ("labels", "encoder"):
        nats = [
            logsumexp(each.scores_L) - each.scores_L[t]
            for each, t in zip(scored, stored["target_N"], strict=True)
            if each.scores_L is not None
        ]
    else:
        nats = [-each.logprobs_S.sum() for each in scored]
    np.testing.assert_allclose(nats, stored["nats_N"], rtol=1e-6)


def test_a_run_is_opened_by_its_folder_from_anywhere(
    finished: Callable[[str], Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert open_model(str(finished("words").folder), tmp_path, offline=True, say=Silent()).run is not None


def test_a_wrong_name_gets_the_nearest_run(finished: Callable[[str], Run]) -> None:
    with pytest.raises(Refused, match=r"no run and no base is called 'wrods'. did you mean 'words'"):
        open_model("wrods", finished("words").folder.parent, offline=True, say=Silent())


def test_a_run_without_a_checkpoint_says_so(tmp_path: Path, chat_model: Path) -> None:
    opened = session(tmp_path, chat_model)
    opened.begin(Silent())
    opened.run.mark("training")
    with pytest.raises(Refused, match=r"run 'tiny' has no checkpoint yet. let it train to its first validation"):
        open_model("tiny", tmp_path / "runs", offline=True, say=Silent())
    (opened.run.folder / "lock.json").unlink()
    with pytest.raises(Refused, match="run 'tiny' has no checkpoint yet"):
        open_model("tiny", tmp_path / "runs", offline=True, say=Silent())


def test_a_run_in_progress_answers_with_its_best_so_far(tmp_path: Path, chat_model: Path) -> None:
    opened = session(tmp_path, chat_model)
    opened.begin(Silent())
    loop(opened, Silent())
    found = open_model("tiny", tmp_path / "runs", offline=True, say=Silent())
    assert found.recipe == opened.recipe.model_copy(update={"folder": found.recipe.folder if found.recipe else None})


def test_an_encoder_without_training_cannot_answer(encoder_model: Path, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="is an encoder: it has no words to answer with"):
        open_model(str(encoder_model), tmp_path, offline=True, say=Silent())


def test_a_base_that_changed_is_not_passed_off_as_the_runs(tmp_path: Path) -> None:
    from tiny import chat_base

    base = chat_base(tmp_path / "base")
    affina.train(recipe(data(tmp_path), base), root=tmp_path / "runs")
    chat_base(base, seed=1)
    with pytest.raises(Refused, match="the base of run 'tiny' has changed"):
        open_model("tiny", tmp_path / "runs", offline=True, say=Silent())


def test_data_that_changed_are_not_the_test_split(tmp_path: Path, chat_model: Path) -> None:
    affina.train(recipe(data(tmp_path), chat_model), root=tmp_path / "runs")
    with (tmp_path / "tickets.csv").open("a", encoding="utf-8") as file:
        file.write("a new text about the parcel,refund\n")
    with pytest.raises(Refused, match=r"data of run 'tiny' has changed since. give the items with --on FILE"):
        affina.evaluate("tiny", root=tmp_path / "runs")


@pytest.mark.parametrize(
    ("kind", "asked"),
    [
        ("chats", Chat(id="asked", messages=(Message("user", "hello"), Message("assistant", "")))),
        ("prose", Text(id="asked", text="hello")),
        ("labels", Labelled(id="asked", text="hello", label="account", labels=("account", "refund", "shipping"))),
    ],
)
def test_a_question_is_put_as_in_training(kind: str, asked: object, finished: Callable[[str], Run]) -> None:
    opened = open_model(kind, finished(kind).folder.parent, offline=True, say=Silent())
    assert opened.ask("hello") == asked


def test_a_classifier_in_words_is_asked_with_its_instruction(finished: Callable[[str], Run]) -> None:
    opened = open_model("words", finished("words").folder.parent, offline=True, say=Silent())
    asked = opened.ask("hello")
    run_item = opened.objective.expand(opening.test_split(opened))[0]
    assert isinstance(asked, Chat)
    assert isinstance(run_item, Chat)
    assert asked.messages[0] == run_item.messages[0]  # the system message with the labels
    assert asked.messages[1] == Message("user", "hello")
    assert opened.model.renderer.prompt(asked)[-3:] == opened.model.renderer.prompt(run_item)[-3:]


def test_a_files_rows_are_read_under_the_runs_labels(finished: Callable[[str], Run], tmp_path: Path) -> None:
    opened = open_model("labels", finished("labels").folder.parent, offline=True, say=Silent())
    (tmp_path / "new.jsonl").write_text('{"text": "money back for tea", "label": "refund"}\n' * 3, encoding="utf-8")
    items = from_file(opened, str(tmp_path / "new.jsonl"), Silent())
    assert [replace(each, id="") for each in items] == 3 * [
        Labelled(id="", text="money back for tea", label="refund", labels=("account", "refund", "shipping"))
    ]


def test_rows_longer_than_the_model_takes_are_refused_not_cut_in_silence(
    finished: Callable[[str], Run], tmp_path: Path
) -> None:
    (tmp_path / "long.csv").write_text(f"text,label\n{'tea ' * 600},refund\nmy boots,account\n", encoding="utf-8")
    with pytest.raises(Refused, match=r"1 rows are longer than data\.max_tokens \(256\), the longest is long\.csv:2"):
        affina.evaluate("words", on=str(tmp_path / "long.csv"), root=finished("words").folder.parent)
