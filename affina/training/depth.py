"""Where a parameter stands in a model: in which block, below the blocks, or above them."""

import re
from typing import TYPE_CHECKING

from affina.core.errors import Refused

if TYPE_CHECKING:
    import torch


def places(model: "torch.nn.Module", asked: str) -> tuple[dict[str, int], int]:
    """Every parameter's place by name, and the number of blocks n: its block's number from 0, -1 below, n above.

    Below stand embedding tables outside the blocks, and modules of embeddings whole, their norms with them; above,
    all else. Raises Refused, naming what was `asked`, for a model without a list of blocks.
    """
    from affina.engine.torch.blocks import blocks_of

    count = int(model.config.get_text_config().num_hidden_layers)  # type: ignore[operator, union-attr]
    blocks = blocks_of(model, count)
    if not blocks:
        raise Refused(asked, "one block stands at all depths of this base", "use lora or full")
    within = {id(each): place for place, block in enumerate(blocks) for each in block.parameters()}
    tables = [each for name, each in model.named_modules() if _is_table(name, each)]
    below = {id(each) for table in tables for each in table.parameters()}
    found = {}
    for name, each in model.named_parameters():
        found[name] = within.get(id(each), -1 if id(each) in below else count)
    return found, count


def _is_table(name: str, module: "torch.nn.Module") -> bool:
    """Whether it is an embedding table, or a module of embeddings (with their norm) as encoders have them."""
    import torch

    return isinstance(module, torch.nn.Embedding) or bool(re.search(r"(^|[._])(embeddings|embed_norm|emb_norm)$", name))
