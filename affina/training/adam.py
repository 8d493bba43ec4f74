"""Adam's arithmetic for one tensor (Kingma and Ba, 2015), for optimizers that use it on a part of what moves."""

from collections.abc import Mapping

import torch
from torch import Tensor


def counter(like: Tensor) -> Tensor:
    """A count of steps: no axes, float64, for powers of a decay near 1 that float32 would round."""
    return torch.zeros((), dtype=torch.float64, device=like.device)


def moments(like: Tensor, shape: tuple[int, ...] | None = None) -> dict[str, Tensor]:
    """Adam's state before the first step: means of gradients and of their squares, and the count of steps."""
    sizes = tuple(like.shape) if shape is None else shape
    zeros = (torch.zeros(sizes, dtype=torch.float32, device=like.device) for _ in range(2))
    return {"step": counter(like), **dict(zip(("exp_avg", "exp_avg_sq"), zeros, strict=True))}


def direction(gradient: Tensor, state: Mapping[str, Tensor], betas: tuple[float, float], epsilon: float) -> Tensor:
    """Takes the gradient into the moments and returns m̂ / (√v̂ + ε), of the gradient's shape."""
    mean, square = betas
    state["step"].add_(1)
    state["exp_avg"].lerp_(gradient, 1 - mean)
    state["exp_avg_sq"].mul_(square).addcmul_(gradient, gradient, value=1 - square)
    first, second = (1 - beta ** state["step"] for beta in betas)
    size = (state["exp_avg_sq"] / second).sqrt_().add_(epsilon)
    return (state["exp_avg"] / first).div_(size)


def shrunk(parameter: Tensor, group: Mapping[str, float]) -> None:
    """Decoupled weight decay (Loshchilov and Hutter, 2019), in place."""
    if group["weight_decay"]:
        parameter.mul_(1 - group["lr"] * group["weight_decay"])
