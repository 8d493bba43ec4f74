"""A network made deeper: copies of blocks that hand on their input to the bit, because what they add is zero."""

import copy
from typing import Any

from torch import nn

from affina.core.errors import Refused
from affina.engine.torch.blocks import blocks_of
from affina.engine.torch.sublayers import sublayers

ASKED = "tuning block_expansion"
BY_DEPTH = ("scale_attn_by_inverse_layer_idx", "first_k_dense_replace")
"""Settings under which a block is another one at another depth."""


def expand(model: nn.Module, groups: int, each: int) -> None:
    """Puts copies of the last `each` blocks of `groups` runs after them; the model's configuration says so too.

    Raises Refused for fewer blocks, and for a base whose copied blocks would not be the identity.
    """
    config: Any = model.config
    count = int(config.num_hidden_layers)
    if groups * each > count:
        raise Refused(f"{ASKED}: {groups} groups of {each} copies", f"this base has {count} blocks", "copy fewer")
    _fits(model)
    outputs = {name for found in sublayers(model, ASKED) for name in (found.attention, found.inner[1])}
    ends = {module for name, module in model.named_modules() if name in outputs}
    blocks = blocks_of(model, count)
    stack = next(held for held in model.modules() if isinstance(held, nn.ModuleList) and [*held] == blocks)
    lists = _lists(config, count)
    for place in sorted(_last(count, groups), reverse=True):
        made = [_identity(block, ends, config) for block in blocks[place - each : place]]
        for block in reversed(made):
            stack.insert(place, block)
        for values in lists.values():
            values[place:place] = values[place - each : place]
    for name, values in lists.items():
        setattr(config, name, values)
    config.num_hidden_layers = len(stack)
    for place, block in enumerate(stack):
        for module in block.modules():
            if "layer_idx" in vars(module):
                vars(module)["layer_idx"] = place


def copies(model: nn.Module, groups: int, each: int) -> list[nn.Module]:
    """The blocks that `expand` has put in, from the first on."""
    config: Any = model.config
    blocks = blocks_of(model, config.num_hidden_layers)
    ends = _last(len(blocks) - groups * each, groups)
    return [blocks[place + run * each + k] for run, place in enumerate(ends) for k in range(each)]


def changed(model: nn.Module) -> dict[str, Any]:
    """What a deeper model's config.json says otherwise than its base's, under the family's own names."""
    config: Any = model.config
    named = getattr(type(config), "attribute_map", {}).get("num_hidden_layers", "num_hidden_layers")
    return {named: config.num_hidden_layers, **_lists(config, config.num_hidden_layers)}


def _last(count: int, groups: int) -> list[int]:
    """The number of blocks up to the end of each run; runs differ by one block where they cannot be equal."""
    return [count * (run + 1) // groups for run in range(groups)]


def _lists(config: Any, count: int) -> dict[str, list[Any]]:
    """What the configuration says of every block, as copies: kinds of attention, and the like."""
    held = vars(config).items()
    return {
        name: [*value] for name, value in held if isinstance(value, list) and len(value) == count and "layer" in name
    }


def _fits(model: nn.Module) -> None:
    config: Any = model.config
    if config.is_encoder_decoder or config.get_text_config() is not config:
        raise Refused(ASKED, f"{config.model_type} has more than one stack of blocks", "use lora")
    if by_depth := [name for name in BY_DEPTH if getattr(config, name, None)]:
        raise Refused(ASKED, f"with {by_depth[0]} a block is another one at another depth", "use lora")
    alike = {
        tuple(name for name, _ in block.named_parameters()) for block in blocks_of(model, config.num_hidden_layers)
    }
    if len(alike) != 1:
        raise Refused(ASKED, f"the blocks of {config.model_type} are not all of one form", "use lora")
    ends_in_norm = any(found.after_sum is not None for found in sublayers(model, ASKED))
    if ends_in_norm or getattr(config, "do_layer_norm_before", True) is False:
        raise Refused(
            ASKED, f"the blocks of {config.model_type} end in a norm: with zeroed outputs they still change", "use lora"
        )


def _identity(block: nn.Module, ends: set[nn.Module], config: Any) -> nn.Module:
    """A copy of the block, without its stand-in and with the same configuration, whose layers in `ends` give zeros."""
    stand_in = vars(block).pop("forward", None)
    try:
        made = copy.deepcopy(block, {id(config): config})
    finally:
        if stand_in is not None:
            vars(block)["forward"] = stand_in
    for own, copied in zip(block.modules(), made.modules(), strict=True):
        if own in ends:
            for each in copied.parameters():
                nn.init.zeros_(each)
    return made
