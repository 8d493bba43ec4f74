"""Noise behind a network's input embedding while it learns, for rows packed in a forest and for rows padded."""

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from affina.core.kinds import Noise, Segment
from affina.engine.torch import attention

if TYPE_CHECKING:
    from affina.engine.torch.load import Network


def add(network: "Network", noise: Noise) -> None:
    """From now on what the input embedding gives has noise added, whenever the network learns."""
    masks: list[Tensor | None] = [None]

    def heard(module: Any, args: Any, given: dict[str, Any]) -> None:
        masks[0] = given.get("attention_mask")

    def noisy(module: Any, given: Any, embedded: Tensor) -> Tensor | None:
        if not network.training:
            return None
        lengths = _lengths(network, embedded, masks[0])
        return embedded + noise.added(lengths, embedded.shape[-1]).to(embedded.dtype)

    network.body.register_forward_pre_hook(heard, with_kwargs=True)
    network.model.get_input_embeddings().register_forward_hook(noisy)


def _lengths(network: "Network", embedded: Tensor, mask_BL: Tensor | None) -> Tensor:
    """[B, L] of each token, the number of tokens of its row."""
    shape = embedded.shape[:-1]
    if network.flat:
        lengths = lengths_of(attention.current().segments)
        return torch.tensor(lengths, device=embedded.device).view(shape)
    if mask_BL is None or mask_BL.shape != shape:
        return torch.full(shape, shape[-1], device=embedded.device)
    return mask_BL.sum(1, keepdim=True).expand(shape)


def lengths_of(segments: tuple[Segment, ...]) -> list[int]:
    """Of each token of a forest, the length of the longest row through it. A parent stands before its children."""
    ends: list[int] = []
    for each in segments:
        above = ends[each.parent] if each.parent >= 0 else 0
        ends.append(above + each.stop - each.start)
    for number in reversed(range(len(segments))):
        if (parent := segments[number].parent) >= 0:
            ends[parent] = max(ends[parent], ends[number])
    return [end for end, each in zip(ends, segments, strict=True) for _ in range(each.stop - each.start)]
