"""Where a parameter stands in a model: in which block, below the blocks, or above them."""

import re
from typing import TYPE_CHECKING, Any

from affina.core.errors import Refused

if TYPE_CHECKING:
    import torch

TABLES = re.compile(
    r"(^|[._])(embeddings|embed_norm|emb_norm|embeddings_project|embedding_hidden_mapping_in|project_in"
    r"|layernorm_embedding|word_embeddings_layernorm|layer_norm_emb)$"
)
"""What families call modules below the blocks that are no table: of embeddings whole, and what widens them."""


def stacked(model: "torch.nn.Module", asked: str) -> "list[torch.nn.Module]":
    """The model's blocks from the lowest on: those of an encoder, then those of the decoder behind it.

    Raises Refused, naming what was `asked`, for a model without a list of blocks.
    """
    from affina.engine.torch.blocks import blocks_of

    found = [blocks_of(part, count) for part, count in _stacks(model)]
    if not all(found):
        raise Refused(asked, "one block stands at all depths of this base", "use lora or full")
    return [block for part in found for block in part]


def places(model: "torch.nn.Module", asked: str) -> tuple[dict[str, int], int]:
    """Every parameter's place by name, and the number of blocks n: its block's number from 0, -1 below, n above.

    Below stand embedding tables outside the blocks, and modules of embeddings whole, their norms with them; what else
    an encoder has is its last block's where a decoder follows; above stands all else. Raises Refused as `stacked`.
    """
    blocks = stacked(model, asked)
    within = {id(each): place for place, block in enumerate(blocks) for each in block.parameters()}
    tables = [each for name, each in model.named_modules() if _is_table(name, each)]
    below = {id(each) for table in tables for each in table.parameters()}
    stacks = _stacks(model)
    lower = {id(each) for part, _ in stacks[:-1] for each in part.parameters()}
    found = {}
    for name, each in model.named_parameters():
        above = stacks[0][1] - 1 if id(each) in lower else len(blocks)
        found[name] = within.get(id(each), -1 if id(each) in below else above)
    return found, len(blocks)


def _stacks(model: Any) -> "list[tuple[torch.nn.Module, int]]":
    """The parts of the model that have blocks, and how many; of an encoder–decoder two."""
    config = model.config.get_text_config()
    count = int(config.num_hidden_layers)
    if not config.is_encoder_decoder or model.get_output_embeddings() is None:
        return [(model, count)]
    decoded = next(getattr(config, name) for name in ("num_decoder_layers", "decoder_layers") if hasattr(config, name))
    return [(model.get_encoder(), count), (model.get_decoder(), int(decoded))]


def _is_table(name: str, module: "torch.nn.Module") -> bool:
    """Whether it is an embedding table, or another module below the blocks."""
    import torch

    return isinstance(module, torch.nn.Embedding) or bool(TABLES.search(name))
