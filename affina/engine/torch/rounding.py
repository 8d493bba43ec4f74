"""Matrices that learn and are kept in bf16: float32 while they are stepped, then rounded stochastically.

Rounding to nearest would lose every change below half a unit in the last place; rounding up with the probability of
what lies above keeps it in the mean (Zamirai et al., 2020, "Revisiting BFloat16 Training").
"""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import nn

PORTION = 2**24  # numbers that are float32 at a time; a larger tensor is a portion of its own


def narrow(model: nn.Module) -> None:
    """Keeps the matrices that train in bf16, rounded to nearest; their gradients stay float32.

    Vectors, and embedding tables, whose gradients are sums by row, keep the dtype they have, and so does a small module
    that says it `stays_wide`.
    """
    tables = {id(each.weight) for each in model.modules() if isinstance(each, nn.Embedding)}
    wide = [each for each in model.modules() if getattr(each, "stays_wide", False)]
    tables |= {id(each) for module in wide for each in module.parameters()}
    for each in model.parameters():
        if each.requires_grad and each.ndim > 1 and id(each) not in tables:
            each.data = each.data.to(torch.bfloat16)
            each.grad_dtype = torch.float32


def stochastic(values: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """float32 → bf16 of the same shape: one of the two neighbours, the upper with the share that lies above the lower.

    What bf16 holds stays as it is, infinities and subnormal numbers too; NaN stays NaN. Above bf16's largest number
    the upper neighbour is infinity. `generator` is of the values' device.
    """
    bits = values.contiguous().view(torch.int32).flatten()
    drawn = torch.empty(-(-bits.numel() // 4), dtype=torch.int64, device=values.device)
    lanes = drawn.random_(-(2**63), None, generator=generator).view(torch.int16)[: bits.numel()]
    kept = torch.add(bits, lanes).add_(2**15).bitwise_right_shift_(16)  # lanes lie in [-2¹⁵, 2¹⁵)
    rounded = kept.to(torch.int16).view(torch.bfloat16).view(values.shape)
    return torch.where(values.isnan(), torch.nan, rounded)


def step(optimizer: torch.optim.Optimizer, parameters: Sequence[nn.Parameter], seed: int, number: int) -> None:
    """`optimizer.step()` number `number`, in which a bf16 parameter is float32; a portion at a time, gradients used up.

    What is drawn is a function of (seed, number, place in `parameters`) and leaves all other draws alone. Optimizer
    state is float32. The optimizer must step each tensor by itself and leave out those without a gradient.
    """
    if all(each.dtype != torch.bfloat16 for each in parameters):
        optimizer.step()
        return
    gradients = {place: each.grad for place, each in enumerate(parameters) if each.grad is not None}
    for each in parameters:
        each.grad = None
    for places in _portions({place: each.numel() for place, each in enumerate(parameters) if place in gradients}):
        held = {place: parameters[place].data for place in places if parameters[place].dtype == torch.bfloat16}
        for place, kept in held.items():
            parameters[place].data = kept.float()
        for place in places:
            parameters[place].grad = gradients.pop(place)
        optimizer.step()
        for place in places:
            parameters[place].grad = None
        for place, kept in held.items():
            kept.copy_(stochastic(parameters[place].data, _generator(kept.device, seed, number, place)))
            parameters[place].data = kept


def _portions(sizes: dict[int, int]) -> Iterator[list[int]]:
    """Places in order, together up to `PORTION` numbers."""
    held, total = list[int](), 0
    for place, size in sizes.items():
        if held and total + size > PORTION:
            yield held
            held, total = [], 0
        held, total = [*held, place], total + size
    if held:
        yield held


def _generator(device: torch.device, *key: int) -> torch.Generator:
    """Seeded with 32 mixed bits: the processor's generator reads no more of a seed."""
    mixed = int(np.random.SeedSequence(key).generate_state(1)[0])
    return torch.Generator(device).manual_seed(mixed)
