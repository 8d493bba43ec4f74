"""Dropout of a base: the recipe's shares in place of its own, by the names its family gives them."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel

from affina.core.errors import Refused

NAMES: dict[str, tuple[str, ...]] = {
    "attention": ("attention_dropout", "attention_probs_dropout_prob", "attn_pdrop"),
    "hidden": ("hidden_dropout_prob", "hidden_dropout", "resid_pdrop", "dropout_rate", "dropout"),
    "embedding": ("embd_pdrop", "emb_pdrop", "embedding_dropout"),
    "inner": ("activation_dropout", "mlp_dropout"),
}
"""The settings of a recipe, and what configurations call them."""
UNREAD = {("phi3", "embd_pdrop"), ("mpt", "resid_pdrop"), ("mpt", "emb_pdrop")}
"""In a family's configuration, but nothing of its model reads it."""


def override(config: Any, shares: Mapping[str, float | None]) -> None:
    """Writes the given shares into a base's configuration. Raises Refused for one that its family has not."""
    for setting, names in NAMES.items():
        share = shares.get(setting)
        if share is None:
            continue
        holders = _holders(config, names)
        for part, name in holders:
            setattr(part, name, share)
        if not holders:
            had = [each for each, known in NAMES.items() if _holders(config, known)]
            raise Refused(
                f"model.dropout.{setting}",
                why=f"a {config.model_type} has no such dropout",
                instead=f"it has {', '.join(had)}" if had else "leave it out: it has none at all",
            )


def before_head(head: nn.Linear | None, share: float | None) -> None:
    """Leaves out a share of what a new head reads while it learns. Raises Refused where there is no new head."""
    if share is None:
        return
    if head is None:
        raise Refused(
            "model.dropout.head", why="the model ends in its own words: no head is new", instead="leave it out"
        )

    def dropped(module: nn.Module, given: tuple[torch.Tensor, ...]) -> torch.Tensor:
        return nn.functional.dropout(given[0], share, module.training)

    head.register_forward_pre_hook(dropped)


def _holders(config: Any, names: tuple[str, ...]) -> list[tuple[Any, str]]:
    """Where in a configuration the names stand: itself, or its part about text."""
    parts = {id(part): part for part in (config, config.get_text_config())}.values()
    known = [(part, name) for part in parts for name in names if hasattr(part, name)]
    return [(part, name) for part, name in known if (config.model_type, name) not in UNREAD]


def tell(module: nn.Module, mode: bool) -> None:
    """Training, or rest: a module with a `train` of its own answers for what is below it."""
    vars(module)["training"] = mode
    for each in module._modules.values():
        if each is not None and type(each).train in (nn.Module.train, PreTrainedModel.train):
            tell(each, mode)
        elif each is not None:
            each.train(mode)
