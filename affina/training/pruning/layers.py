"""Whole blocks go, those that change the states least ("block influence": Men et al., 2024, ShortGPT)."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from affina.core.errors import Refused
from affina.core.kinds import Row
from affina.core.pruning import Pruning

if TYPE_CHECKING:
    import torch
    from torch import nn


PER_BLOCK = ("layer_types", "mlp_layer_types", "layers_block_type", "no_rope_layers", "layer_rope_theta")
"""What a config lists block by block."""


class Layers(Pruning):
    """A block's influence is 1 - the mean cosine of what goes into it and what comes out, over the rows' tokens."""

    structured: ClassVar[bool] = True

    share: float = Field(0.1, gt=0, lt=1)
    """Of the blocks, rounded down; one at least goes and one stays."""

    def prune(self, model: "torch.nn.Module", rows: Sequence[Row]) -> None:
        from torch import nn

        name, blocks = blocks_of(model)
        influence = _influence(model, blocks, rows)
        gone = min(max(1, int(self.share * len(blocks))), len(blocks) - 1)
        least = set(sorted(range(len(blocks)), key=lambda n: influence[n])[:gone])
        kept = [n for n in range(len(blocks)) if n not in least]
        model.set_submodule(name, nn.ModuleList(blocks[n] for n in kept))
        config: Any = model.config
        config.num_hidden_layers = len(kept)
        for each in PER_BLOCK:
            if len(values := getattr(config, each, None) or ()) == len(blocks):
                setattr(config, each, [values[n] for n in kept])


def blocks_of(model: "torch.nn.Module") -> "tuple[str, nn.ModuleList]":
    """The stack of a model's blocks and its name. Raises Refused where there is not one of two blocks at least."""
    from torch import nn

    config: Any = model.config
    count = config.num_hidden_layers
    found = [(name, each) for name, each in model.named_modules() if isinstance(each, nn.ModuleList)]
    stacks = [(name, each) for name, each in found if len(each) == count]
    if len(stacks) != 1 or count < 2:
        why = "it has one block alone" if count < 2 else "its blocks are not one stack"
        raise Refused(f"taking blocks out of {config.model_type}", why, "choose the pruning magnitude")
    return stacks[0]


def _influence(model: Any, blocks: "nn.ModuleList", rows: Sequence[Row]) -> list[float]:
    import torch

    away, tokens = [0.0] * len(blocks), 0

    def hear(n: int) -> Any:
        def hook(block: Any, given: Any, said: Any) -> None:
            out = said[0] if isinstance(said, tuple) else said
            away[n] += float((1 - torch.cosine_similarity(given[0].float(), out.float(), dim=-1)).sum())

        return hook

    hooks = [block.register_forward_hook(hear(n)) for n, block in enumerate(blocks)]
    try:
        with torch.no_grad():
            for row in rows:
                model(input_ids=torch.from_numpy(row.tokens).long()[None])
                tokens += len(row.tokens)
    finally:
        for each in hooks:
            each.remove()
    return [each / max(tokens, 1) for each in away]
