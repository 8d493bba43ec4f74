"""A model from nothing: judged against the unigram model, resumed to the bit, and made again where it is gone."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from shared_data import shared
from tiny import PROSE, Heard, affina_process, outcome, prose, recipe

import affina
from affina.core.errors import Refused
from affina.core.recipe import Recipe
from affina.core.run import Run
from affina.core.say import Silent
from affina.engine import scratch
from affina.evaluation.open import open_model
from affina.training.material import Material
from affina.training.spaces import peak_rate

MODEL = (
    "model:\n  scratch: {name: llama, layers: 2, width: 64, heads: 4, context: 128}\n"
    "  tokenizer: {vocabulary: 380, name: bpe}\n"
)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AFFINA_CACHE", str(tmp_path / "cache"))


def scratch_recipe(folder: Path, **sections: Any) -> Path:
    folder.mkdir(exist_ok=True)
    prose(folder, 60)
    usual: dict[str, Any] = {"data": {**PROSE, "max_tokens": 128}, "tuning": "full"}
    path = recipe(folder, "none", "prose.txt", **{**usual, **sections})
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("model:\n  base: none\n", MODEL), encoding="utf-8")
    return path


def test_the_standard_is_the_smoothed_unigram_model_of_the_training_rows(tmp_path: Path) -> None:
    material = Material.gather(Recipe.load(scratch_recipe(tmp_path)), offline=True, say=Silent())
    found = material.trivial
    assert found is not None
    train = np.concatenate([row.tokens[row.weights > 0] for row in material.rows]).tolist()
    row = material.by_split["test"][0]
    expected = sum(-np.log((train.count(token) + 1) / (len(train) + 380)) for token in row.tokens[1:].tolist())
    assert found.ids[0] == row.id and found.nats_N[0] == pytest.approx(expected, rel=1e-12)
    assert found.tokens_N[0] == row.targets == len(row.tokens) - 1


def test_texts_that_random_weights_would_write_are_held_against_the_source_itself(tmp_path: Path) -> None:
    """chrF of the untouched source is the standard beside the unigram model's loss: random weights write nothing."""
    rows = [
        f'{{"source": "the word {n} of row {n * 7919}", "target": "row {n * 7919} has the word {n}"}}'
        for n in range(60)
    ]
    (tmp_path / "pairs.jsonl").write_text("\n".join(rows) + "\n", encoding="utf-8")
    sections: dict[str, Any] = {
        "name": "pairs", "tuning": "full", "objective": "seq2seq", "evaluate": {"metrics": ["chrf", "loss"]},
        "data": {"read": ["pairs.jsonl"], "max_tokens": 64, "shape": "parallel"},
        "model": {"scratch": {"name": "t5", "layers": 1, "width": 32, "heads": 2, "context": 64},
                  "tokenizer": {"name": "unigram", "vocabulary": 400}},
    }  # fmt: skip
    material = Material.gather(Recipe.build(sections, tmp_path), offline=True, say=Silent())
    found, test = material.trivial, material.split("test")
    assert found is not None and found.said == tuple(each.given for each in test)
    assert found.expected == tuple(each.target for each in test) and found.nats_N.min() > 0


def test_the_tokenizer_is_learnt_from_the_training_split_alone(tmp_path: Path) -> None:
    asked = Recipe.load(scratch_recipe(tmp_path))
    found = Material.gather(asked, offline=True, say=Silent())
    splits, tell = found.prepared.examples, Silent().progress
    assert scratch.draft(asked.model, splits["train"], tell).digest == found.source.digest
    every = [example for held in splits.values() for example in held]
    assert scratch.draft(asked.model, every, tell).digest != found.source.digest


def test_a_model_from_nothing_is_trained_judged_reopened_and_made_again_where_it_is_gone(tmp_path: Path) -> None:
    heard = Heard()
    run = affina.train(scratch_recipe(tmp_path), run="a", root=tmp_path / "runs", say=heard)
    assert "the weights are random: the unigram model of the training split stands for the base" in heard.lines
    assert run.read("result.json")["verdict"]["metric"] == "loss"
    assert affina.train(scratch_recipe(tmp_path), run="a", root=tmp_path / "runs").state == "finished"
    digest = run.read("lock.json")["base"]["digest"]
    shutil.rmtree(tmp_path / "cache")
    opened = open_model("a", tmp_path / "runs", True, Silent())
    assert opened.recipe is not None and opened.recipe.model.scratch is not None
    shutil.rmtree(tmp_path / "cache")
    again = Material.gather(opened.recipe, True, Silent()).weighed(Silent())
    assert again.source.digest == digest
    from transformers import AutoModelForCausalLM, AutoTokenizer

    AutoTokenizer.from_pretrained(run.folder / "model")
    assert AutoModelForCausalLM.from_pretrained(run.folder / "model").config.vocab_size == 380


@pytest.mark.slow
def test_a_run_from_nothing_that_was_stopped_ends_as_if_it_had_not_been(tmp_path: Path) -> None:
    whole = affina.train(scratch_recipe(tmp_path / "whole"), run="a", root=tmp_path / "whole")
    killed = scratch_recipe(tmp_path / "killed")
    script = (
        "import affina, os\nfrom affina.core.run import Run\nlog = Run.log\n"
        "def once(self, step, kind, values):\n    log(self, step, kind, values)\n"
        "    if kind == 'learn' and step == 6: os._exit(9)\n"
        f"Run.log = once\naffina.train({str(killed)!r}, run='a', root={str(tmp_path / 'killed')!r})"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 9, done.stderr
    shutil.rmtree(tmp_path / "cache")  # the folder is made again, in another process
    resumed = affina.train(killed, run="a", root=tmp_path / "killed")
    assert outcome(resumed) == outcome(whole)


def test_check_needs_no_weights_and_says_what_lies_outside_the_usual(tmp_path: Path) -> None:
    path = scratch_recipe(tmp_path)
    seen = affina.check(path)
    assert seen["base"]["reference"] == "llama from scratch" and seen["problems"] == []
    assert not [*(tmp_path / "cache").rglob("*.safetensors")]
    told = [note.split(":")[0] for note in seen["notes"] if "from random weights" in note]
    assert {"model.scratch.layers is 2", "train.batch is 8"} <= {*told}
    script = f"import affina, sys\naffina.check({str(path)!r})\nassert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", script], check=True)


def test_the_usual_rate_from_nothing_is_that_of_the_search_space(tmp_path: Path) -> None:
    asked = Recipe.load(scratch_recipe(tmp_path), {"train.learning_rate": None})
    assert peak_rate(asked) == 1e-3


def test_a_tuning_that_leaves_weights_at_random_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="random weights know nothing to adapt") as caught:
        Recipe.load(scratch_recipe(tmp_path), {"tuning": "lora"})
    assert "Set tuning: full" in str(caught.value)


def test_no_text_is_refused_as_anywhere(tmp_path: Path) -> None:
    path = scratch_recipe(tmp_path)
    (tmp_path / "prose.txt").write_text("\n \n", encoding="utf-8")
    with pytest.raises(Refused, match="holds no text"):
        affina.check(path)


def test_an_encoder_from_nothing_learns_labels_against_the_majority(tmp_path: Path) -> None:
    from tiny import tickets

    path = scratch_recipe(tmp_path, objective="classify", data={"read": ["tickets.csv"], "max_tokens": 64})
    tickets(tmp_path)
    changes = {
        "model.scratch": {"name": "bert", "layers": 2, "width": 32, "heads": 4, "context": 64},
        "model.tokenizer": {"name": "wordpiece", "vocabulary": 150},
        "train.steps": 4,
    }
    run = affina.train(Recipe.load(path, changes), run="a", root=tmp_path / "runs")
    assert run.read("result.json")["verdict"]["metric"] == "accuracy"


@pytest.mark.slow
def test_a_small_llama_beats_the_unigram_model_of_shakespeare(tmp_path: Path) -> None:
    text = shared("data", "tiny_shakespeare", "input.txt").read_text(encoding="utf-8")[:100_000]
    (tmp_path / "play.txt").write_text(text, encoding="utf-8")
    made = Recipe.build(
        {
            "name": "play",
            "model": {
                "scratch": {"name": "llama", "layers": 2, "width": 96, "heads": 4, "context": 128, "dropout": 0.0},
                "tokenizer": {"name": "bpe", "vocabulary": 1000},
            },
            "data": {"read": ["play.txt"], "reader": {"name": "text", "by": "paragraph"}, "max_tokens": 128},
            "tuning": "full",
            "train": {"epochs": 3, "batch": 16, "learning_rate": 5e-3},
        },
        tmp_path,
    )
    result = affina.train(made, root=tmp_path / "runs").read("result.json")
    loss = result["metrics"]["loss"]
    assert result["verdict"]["decision"] == "promote" and loss["difference"]["high"] < 0
    assert Run(tmp_path / "runs" / "play").state == "finished"
    assert affina_process("show", "play", "--root", tmp_path / "runs").returncode == 0
