"""Inside `exactly` everything is as wide as asked for; afterwards every weight is as it was, to the bit."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from families import random_rows
from laws import engine

from affina.core.compute import Computing
from affina.core.kinds import objectives

WIDE = {"float32": torch.float32, "float64": torch.float64}


@pytest.mark.parametrize("precision", list(WIDE))
@pytest.mark.parametrize(("name", "objective"), [("gemma2", "cross_entropy"), ("bert", "classify"), ("t5", "classify")])
def test_weights_and_results_are_as_wide_as_asked_and_come_back_to_the_bit(
    name: str, objective: str, precision: str, family: Callable[[str], Path]
) -> None:
    made = engine(family(name), objectives.build(objective), "lora", Computing("bf16"))
    tensors = {**dict(made.network.named_parameters()), **dict(made.network.named_buffers())}
    before = {key: each.detach().clone() for key, each in tensors.items()}
    assert {each.dtype for each in before.values()} >= {torch.bfloat16, torch.float32}
    rows = [each for each in random_rows(300) if each.targets]
    batch = made.layout([type(each)(each.id, each.tokens, each.weights, label=0) for each in rows])
    with pytest.raises(ZeroDivisionError), made.exactly(precision), torch.no_grad():
        assert {each.dtype for each in tensors.values() if each.is_floating_point()} == {WIDE[precision]}
        forward = made.forward(batch)
        numbers = forward.logprobs_S if forward.scores_RL is None else forward.scores_RL
        assert numbers is not None and numbers.dtype == WIDE[precision]
        raise ZeroDivisionError
    assert made.network.precision == "bf16"
    assert all(each.dtype == before[key].dtype and torch.equal(each, before[key]) for key, each in tensors.items())
