"""Noise behind a network's input embedding while it learns, for rows packed in a forest and for rows padded."""

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from affina.core.errors import Refused
from affina.core.kinds import Noise, Segment
from affina.engine.torch import attention
from affina.engine.torch.frozen import draws

if TYPE_CHECKING:
    from affina.engine.torch.load import Network


def add(network: "Network", noise: Noise) -> None:
    """From now on what the input embedding gives has noise added, whenever the network learns.

    Raises Refused where no forward pass goes through the embedding.
    """
    masks, added = list[Tensor | None]([None]), list[int]()

    def heard(module: Any, args: Any, given: dict[str, Any]) -> None:
        masks[0] = given.get("attention_mask")

    def noisy(module: Any, given: Any, embedded: Tensor) -> Tensor | None:
        if not network.training:
            return None
        added.append(embedded.numel())
        lengths = _lengths(network, embedded, masks[0])
        return embedded + noise.added(lengths, embedded.shape[-1]).to(embedded.dtype)

    network.body.register_forward_pre_hook(heard, with_kwargs=True)
    table = network.model.get_input_embeddings().weight
    for each in network.model.modules():  # a family may call another module of the same table
        if isinstance(each, torch.nn.Embedding) and each.weight is table:
            each.register_forward_hook(noisy)
    draws(network)
    if not added:
        raise Refused(f"model.noise: {noise.name}", why=f"a {network.config.model_type} embeds in a way of its own")


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
