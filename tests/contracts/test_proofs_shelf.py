"""The law of proofs: a sound run passes, twice the same, and leaves the engine as it was, to the bit."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from families import ENCODERS

from affina.core.compute import Computing
from affina.core.example import Chat, Example, Labelled, Message, Text
from affina.core.kinds import Bench, objectives, optimizers, proofs, schedules, tunings
from affina.data.rows import Renderer
from affina.engine.torch.load import load
from affina.engine.torch.step import Course, TorchEngine

NAMES = proofs.names()
Folder = Callable[[str], Path]
CHATS = [
    Chat(id=f"c:{n}", messages=(Message("user", "where is it? " * n), Message("assistant", "here " * (n % 3 + 1))))
    for n in range(1, 10)
]
LABELLED = [
    Labelled(id=f"l:{n}", text=f"where is the parcel {n}", label="xyz"[n % 3], labels=("x", "y", "z")) for n in range(9)
]
TEXTS = [Text(id=f"t:{n}", text="the old one is broken " * 9) for n in range(3)]
RUNS: dict[str, tuple[str, str, str, Sequence[Example]]] = {
    "chats": ("llama", "lora", "cross_entropy", CHATS),
    "windows": ("gemma2", "full", "cross_entropy", CHATS),
    "no forest": ("bloom", "lora", "cross_entropy", CHATS),
    "texts": ("gpt2", "lora", "cross_entropy", TEXTS),
    "words": ("qwen2", "lora", "cross_entropy", LABELLED),
    "encoder": ("bert", "lora", "classify", LABELLED),
    "roberta": ("roberta", "full", "classify", LABELLED),
    "decoder labels": ("llama", "lora", "classify", LABELLED),
}


def bench_of(run: str, family: Folder, precision: str = "float32") -> Bench:
    name, tuning, loss, examples = RUNS[run]
    objective, renderer = objectives.build(loss), Renderer.open(family(name), max_tokens=100)
    ending = objective.ending(3)
    course = Course(tunings.build(tuning), optimizers.build("adamw"), schedules.build("constant"), 1e-3, 10, 0)
    engine = TorchEngine(load(family(name), Computing(precision), ending), renderer, course)
    expanded = objective.expand(examples)
    return Bench(engine, objective, expanded, renderer.rows(expanded), truncate="allow", seed=0)


def state(engine: Any) -> dict[str, torch.Tensor]:
    named = {**engine.trainable(), **engine.frozen()}
    return {name: each.detach().clone() for name, each in named.items()}


@pytest.mark.parametrize("name", NAMES)
def test_a_proof_builds_from_defaults_round_trips_and_is_documented(name: str) -> None:
    part = proofs.build(name)
    assert part.name == name == proofs.dump(part) and proofs.build(proofs.dump(part)) == part
    assert type(part).__doc__ and len(type(part).model_fields) <= 10
    assert all(field.description for field in type(part).model_fields.values())


@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize("name", NAMES)
def test_a_sound_run_passes_and_the_engine_is_left_as_it_was(name: str, run: str, family: Folder) -> None:
    bench = bench_of(run, family)
    engine: Any = bench.engine
    before = state(engine)
    first, second = (proofs.build(name).examine(bench) for _ in range(2))
    assert first.passed and first == second, first.detail
    assert len(first.detail) > 10
    after = state(engine)
    assert before.keys() == after.keys() and all(torch.equal(each, after[key]) for key, each in before.items())
    assert not engine.optimizer.state and engine.step == 0 and not engine.network.training
    assert all(each.grad is None for each in engine.trainable().values())


@pytest.mark.parametrize("name", NAMES)
def test_a_sound_run_in_bf16_passes_too(name: str, family: Folder) -> None:
    finding = proofs.build(name).examine(bench_of("chats", family, "bf16"))
    assert finding.passed, finding.detail


def test_encoders_are_tried() -> None:
    assert {RUNS[run][0] for run in RUNS} & set(ENCODERS)
