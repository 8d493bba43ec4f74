"""A base in few bits learns as the whole one does, stays as it is to the bit, and says what cannot be done with it."""

import copy
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from families import random_rows
from laws import engine
from tiny import data, recipe, session

import affina
from affina.core.compute import Computing
from affina.core.errors import Refused
from affina.core.kinds import objectives, tunings
from affina.core.say import Silent
from affina.engine.torch import frozen
from affina.engine.torch.load import load
from affina.engine.torch.quantised import Quantised, bytes_of
from affina.engine.torch.states import Disk
from affina.engine.torch.step import TorchEngine
from affina.engine.torch.tuned import attach
from affina.training.frozen import keep_trunk

Folder = Callable[[str], Path]
PART = objectives.build("cross_entropy")
WORDS = [row for row in random_rows(300) if row.targets]


def learnt(made: TorchEngine, steps: int = 12) -> list[float]:
    batch = made.layout(WORDS)
    return [made.learn([batch], PART, step)["loss"] for step in range(1, steps + 1)]


@pytest.mark.parametrize(("quant", "distance"), [("nf4", 0.15), ("int8", 0.02)])
def test_the_loss_falls_as_lora_makes_it_fall(quant: str, distance: float, family: Folder) -> None:
    """Every step's loss is within `distance` of the start's loss from LoRA's on the whole base."""
    settings: Any = {"name": "qlora", "quant": quant, "rank": 8}
    whole = learnt(engine(family("llama"), PART, {"name": "lora", "rank": 8}, nudge=0))
    few = learnt(engine(family("llama"), PART, settings, nudge=0))
    assert few[-1] < few[0] and max(abs(a - b) for a, b in zip(few, whole, strict=True)) < distance * whole[0]


@pytest.mark.parametrize("precision", ["float32", "bf16"])
@pytest.mark.parametrize("name", ["llama", "gpt2"])
def test_no_frozen_number_moves_in_learning_or_in_exact_computing(name: str, precision: str, family: Folder) -> None:
    made = engine(family(name), PART, "qlora", Computing(precision))
    frozen = made.frozen()
    assert sum("codes" in each for each in frozen) == sum(isinstance(m, Quantised) for m in made.network.modules()) > 0
    before = {key: each.clone() for key, each in frozen.items()}
    learnt(made, 2)
    with made.exactly("float64"):
        inside = made.gradients([made.layout(WORDS)], PART)
    assert all(each.isfinite().all() for each in inside.values())
    after = made.frozen()
    assert all(torch.equal(after[key], each) and after[key].dtype == each.dtype for key, each in before.items())


def test_every_linear_layer_but_the_head_is_quantised_and_all_else_stays(family: Folder) -> None:
    net = load(family("qwen2"), Computing("float32"))
    whole = copy.deepcopy(net.model)
    attach(net, tunings.build({"name": "qlora", "targets": ["q_proj"]}), seed=0)
    kept = {name for name, each in net.model.named_modules() if isinstance(each, Quantised)}
    linear = {name for name, each in whole.named_modules() if isinstance(each, torch.nn.Linear)} - {"lm_head"}
    assert {name.removesuffix(".base") for name in kept} == linear and len(kept) == 14
    for name in linear:
        small = net.model.get_submodule(name if name in kept else f"{name}.base")
        rows, columns = small.shape  # 4 bits a weight, 8 per 64 of them; 1,096 bytes of tables, 4 a bias
        scales = -(-rows * columns // 64)
        tables = 64 + 1028 + -(-scales // 256) * 4
        assert bytes_of(small) == rows * columns // 2 + scales + tables + (rows * 4 if small.bias is not None else 0)
    assert torch.equal(net.model.get_input_embeddings().weight, whole.get_input_embeddings().weight)


def test_merging_is_refused_with_what_works_and_other_tunings_on_such_a_base_too(family: Folder) -> None:
    net, part = load(family("llama"), Computing("float32")), tunings.build("qlora")
    attach(net, part, seed=0)
    with pytest.raises(Refused, match="merge into the unquantised base"):
        part.merge(net.model)
    for name in ("full", "freeze", "last_layers", "bitfit"):
        with pytest.raises(Refused, match="on a quantised base"):
            tunings.build(name).apply(net.model)


def test_a_folder_that_is_quantised_already_is_refused(family: Folder, tmp_path: Path) -> None:
    folder = tmp_path / "small"
    shutil.copytree(family("llama"), folder)
    config = json.loads((folder / "config.json").read_text())
    config["quantization_config"] = {"quant_method": "bitsandbytes", "load_in_4bit": True}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(Refused, match="unquantised base"):
        load(folder, Computing("float32"))


def test_a_frozen_trunk_of_few_bits_is_kept_and_changes_no_gradient(family: Folder) -> None:
    made = engine(family("llama"), PART, {"name": "qlora", "targets": ["layers.1.self_attn.q_proj"]})
    before = made.gradients([made.layout(WORDS)], PART)
    assert frozen.settled(made.network, "memory", WORDS, repeats=True) == "memory" and made.network.trunk.depth == 1
    frozen.keep(made.network, "memory", WORDS, "key", print)
    for _ in range(2):
        after = made.gradients([made.layout(WORDS)], PART)
        assert all(torch.allclose(after[key], each, atol=1e-6) for key, each in before.items())


def test_states_of_a_trunk_of_few_bits_are_not_those_of_a_whole_one(
    chat_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AFFINA_CACHE", str(tmp_path / "cache"))
    places = []
    for name in ("lora", "qlora"):
        tuning = {"name": name, "targets": ["layers.1.self_attn.q_proj"]}
        computing = {"precision": "float32", "trunk": "disk"}
        opened = session(tmp_path / name, chat_model, tuning=tuning, train={"compute": computing})
        keep_trunk(opened, Silent())
        store = opened.engine.network.trunk.store
        assert isinstance(store, Disk)
        places.append(store.folder)
    assert places[0] != places[1]


def test_without_bitsandbytes_it_says_what_to_install(family: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "bitsandbytes.functional", None)
    with pytest.raises(Refused, match=r"affina\[quantised\]"):
        attach(load(family("llama"), Computing("float32")), tunings.build("qlora"), seed=0)


def test_a_run_measures_the_whole_base_and_writes_an_adapter_of_lora(chat_model: Path, tmp_path: Path) -> None:
    path = recipe(data(tmp_path), chat_model, tuning={"name": "qlora", "rank": 4})
    path.write_text(path.read_text().replace("steps: 12", "steps: 4"))
    run = affina.train(path, root=tmp_path / "runs")
    assert run.state == "finished"
    assert json.loads((run.folder / "model" / "adapter_config.json").read_text())["peft_type"] == "LORA"
