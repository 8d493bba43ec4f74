"""The law of averagings: documented, an average of the weights so far, beside torch's own."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.optim.swa_utils import AveragedModel, get_ema_avg_fn

from affina.core.kinds import averagings
from affina.engine.torch.average import Average

NAMES = averagings.names()
STEPS = 20


def moved(model: torch.nn.Module, step: int) -> None:
    with torch.no_grad():
        for each in model.parameters():
            each.add_(torch.randn(each.shape, generator=torch.Generator().manual_seed(step)))


def followed(spec: Any, steps: int = STEPS) -> tuple[Average, list[dict[str, torch.Tensor]]]:
    model = torch.nn.Linear(3, 2)
    average, path = Average(averagings.build(spec), dict(model.named_parameters()), steps), []
    for step in range(1, steps + 1):
        moved(model, step)
        average.follow(dict(model.named_parameters()), step)
        path.append({name: each.detach().clone() for name, each in model.named_parameters()})
    return average, path


@pytest.mark.parametrize("name", NAMES)
def test_an_averaging_builds_from_defaults_round_trips_and_is_documented(name: str) -> None:
    part = averagings.build(name)
    assert part.name == name == averagings.dump(part) and averagings.build(averagings.dump(part)) == part
    assert type(part).__doc__ and len(type(part).model_fields) <= 10
    assert all(field.description for field in type(part).model_fields.values())


@pytest.mark.parametrize("steps", [1, 2, 3, 10, 1000])
@pytest.mark.parametrize("name", NAMES)
def test_shares_are_shares_and_the_first_step_is_taken_whole(name: str, steps: int) -> None:
    found = [averagings.build(name).share(step, steps) for step in range(1, steps + 1)]
    assert found[0] == 1 and all(0 <= each <= 1 for each in found)


@pytest.mark.parametrize("name", NAMES)
def test_an_average_of_weights_that_stand_still_stands_still(name: str) -> None:
    weights = {"a": torch.randn(5)}
    average = Average(averagings.build(name), {"a": torch.zeros(5)}, STEPS)
    for step in range(1, STEPS + 1):
        average.follow(weights, step)
    assert torch.allclose(average.tensors["a"], weights["a"], rtol=1e-6)


def torchs(spec: dict[str, Any], averaged: Callable[[Any], AveragedModel], taken: list[int]) -> None:
    model = torch.nn.Linear(3, 2)
    start = copy.deepcopy(model)
    mine, theirs = Average(averagings.build(spec), dict(model.named_parameters()), STEPS), averaged(model)
    for step in range(1, STEPS + 1):
        moved(model, step)
        mine.follow(dict(model.named_parameters()), step)
        if step in taken:
            theirs.update_parameters(model)
    for name, each in theirs.module.named_parameters():
        assert torch.allclose(mine.tensors[name], each, rtol=1e-5, atol=1e-6)
        assert not torch.equal(each, start.get_parameter(name))


def test_ema_is_torchs() -> None:
    spec = {"name": "ema", "decay": 0.9, "warmup": False}
    torchs(spec, lambda model: AveragedModel(model, avg_fn=get_ema_avg_fn(0.9)), [*range(1, STEPS + 1)])


def test_warm_up_is_a_decay_of_one_plus_step_over_ten_plus_step() -> None:
    def warm(average: Any, weights: Any, taken: Any) -> Any:  # `taken` updates are done: this is step taken + 1
        decay = min(0.6, (2 + int(taken)) / (11 + int(taken)))
        return decay * average + (1 - decay) * weights

    torchs({"name": "ema", "decay": 0.6}, lambda model: AveragedModel(model, avg_fn=warm), [*range(1, STEPS + 1)])


@pytest.mark.parametrize(("every", "taken"), [(1, [*range(10, 21)]), (4, [10, 14, 18])])
def test_swa_is_torchs_over_the_steps_it_takes(every: int, taken: list[int]) -> None:
    torchs({"name": "swa", "start": 0.5, "every": every}, AveragedModel, taken)


def test_swa_is_the_weights_themselves_until_it_begins_and_then_their_mean() -> None:
    average, path = followed({"name": "swa", "start": 0.9}, 10)
    assert all(torch.allclose(each, (path[8][name] + path[9][name]) / 2) for name, each in average.tensors.items())
    average, path = followed({"name": "swa", "start": 0.95}, 10)
    assert all(torch.equal(each, path[9][name]) for name, each in average.tensors.items())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_average_stands_in_and_the_weights_come_back_to_the_bit(dtype: torch.dtype) -> None:
    weights = {"a": torch.randn(50).to(dtype), "b": torch.randn(3, 4)}
    average = Average(averagings.build("ema"), weights, STEPS)
    average.follow({name: each + 1 for name, each in weights.items()}, 2)
    before, kept = copy.deepcopy(weights), copy.deepcopy(average.tensors)
    assert average.tensors["a"].dtype == torch.float32
    with pytest.raises(KeyError), average.instead(weights):
        assert all(torch.equal(each, average.tensors[name].to(each.dtype)) for name, each in weights.items())
        assert not torch.equal(weights["a"], before["a"])
        raise KeyError
    assert all(torch.equal(each, before[name]) for name, each in weights.items())
    assert all(torch.equal(each, kept[name]) for name, each in average.tensors.items())
