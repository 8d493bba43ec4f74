"""The law of optimizers: a part builds a torch optimizer over all tensors that steps alike twice; AdamW is torch's."""

import pytest
import torch

from affina.core.kinds import optimizers

NAMES = optimizers.names()
SHAPES = {"matrix": (4, 3), "norm": (3,), "bias": (4,), "cube": (2, 3, 2)}


def parameters(seed: int = 0) -> dict[str, torch.nn.Parameter]:
    draw = torch.Generator().manual_seed(seed)
    return {name: torch.nn.Parameter(torch.randn(shape, generator=draw)) for name, shape in SHAPES.items()}


def stepped(optimizer: torch.optim.Optimizer, given: dict[str, torch.nn.Parameter], steps: int = 5) -> None:
    draw = torch.Generator().manual_seed(1)
    for step in range(steps):
        for each in given.values():
            each.grad = torch.randn(each.shape, generator=draw)
        for group in optimizer.param_groups:
            group["lr"] = 0.1 / (step + 1)
        optimizer.step()


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


@pytest.mark.parametrize("name", NAMES)
def test_every_tensor_is_moved_once_and_twice_alike(name: str) -> None:
    once, twice = parameters(), parameters()
    for given in (once, twice):
        optimizer = optimizers.build(name).build(given)
        held = [each for group in optimizer.param_groups for each in group["params"]]
        assert len(held) == len(given) and {id(each) for each in held} == {id(each) for each in given.values()}
        stepped(optimizer, given)
    for key, before in parameters().items():
        assert torch.equal(once[key], twice[key]) and not torch.equal(once[key], before)


@pytest.mark.parametrize("name", NAMES)
def test_nothing_moves_before_a_rate_is_set(name: str) -> None:
    given = parameters()
    optimizer = optimizers.build(name).build(given)
    for each in given.values():
        each.grad = torch.ones_like(each)
    optimizer.step()
    assert all(torch.equal(each, before) for each, before in zip(given.values(), parameters().values(), strict=True))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kept", [["matrix"], ["norm"]])
def test_tensors_of_one_kind_alone_will_do(name: str, kept: list[str]) -> None:
    given = {key: each for key, each in parameters().items() if key in kept}
    stepped(optimizers.build(name).build(given), given)


@pytest.mark.parametrize("decay", [0.0, 0.3])
def test_adamw_is_torchs_and_vectors_do_not_decay(decay: float) -> None:
    spec = {"name": "adamw", "weight_decay": decay, "beta1": 0.8, "beta2": 0.9, "epsilon": 1e-6}
    given, plain = parameters(), parameters()
    stepped(optimizers.build(spec).build(given), given)
    for key, each in plain.items():
        shrunk = decay if key in ("matrix", "cube") else 0.0
        stepped_alone = torch.optim.AdamW(
            [each], lr=0.1, betas=(0.8, 0.9), eps=1e-6, weight_decay=shrunk, foreach=False
        )
        draw = torch.Generator().manual_seed(1)
        for step in range(5):
            grads = {name: torch.randn(shape, generator=draw) for name, shape in SHAPES.items()}
            each.grad = grads[key]
            stepped_alone.param_groups[0]["lr"] = 0.1 / (step + 1)
            stepped_alone.step()
        assert torch.allclose(given[key], each, rtol=0, atol=2e-7), key


def test_adamws_first_step_by_hand() -> None:
    # Step 1: m̂ = g, v̂ = g²: the change is lr · g / (|g| + ε) ≈ lr · sign(g), and the matrix loses lr · decay of itself.
    weight = torch.nn.Parameter(torch.tensor([[2.0, -3.0]]))
    bias = torch.nn.Parameter(torch.tensor([2.0]))
    built = optimizers.build({"name": "adamw", "weight_decay": 0.5}).build({"w": weight, "b": bias})
    weight.grad, bias.grad = torch.tensor([[0.7, -9.0]]), torch.tensor([-0.1])
    for group in built.param_groups:
        group["lr"] = 0.1
    built.step()
    assert weight.tolist()[0] == pytest.approx([2.0 * 0.95 - 0.1, -3.0 * 0.95 + 0.1], abs=1e-6)
    assert bias.tolist() == pytest.approx([2.1], abs=1e-6)
