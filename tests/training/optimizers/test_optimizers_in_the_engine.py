"""In the engine every optimizer learns, goes on from a checkpoint, is undone to the bit, and keeps masters in bf16."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import pstdev
from typing import Any

import numpy as np
import pytest
import tiny
import torch
from families import labelled, row

import affina
from affina.core.compute import Computing
from affina.core.example import Rated
from affina.core.kinds import Ending, objectives, optimizers, schedules, tunings
from affina.data.layout import layout
from affina.data.rows import Renderer
from affina.engine.torch.load import load
from affina.engine.torch.step import Course, TorchEngine
from affina.engine.torch.tuned import edges

Folder = Callable[[str], Path]
OBJECTIVE = objectives.build("cross_entropy")
ROWS = [row(f"row:{n}", list(range(20, 34 + n)), list(range(60, 63 + n)), 1.0) for n in range(6)]
BATCHES = [layout(ROWS[:2]), layout(ROWS[2:])]
RATES = {"sgd": 0.3, "lion": 1e-3}
SPECS: list[dict[str, Any]] = [
    *({"name": name} for name in optimizers.names() if name != "galore"),
    {"name": "galore", "rank": 4, "every": 3, "scale": 1.0},
    {"name": "adamw_8bit", "small": 100},
]
each_spec = pytest.mark.parametrize("spec", SPECS, ids=lambda spec: "-".join(map(str, spec.values())))
Full: Any = tunings.find("full")


def engine(
    folder: Path, spec: Any, masters: str = "float32", tuning: Any = "full", rate: float | None = None
) -> TorchEngine:
    part, schedule = optimizers.build(spec), schedules.build({"name": "constant", "warmup": 0.0})
    what = tunings.build(tuning) if isinstance(tuning, str) else tuning
    course = Course(what, part, schedule, rate or RATES.get(part.name, 5e-3), 100, 3)
    computing = Computing("bf16" if masters == "bf16" else "float32", masters=masters)
    return TorchEngine(load(folder, computing), Renderer.open(folder), course)


def everything(made: TorchEngine) -> dict[str, str]:
    """Digests of what trains and of the optimizer's state."""
    found: dict[str, torch.Tensor] = dict(made.trainable())
    for name, each in made.trainable().items():
        found |= {f"{name}/{key}": value for key, value in made.optimizer.state.get(each, {}).items()}
    return {
        name: f"{each.dtype}{hashlib.sha256(each.detach().reshape(-1).view(torch.uint8).numpy().tobytes()).hexdigest()}"
        for name, each in found.items()
    }


@pytest.mark.parametrize("masters", ["float32", "bf16"])
@each_spec
def test_it_learns_goes_on_from_a_checkpoint_and_is_undone(
    spec: Any, masters: str, family: Folder, tmp_path: Path
) -> None:
    whole = engine(family("llama"), spec, masters)
    losses = []
    for step in range(1, 13):
        if step == 4:
            whole.save(tmp_path / "c")
            before = everything(whole)
            with whole.undone():
                whole.learn(BATCHES, OBJECTIVE, 4)
                assert everything(whole) != before
            assert everything(whole) == before
        losses.append(whole.learn(BATCHES, OBJECTIVE, step)["loss"])
    assert losses[-1] < losses[0] - 0.3
    resumed = engine(family("llama"), spec, masters)
    resumed.learn(BATCHES, OBJECTIVE, 9)  # whatever it held before
    resumed.load(tmp_path / "c")
    for step in range(4, 13):
        resumed.learn(BATCHES, OBJECTIVE, step)
    assert everything(whole) == everything(resumed)


@pytest.mark.parametrize(
    ("name", "labels", "expected"),
    [
        ("llama", 0, {"model.model.embed_tokens.weight"}),
        ("mistral", 0, {"model.model.embed_tokens.weight", "model.lm_head.weight"}),
        ("gemma2", 0, {"model.model.embed_tokens.weight"}),
        ("gpt2", 0, {"model.transformer.wte.weight", "model.transformer.wpe.weight"}),
        ("bert", 3, {
            "model.embeddings.word_embeddings.weight", "model.embeddings.position_embeddings.weight",
            "model.embeddings.token_type_embeddings.weight", "head.weight", "head.bias",
        }),
    ],
)  # fmt: skip
def test_edges_are_embedding_tables_and_heads(name: str, labels: int, expected: set[str], family: Folder) -> None:
    assert edges(load(family(name), Computing(), Ending("labels", labels) if labels else Ending())) == expected


def test_only_hidden_matrices_are_muons(family: Folder) -> None:
    made = engine(family("llama"), "muon")
    made.learn(BATCHES, OBJECTIVE, 1)
    orthogonal = {name for name, each in made.trainable().items() if "momentum_buffer" in made.optimizer.state[each]}
    assert orthogonal == {name for name in made.trainable() if "_proj." in name} and len(orthogonal) == 14


class Halved(Full):  # type: ignore[misc]  # a part is found by its file
    """Trains all weights, the first block's at half the rate."""

    def scales(self, model: torch.nn.Module) -> dict[str, float]:
        return {name: 0.5 for name, _ in model.named_parameters() if ".layers.0." in name}


def test_a_tunings_scales_multiply_the_rate(family: Folder) -> None:
    plain, slower, halved = (
        engine(family("llama"), {"name": "sgd", "momentum": 0.0}, tuning=tuning, rate=rate)
        for tuning, rate in (("full", 0.1), ("full", 0.05), (Halved(), 0.1))
    )
    for made in (plain, slower, halved):
        values = made.learn(BATCHES, OBJECTIVE, 1)
    assert values["learning_rate"] == 0.1
    for name, each in halved.trainable().items():
        twin = slower if ".layers.0." in name else plain
        assert torch.equal(each, twin.trainable()[name]), name
    assert not torch.equal(*(dict(made.trainable())["model.model.norm.weight"] for made in (plain, slower)))


@pytest.mark.parametrize("name", [name for name in optimizers.names() if name != "adamw"])
def test_a_run_shows_every_proof_and_finishes(name: str, tmp_path: Path, chat_model: Path) -> None:
    train = {"steps": 4, "optimizer": name, "learning_rate": RATES.get(name, 3e-3)}
    file = tiny.recipe(tiny.data(tmp_path), chat_model, tuning="full", train=train)
    run = affina.train(file, root=tmp_path / "runs", offline=True)
    assert run.state == "finished"
    assert all(each["passed"] for each in run.read("proofs.json")["findings"])


SCALE_FREE: list[dict[str, Any]] = [
    {"name": "adamw", "weight_decay": 0.1},
    {"name": "lion", "weight_decay": 0.1},
    {"name": "sgd", "weight_decay": 0.1},
    {"name": "adafactor", "relative": True, "least": 1e-6},
]


@pytest.mark.parametrize("times", [2.0**12, 2.0**33])
@pytest.mark.parametrize("spec", SCALE_FREE, ids=lambda spec: spec["name"])
def test_numbers_are_learnt_alike_whatever_they_count(spec: Any, times: float, family: Folder) -> None:
    """Goals times 4,096 or 8.6 billion (exact in binary): the same steps, and a head that is as many times as large."""
    objective = objectives.build("regression")
    goals = [0.5, -1.0, 2.0, 0.25, -0.75, 1.5]

    def learnt(unit: float) -> dict[str, torch.Tensor]:
        examples = [Rated(id=f"row:{n}", text=f"text {n}", value=goal * unit) for n, goal in enumerate(goals)]
        part, schedule = optimizers.build(spec), schedules.build({"name": "constant", "warmup": 0.0})
        measure = objective.measure(examples)
        assert measure.middle == pytest.approx(unit * 2.5 / 6) and measure.spread == pytest.approx(unit * pstdev(goals))
        rate = {"sgd": 0.02, "lion": 1e-3}.get(part.name, 5e-3)
        course = Course(tunings.build("full"), part, schedule, rate, 100, 3, measure=measure)
        network = load(family("bert"), Computing("float32"), objective.ending(0))
        made = TorchEngine(network, Renderer.open(family("bert")), course)
        bare = [labelled(each, -1) for each in ROWS]
        rows = [
            replace(each, goals=np.array([goal * unit], np.float32)) for each, goal in zip(bare, goals, strict=True)
        ]
        before, after = made.learn([layout(rows)], objective, 1), {}
        for step in range(2, 9):
            after = made.learn([layout(rows)], objective, step)
        assert after["loss"] < before["loss"]
        return {name: each.detach().clone() for name, each in made.trainable().items()}

    plain, large = learnt(1.0), learnt(times)
    for name, each in plain.items():
        unit = times if name.startswith("head.") else 1.0
        torch.testing.assert_close(large[name], each * unit, rtol=1e-4, atol=1e-6 * unit, msg=name)
