"""Whole runs, from a recipe's file to a verdict, on real models that train in a second."""

import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file
from tiny import CHATML, KINDS, Heard, chat_base, data, outcome, recipe
from transformers import AutoModel, AutoModelForCausalLM, PreTrainedTokenizerFast

import affina
from affina.core.errors import Failed, Refused
from affina.core.kinds import Sampling, objectives
from affina.core.run import Run

_tokenizer: Any = PreTrainedTokenizerFast  # its constructor has no annotations
SHOWN = {
    "state": str, "step": int, "proofs": list, "metrics": dict, "verdict": dict, "weights_sha256": str,
}  # fmt: skip
PEFT_WARNS = "ignore:`is_gradient_checkpointing` is deprecated:FutureWarning"  # peft 0.21 reads it
FILES = [
    "recipe.yaml",
    "lock.json",
    "state.json",
    "ledger.json",
    "quarantine.jsonl",
    "dropped.jsonl",
    "proofs.json",
    "events.jsonl",
    "checkpoints",
    "base.json",
    "samples.base.json",
    "tuned.json",
    "samples.json",
    "result.json",
    "model",
    "report.html",
]


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_ends_finished_and_shows_all_that_was_promised(kind: str, finished: Callable[[str], Run]) -> None:
    run = finished(kind)
    shown = json.loads(json.dumps(affina.show(kind, root=run.folder.parent), allow_nan=False))
    assert {key: type(shown[key]) for key in SHOWN} == SHOWN
    assert (shown["state"], shown["step"]) == ("finished", 12)
    assert all(set(proof) == {"name", "passed", "seconds", "detail"} for proof in shown["proofs"])
    assert {proof["name"] for proof in shown["proofs"] if proof["passed"]} == {
        "supervised_spans", "stop_token", "truncation", "template_parity", "packing_isolation", "accumulation",
        "gradient_flow", "save_reload",
    }  # fmt: skip
    for metric in shown["metrics"].values():
        assert {"base", "tuned", "difference"} <= set(metric)
        assert {"value", "low", "high"} <= set(metric["difference"])
    assert {"decision", "reasons", "difference", "low", "high", "n_needed"} <= set(shown["verdict"])
    assert shown["verdict"]["decision"] in ("promote", "reject", "not enough data")
    assert [name for name in FILES if not (run.folder / name).exists()] == []
    assert not [path.name for path in run.folder.rglob(".*.[0-9]*")]


@pytest.mark.parametrize("kind", KINDS)
def test_the_weights_hash_is_that_of_the_best_checkpoints_trained_tensors(
    kind: str, finished: Callable[[str], Run]
) -> None:
    run = finished(kind)
    shown = run.show()
    losses = {event["step"]: event["loss"] for event in run.events("validate")}
    best = min(losses, key=lambda step: (losses[step], step))
    trained = run.folder / "checkpoints" / f"step-{best:08d}" / "trained.safetensors"
    assert shown["best_step"] == best
    assert shown["weights_sha256"] == hashlib.sha256(trained.read_bytes()).hexdigest()


@pytest.mark.parametrize("kind", KINDS)
def test_the_report_is_one_file_that_needs_no_other(kind: str, finished: Callable[[str], Run]) -> None:
    page = (finished(kind).folder / "report.html").read_text(encoding="utf-8")
    assert finished(kind).show()["verdict"]["decision"] in page.lower()
    assert "<svg" in page
    assert not re.search(r"""(src|href)=["']https?:""", page)


@pytest.mark.filterwarnings(PEFT_WARNS)
@pytest.mark.parametrize("kind", ["words", "chats", "full"])
def test_other_tools_load_the_model_and_give_the_same_answers(
    kind: str, finished: Callable[[str], Run], chat_model: Path
) -> None:
    run = finished(kind)
    model: Any
    if kind == "full":
        model = AutoModelForCausalLM.from_pretrained(run.folder / "model")
    else:
        model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(chat_model), run.folder / "model")
    tokenizer = _tokenizer(tokenizer_file=str(chat_model / "tokenizer.json"), eos_token="<|im_end|>")
    prompt = "where is my winter boots"
    turns = [{"role": "user", "content": prompt}]
    if kind != "chats":  # a labelled text is asked as in training: the labels in a system message
        task = (
            "Read the message and answer with exactly one of these labels and nothing else:\naccount\nrefund\nshipping"
        )
        turns.insert(0, {"role": "system", "content": task})
    given = tokenizer.apply_chat_template(
        turns, chat_template=CHATML, add_generation_prompt=True, return_tensors="pt", return_dict=True
    )
    made = model.eval().generate(**given, max_new_tokens=24, do_sample=False, eos_token_id=1, pad_token_id=1)
    said = tokenizer.decode(made[0, given["input_ids"].shape[1] :], skip_special_tokens=True)
    answered = affina.generate(kind, [prompt], how=Sampling(max_tokens=24), root=run.folder.parent)
    assert answered[0]["answer"] == said != ""


@pytest.mark.filterwarnings(PEFT_WARNS)
@pytest.mark.parametrize("kind", ["labels", "encoder"])
def test_a_label_heads_files_give_the_labels_that_were_measured(
    kind: str, finished: Callable[[str], Run], chat_model: Path, encoder_model: Path
) -> None:
    run = finished(kind)
    folder = encoder_model if kind == "encoder" else chat_model
    model = PeftModel.from_pretrained(AutoModel.from_pretrained(folder), run.folder / "model").eval()
    head = load_file(run.folder / "model" / "head.safetensors")
    names = json.loads((run.folder / "model" / "head.json").read_text(encoding="utf-8"))["labels"]
    tokenizer = _tokenizer(tokenizer_file=str(folder / "tokenizer.json"))
    samples = run.read("samples.json")
    with torch.no_grad():
        for sample in samples:
            hidden = model(torch.tensor([tokenizer.encode(sample["given"])])).last_hidden_state[0]
            scores = head["weight"] @ hidden[0 if kind == "encoder" else -1] + head["bias"]
            assert names[int(scores.argmax())] == sample["tuned"]
    assert len(samples) == 6


def test_what_was_learnt_is_worth_having(finished: Callable[[str], Run]) -> None:
    metrics = finished("labels").show()["metrics"]
    assert metrics["accuracy"]["tuned"] == 1.0  # one word tells the three classes apart
    assert metrics["accuracy"]["base"] < 0.6
    assert finished("labels").show()["verdict"]["decision"] == "promote"


def test_a_finished_run_says_so_and_rewrites_nothing(tmp_path: Path, chat_model: Path) -> None:
    path, heard = recipe(data(tmp_path), chat_model), Heard()
    run = affina.train(path, root=tmp_path / "runs")
    before = {each: each.stat().st_mtime_ns for each in run.folder.rglob("*") if each.name != ".lock"}
    affina.train(path, root=tmp_path / "runs", say=heard)
    assert heard.lines == ["run 'tiny' is finished; `affina show tiny` shows it"]
    assert {each: each.stat().st_mtime_ns for each in run.folder.rglob("*") if each.name != ".lock"} == before
    lock, licence = run.read("lock.json"), {"tickets.csv": "CC-BY-4.0"}
    affina.train(affina.Recipe.load(path).change({"data.licence": licence}), root=tmp_path / "runs", say=heard)
    assert run.read("lock.json") == {**lock, "licences": licence} and "licence" not in lock["recipe"]["data"]


def test_early_stopping_restores_the_best_checkpoint(tmp_path: Path, chat_model: Path) -> None:
    settings = {"train": {"steps": 200, "learning_rate": 0.05, "schedule": "constant", "save_every": 1000}}
    path = recipe(data(tmp_path), chat_model, read="chats.jsonl", evaluate={"every": 2, "patience": 2}, **settings)
    run = affina.train(path, root=tmp_path / "runs")
    losses = {event["step"]: event["loss"] for event in run.events("validate")}
    best = min(losses, key=lambda step: losses[step])
    shown = run.show()
    assert shown["step"] == best + 4 < 200  # two validations, two steps apart, without improvement
    assert shown["best_step"] == best
    assert min(losses.values()) < losses[shown["step"]]
    kept = load_file(run.checkpoint(best) / "trained.safetensors")
    adapter = load_file(run.folder / "model" / "adapter_model.safetensors")
    for name, tensor in adapter.items():
        own = name.removeprefix("base_model.model.").removesuffix(".weight")
        assert torch.equal(tensor, kept[f"model.{own}"])


def test_a_loss_that_is_no_number_stops_with_the_examples_that_gave_it(tmp_path: Path, chat_model: Path) -> None:
    path = recipe(data(tmp_path), chat_model, train={"learning_rate": 1e6, "optimizer": {"name": "adamw", "clip": 1e9}})
    plain = recipe(tmp_path, chat_model, tuning="full", train={"learning_rate": 1e38, "schedule": "constant"})
    assert path == plain
    with pytest.raises(Failed, match=r"step \d+: .* is not a finite number") as caught:
        affina.train(plain, root=tmp_path / "runs")
    assert re.search(r"tickets\.csv:\d+|validation metric", str(caught.value))
    shown = affina.show("tiny", root=tmp_path / "runs")
    assert (shown["state"], shown["error"]) == ("failed", str(caught.value))


def test_an_infinite_weight_is_found_before_step_one_with_the_examples(tmp_path: Path) -> None:
    base = chat_base(tmp_path / "base")
    weights = load_file(base / "model.safetensors")
    weights["model.layers.0.mlp.up_proj.weight"][0, 0] = float("inf")
    save_file(weights, base / "model.safetensors", {"format": "pt"})
    with pytest.raises(Failed, match=r"(?s)is not a finite number: the step's examples are tickets\.csv:\d+"):
        affina.train(recipe(data(tmp_path), base), root=tmp_path / "runs")
    assert affina.show("tiny", root=tmp_path / "runs")["state"] == "failed"


@pytest.mark.parametrize(
    ("section", "change", "named"),
    [
        ("train", {"learning_rate": 0.02}, "train.learning_rate was 0.01 and is 0.02"),
        ("tuning", {"name": "lora", "rank": 8}, "tuning.rank was 4 and is 8"),
        ("evaluate", {"patience": 1}, "evaluate.patience was 9 and is 1"),
    ],
)
def test_another_recipe_is_refused_by_name_and_leaves_the_run_alone(
    section: str, change: Any, named: str, tmp_path: Path, chat_model: Path
) -> None:
    run = affina.train(recipe(data(tmp_path), chat_model), root=tmp_path / "runs")
    before = {each: each.read_bytes() for each in run.folder.rglob("*") if each.is_file()}
    with pytest.raises(Refused, match=rf"run 'tiny' was begun with another recipe: {named}") as caught:
        affina.train(recipe(tmp_path, chat_model, **{section: change}), root=tmp_path / "runs")
    assert "--run" in caught.value.instead
    assert {each: each.read_bytes() for each in run.folder.rglob("*") if each.is_file()} == before


def test_other_data_are_refused_by_name(tmp_path: Path, chat_model: Path) -> None:
    path = recipe(data(tmp_path), chat_model)
    run = affina.train(path, root=tmp_path / "runs")
    with (tmp_path / "tickets.csv").open("a", encoding="utf-8") as file:
        file.write("one more text about money back,refund\n")
    with pytest.raises(Refused, match=r"run 'tiny' was begun with other data: tickets\.csv was"):
        affina.train(path, root=tmp_path / "runs")
    assert outcome(run)["state"] == "finished"


def test_other_versions_are_refused_by_name(tmp_path: Path, chat_model: Path) -> None:
    path = recipe(data(tmp_path), chat_model)
    run = affina.train(path, root=tmp_path / "runs")
    lock = run.read("lock.json")
    run.write("lock.json", {**lock, "versions": {**lock["versions"], "torch": "1.0"}})
    with pytest.raises(Refused, match=r"run 'tiny' was begun with other versions: torch was '1\.0' and is"):
        affina.train(path, root=tmp_path / "runs")


def test_another_base_is_refused(tmp_path: Path) -> None:
    base = chat_base(tmp_path / "base")
    path = recipe(data(tmp_path), base)
    affina.train(path, root=tmp_path / "runs")
    chat_base(base, seed=1)
    with pytest.raises(Refused, match=r"run 'tiny' was begun with another base: digest was"):
        affina.train(path, root=tmp_path / "runs")


def test_the_seed_decides_everything(tmp_path: Path, chat_model: Path) -> None:
    path = recipe(data(tmp_path), chat_model, train={"steps": 4})
    other = {"train.seed": 1}
    runs = [affina.train(path, run=name, root=tmp_path / "runs") for name in ("a", "b")]
    drawn = affina.train(affina.Recipe.load(path, other), run="c", root=tmp_path / "runs")
    assert outcome(runs[0]) == outcome(runs[1])
    assert outcome(drawn)["weights_sha256"] != outcome(runs[0])["weights_sha256"]


def test_the_engines_numbers_are_the_stored_ones(finished: Callable[[str], Run]) -> None:
    run = finished("words")
    tuned = run.read("tuned.json")
    loss = sum(tuned["nats_N"]) / sum(tuned["tokens_N"])
    right = np.mean(np.array(tuned["target_N"]) == np.array(tuned["predicted_N"]))
    metrics = run.show()["metrics"]
    assert metrics["loss"]["tuned"] == pytest.approx(loss, rel=1e-12)
    assert metrics["accuracy"]["tuned"] == pytest.approx(float(right))


@pytest.mark.parametrize("tuning", ["lora", "full"])
def test_an_encoder_trains_in_bf16(tuning: str, tmp_path: Path, encoder_model: Path) -> None:
    """A float32 low-rank sum meets layer norms whose weights were bf16: they must take it."""
    sections: dict[str, Any] = {
        "train": {"steps": 2, "compute": {"precision": "bf16"}},
        "evaluate": {"metrics": ["accuracy"]},
    }
    path = recipe(data(tmp_path), encoder_model, objective="classify", tuning=tuning, **sections)
    assert affina.train(path, root=tmp_path / "runs").state == "finished"


BROKEN = '''"""A loss with a bug in it."""

from affina.core.kinds import Batch, Forward, Loss
from affina.training.objectives.cross_entropy import CrossEntropy


class Broken(CrossEntropy):
    """Divides by zero."""

    def loss(self, forward: Forward, batch: Batch) -> Loss:
        raise ZeroDivisionError("a bug")
'''


def test_a_bug_is_raised_and_kept_with_the_run(tmp_path: Path, chat_model: Path, add_part: Any) -> None:
    add_part(objectives, "broken", BROKEN)
    path = recipe(data(tmp_path), chat_model, objective="broken")
    with pytest.raises(ZeroDivisionError, match="a bug"):
        affina.train(path, root=tmp_path / "runs")
    run = Run(tmp_path / "runs" / "tiny")
    assert run.state == "failed"
    assert "a bug in affina: ZeroDivisionError" in run.show()["error"]
