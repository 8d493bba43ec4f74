"""A task that a base, its data or a tuning cannot take is one sentence with what would work; nothing is left behind."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tiny import chat_base, data, encoder_base, recipe, words_base, written

import affina
from affina.cli.main import main
from affina.core.errors import Refused
from affina.training.cells import task_rows

PROSE: dict[str, Any] = {"read": "prose.txt", "data": {"reader": {"name": "text", "by": "paragraph"}}}
TICKETS: dict[str, Any] = {"read": "tickets.csv"}

CASES: dict[str, tuple[str, str | None, dict[str, Any], str]] = {
    "a_pattern_that_matches_nothing": (
        "encoder", "tag", {"tuning": {"name": "lora", "targets": ["nothing"]}},
        r"tuning\.targets: nothing names no layer of this base\. it has dense, key, query, value",
    ),
    "a_prefix_on_an_encoder_without_cache": (
        "encoder", "tag", {"tuning": "prefix"}, r"no key cache.*choose the tuning prompt",
    ),
    "a_prefix_on_an_encoder_decoder": ("t5", "seq2seq", {"tuning": "prefix"}, r"prefix on t5.*choose the tuning lora"),
    "virtual_tokens_on_an_encoder_decoder": (
        "bart", "seq2seq", {"tuning": "p_tuning"}, r"p_tuning on bart.*choose the tuning lora",
    ),
    "biases_of_a_base_without_any": ("chat", None, {**TICKETS, "tuning": "bitfit"}, r"no biases\. use lora"),
    "tied_embeddings": (
        "chat", None, {**TICKETS, "tuning": {"name": "lora", "targets": ["lm_head"]}},
        r"lm_head is not adapted: one table is both its embeddings and its output head\. it has down_proj",
    ),
    "embeddings": (
        "encoder", "tag", {"tuning": {"name": "lora", "targets": ["query", "word_embeddings"]}},
        r"word_embeddings is not adapted: embeddings and output head stay whole\. it has dense, key, query, value",
    ),
    "more_blocks_than_there_are": (
        "encoder", "tag", {"tuning": {"name": "last_layers", "layers": 9}}, r"9 layers: this base has 2",
    ),
    "a_new_head_on_a_decoder_behind_an_encoder": (
        "bart", "tag", {}, r"a new head on bart: .* choose an encoder such as bert, or the objective seq2seq",
    ),
    "dropout_of_a_head_that_is_not_new": (
        "chat", None, {**TICKETS, "model": {"dropout": {"head": 0.1}}}, r"no head is new\. leave it out",
    ),
    "blocks_that_cannot_be_expanded": ("encoder", "tag", {"tuning": "block_expansion"}, r"end in a norm.*use lora"),
    "scales_of_layers_that_are_elsewhere": ("xlnet", "permutation_lm", {**PROSE, "tuning": "ia3"}, r"ia3.*use lora"),
    "words_of_an_encoder": ("encoder", "cross_entropy", {}, r"an encoder without words\. choose .*classify, tag"),
    "masks_of_a_decoder": ("chat", "masked_lm", PROSE, r"needs a masked language model.*objective cross_entropy"),
    "the_past_of_a_masked_model": ("bert", "cross_entropy", PROSE, r"is a masked language model.*objective masked_lm"),
    "a_source_of_a_decoder": ("chat", "seq2seq", {}, r"needs an encoder–decoder.*objective cross_entropy"),
    "numbers_of_tagged_words": ("encoder", "regression", {}, r"regression cannot learn from tagged examples: .*rated"),
    "micro_batches_of_compared_rows": (
        "encoder", "contrastive", {"train": {"steps": 2, "accumulate": 2}}, r"set train\.accumulate: 1",
    ),
}  # fmt: skip
ROWS = {"cross_entropy": "tag", "regression": "tag"}


def base_of(folder: Path, name: str) -> Path:
    own: dict[str, Callable[[Path], Path]] = {"chat": chat_base, "encoder": encoder_base}
    return own[name](folder) if name in own else words_base(folder, name)


def asked(folder: Path, base: str, task: str | None, more: dict[str, Any]) -> Path:
    data(folder)
    if "read" not in more:
        written(folder, "rows.jsonl", task_rows(ROWS.get(task or "", task or "tag"), 60))
    sections = {"read": "rows.jsonl", **({"objective": task} if task else {}), **more}
    return recipe(folder, base_of(folder / "base", base), **sections)


@pytest.mark.parametrize("name", CASES)
def test_it_is_one_sentence_and_nothing_is_left(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`check` and `train` say the same of a base whose weights are no weights: nobody has looked at them."""
    base, task, more, said = CASES[name]
    path = asked(tmp_path, base, task, more)
    (tmp_path / "base" / "model.safetensors").write_bytes(b"no weights")
    monkeypatch.chdir(tmp_path)
    capsys.readouterr()  # the library says that it saved the base
    for verb in ("check", "train"):
        assert main([verb, str(path), "--quiet"]) == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert err.startswith("affina: ") and err.count("\n") == 1, err
        assert re.search(said, err), err
    assert not [*(tmp_path / "runs").glob("*")]


LONG: dict[str, tuple[str, dict[str, Any]]] = {
    "tag": ("encoder", {"tokens": ["word"] * 700, "tags": ["O"] * 700}),
    "reward": ("chat", {"prompt": "a", "chosen": "b " * 700, "rejected": "c"}),
    "multi_label": ("encoder", {"text": "b " * 700, "labels": ["refund"]}),
}


@pytest.mark.parametrize("task", LONG)
def test_a_row_beyond_the_position_table_is_named(task: str, tmp_path: Path) -> None:
    """max_tokens above the base's 512 positions does not make them more."""
    base, row = LONG[task]
    written(tmp_path, "rows.jsonl", [row, *task_rows(task, 60)])
    path = recipe(
        tmp_path, base_of(tmp_path / "base", base), read="rows.jsonl", objective=task, data={"max_tokens": 2048}
    )
    (tmp_path / "base" / "model.safetensors").unlink()
    (problem,) = affina.check(path)["problems"]
    assert re.search(r"longer than the 512 tokens that the base takes, the longest is rows\.jsonl:1", problem)
    with pytest.raises(Refused, match=r"divide the long texts, set data\.truncate to allow"):
        affina.train(path, root=tmp_path / "runs")


def test_a_class_that_no_training_row_has_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Split by time, the newest rows bring a class of their own."""
    rows = [{**row, "day": number} for number, row in enumerate(task_rows("classify", 60))]
    written(tmp_path, "rows.jsonl", [*rows[:58], {**rows[58], "label": "new"}, rows[59]])
    data = {"transforms": [{"name": "split", "time": "day"}]}
    path = recipe(tmp_path, encoder_base(tmp_path / "base"), read="rows.jsonl", objective="classify", data=data)
    (tmp_path / "base" / "model.safetensors").write_bytes(b"")
    monkeypatch.chdir(tmp_path)
    capsys.readouterr()
    assert main(["check", str(path), "--quiet"]) == 2
    said = r"1 rows have a class that no training row has, the first is rows\.jsonl:59 with 'new' in the test split"
    assert re.search(said, capsys.readouterr().out)
    assert main(["train", str(path), "--quiet"]) == 2
    assert re.search(said, capsys.readouterr().err)


def test_a_tag_that_no_training_row_has_is_named(tmp_path: Path) -> None:
    rows = [{**row, "day": number} for number, row in enumerate(task_rows("tag", 60))]
    last = {**rows[59], "tags": ["B-new", *rows[59]["tags"][1:]]}
    written(tmp_path, "rows.jsonl", [*rows[:59], last])
    data = {"transforms": [{"name": "split", "time": "day"}]}
    path = recipe(tmp_path, encoder_base(tmp_path / "base"), read="rows.jsonl", objective="tag", data=data)
    (tmp_path / "base" / "model.safetensors").write_bytes(b"")
    said = r"1 rows have a tag that no training row has, the first is rows\.jsonl:60 with 'B-new' in the test split"
    assert re.search(said, " ".join(affina.check(path)["problems"]))
    with pytest.raises(Refused, match=said):
        affina.train(path, root=tmp_path / "runs")


def test_a_base_in_few_bits_is_refused_by_its_configuration(tmp_path: Path) -> None:
    path = asked(tmp_path, "chat", None, TICKETS)
    config = json.loads((tmp_path / "base" / "config.json").read_text())
    told = {**config, "quantization_config": {"quant_method": "bitsandbytes", "load_in_4bit": True}}
    (tmp_path / "base" / "config.json").write_text(json.dumps(told))
    (tmp_path / "base" / "model.safetensors").unlink()
    for verb in (affina.check, affina.train):
        with pytest.raises(Refused, match=r"is quantised: .*give the unquantised base; tuning: qlora quantises it"):
            verb(path)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"model_type": "nonsense"}'])
def test_a_configuration_that_is_none_is_a_sentence(text: str, tmp_path: Path) -> None:
    path = asked(tmp_path, "chat", None, TICKETS)
    (tmp_path / "base" / "config.json").write_text(text)
    with pytest.raises(Refused, match=r"config\.json cannot be read: it is no|cannot be loaded as a model"):
        affina.check(path)


def test_a_base_that_all_else_fits_is_looked_at_in_the_end(tmp_path: Path) -> None:
    path = asked(tmp_path, "chat", None, TICKETS)
    (tmp_path / "base" / "model.safetensors").write_bytes(b"no weights")
    for verb in (affina.check, affina.train):
        with pytest.raises(Refused, match=r"model\.safetensors is damaged"):
            verb(path)


def test_a_question_that_leaves_no_room_for_its_context_is_named(tmp_path: Path) -> None:
    rows = task_rows("span", 60)
    written(tmp_path, "rows.jsonl", [{**rows[0], "question": "which " * 600}, *rows])
    path = recipe(tmp_path, encoder_base(tmp_path / "base"), read="rows.jsonl", objective="span")
    with pytest.raises(Refused, match=r"rows\.jsonl:1: the question takes .* shorten the question"):
        affina.check(path)


@pytest.mark.parametrize("task", ["tag", "multi_label", "reward"])
def test_a_finished_run_names_only_commands_that_work_and_refuses_unseen_labels(
    task: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = asked(tmp_path, "chat" if task == "reward" else "encoder", task, {"train": {"steps": 1}, "tuning": "full"})
    monkeypatch.chdir(tmp_path)
    assert main(["train", str(path), "--json", "--quiet"]) == 0
    named = [command.split()[1] for command in json.loads(capsys.readouterr().out)["next"]]
    assert named == (["show", "evaluate"] if task == "reward" else ["show", "generate", "chat", "evaluate"])
    assert main(["show", "tiny", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["state"] == "finished"
    if task == "reward":
        return
    odd = {"tag": {"tokens": ["a", "b"], "tags": ["O", "B-NEW"]}, "multi_label": {"text": "a b", "labels": ["new"]}}
    written(tmp_path, "odd.jsonl", [*task_rows(task, 6), odd[task]])
    assert main(["evaluate", "tiny", "--on", "odd.jsonl", "--quiet"]) == 2
    err = capsys.readouterr().err
    assert re.search(r"odd\.jsonl:7: the right answer '.*(NEW|new)' is none of the \d known ones", err), err
