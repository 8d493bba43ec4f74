"""The law of optimizers: every tensor is moved once, by itself, twice alike, at its own rate, and goes on from disk."""

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from affina.core.errors import Failed
from affina.core.kinds import Optimizer, optimizers
from affina.engine.torch import rounding
from affina.engine.torch.checkpoint import load_checkpoint, save_checkpoint

NAMES = optimizers.names()
SHAPES = {"matrix": (4, 3), "norm": (3,), "bias": (4,), "cube": (2, 3, 2), "wide": (9, 530), "tall": (130, 129)}
EDGES = ("tall",)
OTHERWISE: list[dict[str, Any]] = [
    {"name": "adafactor", "beta1": 0.9, "relative": True},
    {"name": "adamw_8bit", "small": 0},
    {"name": "galore", "rank": 2, "every": 2},
    {"name": "muon", "scaling": "original", "nesterov": False},
    {"name": "sgd", "momentum": 0.0},
    {"name": "sgd", "nesterov": True},
]
SPECS = [*({"name": name} for name in NAMES), *OTHERWISE]
each_spec = pytest.mark.parametrize("spec", SPECS, ids=lambda spec: "-".join(map(str, spec.values())))

Tensors = dict[str, nn.Parameter]


def parameters(seed: int = 0, kept: Sequence[str] = tuple(SHAPES)) -> Tensors:
    draw = torch.Generator().manual_seed(seed)
    return {name: nn.Parameter(torch.randn(SHAPES[name], generator=draw)) for name in kept}


def graded(given: Tensors, step: int) -> None:
    """A gradient for every tensor, of the step and the tensor's name alone."""
    for name, each in given.items():
        draw = torch.Generator().manual_seed(1000 * step + list(SHAPES).index(name))
        each.grad = torch.randn(each.shape, generator=draw) * 0.1


def rated(optimizer: torch.optim.Optimizer, rate: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = rate * group["scale"]


def stepped(optimizer: torch.optim.Optimizer, given: Tensors, steps: Sequence[int] = range(1, 6)) -> None:
    for step in steps:
        graded(given, step)
        rated(optimizer, 0.1 / step)
        optimizer.step()


def built(spec: Any, given: Tensors, **more: Any) -> torch.optim.Optimizer:
    part: Optimizer = optimizers.build(spec)
    return part.build(given, edges=EDGES, **more)


def states(optimizer: torch.optim.Optimizer, given: Tensors) -> dict[str, torch.Tensor]:
    return {
        f"{name}/{key}": value for name, each in given.items() for key, value in optimizer.state.get(each, {}).items()
    }


def alike(a: dict[str, Any], b: dict[str, Any]) -> bool:
    return a.keys() == b.keys() and all(
        torch.equal(each, b[name]) and each.dtype == b[name].dtype for name, each in a.items()
    )


@pytest.mark.parametrize("name", NAMES)
def test_an_optimizer_builds_from_defaults_round_trips_and_is_documented(name: str) -> None:
    part = optimizers.build(name)
    assert part.name == name == optimizers.dump(part)
    changed = optimizers.build({"name": name, "clip": 0.5})
    assert optimizers.build(optimizers.dump(changed)) == changed != part
    assert type(part).__doc__ and len(type(part).model_fields) <= 10
    assert all(field.description for field in type(part).model_fields.values())
    with pytest.raises(ValueError, match="clip"):
        optimizers.build({"name": name, "clip": 0})


@each_spec
def test_every_tensor_is_moved_once_and_twice_alike(spec: Any) -> None:
    once, twice = parameters(), parameters()
    for given in (once, twice):
        optimizer = built(spec, given)
        held = [each for group in optimizer.param_groups for each in group["params"]]
        assert len(held) == len(given) and {id(each) for each in held} == {id(each) for each in given.values()}
        stepped(optimizer, given)
    for key, before in parameters().items():
        assert torch.equal(once[key], twice[key]) and not torch.equal(once[key], before)
        assert once[key].isfinite().all()


@each_spec
def test_nothing_moves_at_a_rate_of_nought(spec: Any) -> None:
    given = parameters()
    optimizer = built({**spec, "weight_decay": 0.1}, given)
    graded(given, 1)
    optimizer.step()
    assert alike(given, parameters())
    stepped(optimizer, given)
    before = copy.deepcopy(given)
    graded(given, 9)
    rated(optimizer, 0.0)
    optimizer.step()
    assert alike(given, before)


@each_spec
@pytest.mark.parametrize("kept", [["matrix"], ["norm"], ["tall"]])
def test_tensors_of_one_kind_alone_will_do(spec: Any, kept: list[str]) -> None:
    given, before = parameters(kept=kept), parameters(kept=kept)
    stepped(built(spec, given), given)
    assert not any(torch.equal(each, before[name]) for name, each in given.items())


@each_spec
def test_tensors_stepped_one_after_the_other_move_as_together(spec: Any) -> None:
    """Stochastic rounding steps a portion at a time; what has no gradient must stay, with its state."""
    together, apart = parameters(), parameters()
    stepped(built(spec, together), together)
    optimizer = built(spec, apart)
    for step in range(1, 6):
        graded(apart, step)
        rated(optimizer, 0.1 / step)
        gradients = {name: each.grad for name, each in apart.items()}
        for name in apart:
            for other, each in apart.items():
                each.grad = gradients[name] if other == name else None
            optimizer.step()
    assert alike(together, apart)


@each_spec
def test_a_scale_multiplies_the_rate_of_the_tensor_it_names(spec: Any) -> None:
    given = parameters()
    optimizer = built(spec, given, scales={"matrix": 0.5, "bias": 0.25, "nothing of that name": 3.0})
    found = {id(each): group["scale"] for group in optimizer.param_groups for each in group["params"]}
    expected = {"matrix": 0.5, "bias": 0.25}
    assert all(found[id(each)] == expected.get(name, 1.0) for name, each in given.items())
    stepped(optimizer, given)
    for name, scale in (("matrix", 0.5), ("bias", 0.25), ("wide", 1.0)):
        alone = parameters()
        slower = built(spec, alone)
        for step in range(1, 6):
            graded(alone, step)
            for group in slower.param_groups:
                group["lr"] = 0.1 / step * scale
            slower.step()
        assert torch.equal(given[name], alone[name]), name


@each_spec
def test_without_a_gradient_matrices_shrink_by_rate_times_decay_and_vectors_stay(spec: Any) -> None:
    given = parameters()
    optimizer = built({**spec, "weight_decay": 0.3}, given)
    for each in given.values():
        each.grad = torch.zeros_like(each)
    rated(optimizer, 0.1)
    optimizer.step()
    momentum_ahead = 1 + spec.get("momentum", 0.9) if spec.get("nesterov") and spec["name"] == "sgd" else 1
    for name, before in parameters().items():
        expected = before * (1 - 0.1 * 0.3 * momentum_ahead) if before.ndim > 1 else before
        assert torch.allclose(given[name], expected, rtol=1e-6, atol=0), name


@each_spec
def test_what_is_saved_goes_on_to_the_bit(spec: Any, tmp_path: Path) -> None:
    saved, loaded = parameters(), parameters(seed=7)
    first, second = built(spec, saved), built(spec, loaded)
    stepped(first, saved, steps=(1, 2, 3))
    stepped(second, loaded, steps=(8, 9))  # whatever it held before
    save_checkpoint(tmp_path / "c", saved, first, step=3)
    assert load_checkpoint(tmp_path / "c", loaded, second) == (3, {})
    assert alike(saved, loaded) and alike(states(first, saved), states(second, loaded))
    stepped(first, saved, steps=(4, 5, 6))
    stepped(second, loaded, steps=(4, 5, 6))
    assert alike(saved, loaded) and alike(states(first, saved), states(second, loaded))


@pytest.mark.parametrize("name", [name for name in NAMES if name != "sgd"])
def test_a_state_of_another_optimizer_is_refused_and_nothing_moves(name: str, tmp_path: Path) -> None:
    """GaLore's moments are of other shapes than all the others', and than its own of another rank."""
    saved, loaded = parameters(), parameters(seed=7)
    first, second = built({"name": "galore", "rank": 3}, saved), built(name, loaded)
    stepped(first, saved, steps=(1,))
    save_checkpoint(tmp_path / "c", saved, first, step=1)
    if name == "galore":
        second = built({"name": "galore", "rank": 2}, loaded)
    before = copy.deepcopy(loaded)
    with pytest.raises(Failed, match="does not fit this model"):
        load_checkpoint(tmp_path / "c", loaded, second)
    assert alike(loaded, before) and not second.state


@each_spec
def test_matrices_kept_in_bf16_learn_as_in_float32(spec: Any) -> None:
    """Rounded stochastically at each step: over the tensor the mean distance stays about half a unit in the last place
    for each step; the state is the optimizer's own, of no bf16."""
    wide = nn.Sequential(nn.Linear(64, 160, bias=True), nn.Linear(160, 8, bias=False))
    torch.manual_seed(0)
    for each in wide.parameters():
        nn.init.normal_(each)
        each.data = each.data.bfloat16().float()
    narrow = copy.deepcopy(wide)
    rounding.narrow(narrow)
    for model in (wide, narrow):
        named = dict(model.named_parameters())
        optimizer = optimizers.build(spec).build(named)
        for step in range(1, 6):
            for number, each in enumerate(named.values()):
                draw = torch.Generator().manual_seed(100 * step + number)
                each.grad = torch.randn(each.shape, generator=draw)
            for group in optimizer.param_groups:
                group["lr"] = 0.01
            rounding.step(optimizer, list(named.values()), 0, step)
        kept = {value.dtype for values in optimizer.state.values() for value in values.values()}
        assert torch.bfloat16 not in kept
    assert {each.dtype for each in narrow.parameters()} == {torch.bfloat16, torch.float32}
    for a, b in zip(narrow.parameters(), wide.parameters(), strict=True):
        away = (a.detach().float() - b.detach()).abs()
        assert float(away.mean()) < 3 * 2.0**-8 * float(b.detach().abs().mean())
        assert a.ndim > 1 or torch.equal(a, b)
