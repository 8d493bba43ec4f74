"""What cannot work is refused while nothing has been made; what the length limit takes is in the ledger."""

import json
from pathlib import Path
from typing import Any

import pytest
from tiny import chat_base, data, recipe, written

import affina
from affina.core.errors import Refused
from affina.core.recipe import Recipe
from affina.core.say import Silent
from affina.training.cells import task_rows
from affina.training.material import Material


def gathered(folder: Path, base: Path | str, **sections: Any) -> Material:
    return Material.gather(Recipe.load(recipe(data(folder), base, **sections)), offline=True, say=Silent())


@pytest.mark.parametrize("metrics", [["loss"], ["loss", "accuracy"]])
def test_a_loss_cannot_decide_about_a_label_head_whose_base_speaks(
    metrics: list[str], tmp_path: Path, chat_model: Path
) -> None:
    with pytest.raises(Refused, match=r"loss cannot decide about a label head: .* put accuracy first"):
        gathered(tmp_path, chat_model, objective="classify", evaluate={"metrics": metrics})


def test_nor_can_it_by_a_rule_of_the_gate(tmp_path: Path, chat_model: Path) -> None:
    gate = {"gate": {"accuracy": "better than base", "loss": "better than base"}}
    with pytest.raises(Refused, match="loss cannot decide about a label head"):
        gathered(tmp_path, chat_model, objective="classify", evaluate=gate)


def test_a_loss_may_decide_where_the_base_is_a_majority_or_both_speak(
    tmp_path: Path, chat_model: Path, encoder_model: Path
) -> None:
    first = {"metrics": ["loss"]}
    assert gathered(tmp_path, encoder_model, objective="classify", evaluate=first).metrics[0].name == "loss"
    assert gathered(tmp_path, chat_model, evaluate=first).metrics[0].name == "loss"


def test_an_encoder_is_not_asked_for_words(tmp_path: Path, encoder_model: Path) -> None:
    with pytest.raises(
        Refused,
        match=r"objective cross_entropy needs a base that goes on from a text in words: .* is an encoder without words",
    ):
        gathered(tmp_path, encoder_model)


def test_a_gate_on_what_is_not_measured_is_refused_before_training(tmp_path: Path, chat_model: Path) -> None:
    evaluate = {"metrics": ["accuracy"], "gate": {"f1": "better than base"}}
    with pytest.raises(Refused, match=r"evaluate\.gate asks for f1, which is not measured\. add f1 to evaluate\.metr"):
        gathered(tmp_path, chat_model, evaluate=evaluate)


def test_a_base_named_by_a_path_stands_beside_the_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chat_base(tmp_path / "models" / "own")
    monkeypatch.chdir("/")
    found = gathered(tmp_path, "models/own")
    assert found.source.folder == tmp_path / "models" / "own"


@pytest.mark.parametrize("place", ["train", "test"])
def test_a_row_that_is_too_long_is_refused_in_every_split_with_what_to_set(
    place: str, tmp_path: Path, chat_model: Path
) -> None:
    limit = max(len(row.tokens) for row in gathered(tmp_path, chat_model, read="chats.jsonl").by_split[place]) - 1
    path = recipe(tmp_path, chat_model, read="chats.jsonl", data={"max_tokens": limit})
    with pytest.raises(Refused, match=rf"longer than data\.max_tokens \({limit}\).* set data\.max_tokens to \d+"):
        affina.train(path, root=tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_what_is_cut_is_counted_and_what_has_nothing_left_is_dropped(tmp_path: Path, chat_model: Path) -> None:
    whole = gathered(tmp_path, chat_model, read="chats.jsonl")
    lengths = [len(row.tokens) for rows in whole.by_split.values() for row in rows]
    with (tmp_path / "chats.jsonl").open("a", encoding="utf-8") as file:
        turns = [{"role": "user", "content": "tea " * 300}, {"role": "assistant", "content": "yes"}]
        file.writelines(json.dumps({"messages": turns}) + "\n" for _ in range(2))
    limit = max(lengths) - 4
    path = recipe(tmp_path, chat_model, read="chats.jsonl", data={"max_tokens": limit, "truncate": "allow"})
    run = affina.train(path, root=tmp_path / "runs")
    ledger = run.read("ledger.json")
    over = [length - limit for length in lengths if length > limit]
    assert ledger["cut"] == {"rows": len(over), "tokens": sum(over), "targets": sum(over)}  # the end is all answer
    assert ledger["dropped"]["reasons"]["nothing to learn is left of it within data.max_tokens"] == 1
    assert ledger["dropped"]["total"] == 2  # the other is its exact duplicate
    assert ledger["read"] == 62 == sum(ledger["used"].values()) + 2
    assert run.show()["state"] == "finished"
    assert "data.truncate allows it" in next(
        proof["detail"] for proof in run.show()["proofs"] if proof["name"] == "truncation"
    )
    dropped = [json.loads(line) for line in (run.folder / "dropped.jsonl").read_text(encoding="utf-8").splitlines()]
    assert {each["id"] for each in dropped} == {"chats.jsonl:61", "chats.jsonl:62"}
    measured = affina.evaluate("tiny", root=tmp_path / "runs")
    assert measured["items"] == len(run.read("tuned.json")["ids"])


def test_a_limit_under_which_nothing_is_left_is_refused(tmp_path: Path, chat_model: Path) -> None:
    with pytest.raises(
        Refused, match=r"cut to 8 tokens, no row of the \w+ split has anything left.* raise data\.max_t"
    ):
        gathered(tmp_path, chat_model, read="chats.jsonl", data={"max_tokens": 8, "truncate": "allow"})


def test_rows_that_are_compared_are_not_divided_into_micro_batches(tmp_path: Path, encoder_model: Path) -> None:
    """In-batch negatives of a micro-batch are fewer: accumulating would change the loss without a word."""
    written(tmp_path, "rows.jsonl", task_rows("contrastive", 40))
    with pytest.raises(Refused, match=r"train\.accumulate: 2 .*contrastive.*set train\.accumulate: 1"):
        gathered(tmp_path, encoder_model, read="rows.jsonl", objective="contrastive", train={"accumulate": 2})
    assert gathered(tmp_path, encoder_model, read="rows.jsonl", objective="contrastive").count > 1


def test_a_base_is_asked_in_words_for_one_class_alone(tmp_path: Path, chat_model: Path) -> None:
    """Of a set of labels no likeliest word can be asked: shares of the training rows stand for the base."""
    written(tmp_path, "rows.jsonl", task_rows("multi_label", 40))
    given = recipe(tmp_path, chat_model, read="rows.jsonl", objective="multi_label")
    material = Material.gather(Recipe.load(given), offline=True, say=Silent())
    assert not material.base_speaks and material.trivial is not None
