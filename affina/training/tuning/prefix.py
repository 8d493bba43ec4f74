"""Prefix tuning (Li & Liang, 2021): keys and values before every row train, in every layer, and nothing else."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from affina.core.errors import Refused
from affina.training.virtual import Ahead, one_stack

if TYPE_CHECKING:
    import torch


class Prefix(Ahead):
    """Trains keys and values of `tokens` virtual tokens per layer, without fused kernels. Written in PEFT's format."""

    learning_rate: ClassVar[float] = 1e-3

    text: str = ""
    """What the keys and values are of at first, repeated or cut to `tokens`; empty: words drawn by the seed."""
    projection: int | None = Field(None, ge=1)
    """Inner width of the two layers that make them from a small table (§4.3 of the paper, 512 or 800 there); they start
    at random then. None: they train themselves."""

    def fuses(self, after_sums: bool) -> bool:
        return False

    def apply(self, model: "torch.nn.Module") -> None:
        import torch

        from affina.engine.torch import virtual

        self._possible(model)
        pairs = virtual.keys_and_values(model, virtual.ids(model, self.text, self.tokens))
        heads, _, width = pairs[0][0].shape
        if self.projection:
            out = 2 * len(pairs) * heads * width
            virtual.prefix(model, virtual.Projected(self.tokens, heads * width, self.projection, out), heads)
            return
        columns = [each.transpose(0, 1).flatten(1) for pair in pairs for each in pair]
        virtual.prefix(model, virtual.Table(torch.cat(columns, 1)), heads)

    def _possible(self, model: Any) -> None:
        from affina.engine.torch import attention, family, virtual

        if self.projection and self.text:
            why = "what two layers make starts at random"
            raise Refused("tuning.text beside tuning.projection", why, "leave one of them out")
        one_stack(self, model)
        kind, instead = f"the tuning prefix on {model.config.model_type}", "choose the tuning prompt"
        if not attention.chosen(model.config):
            padded = "its rows are padded, and the library's own attention takes no keys from outside"
            own = "its attention is its own and takes no keys from outside"
            raise Refused(kind, padded if family.replaceable(type(model)) else own, instead)
        if not any(getattr(layer, "is_causal", False) for layer in virtual.attending(model)):
            raise Refused(kind, "this encoder has no key cache, in which other tools put a prefix", instead)

    def count(self, model: "torch.nn.Module") -> int:
        heads, each = self._sizes(model)
        width = heads * each
        config: Any = model.config
        whole: int = 2 * config.get_text_config().num_hidden_layers * width
        if self.projection is None:
            return self.tokens * whole
        return self.tokens * width + (width + 1) * self.projection + (self.projection + 1) * whole

    def _sizes(self, model: Any) -> tuple[int, int]:
        """Heads that have keys of their own in a layer, and the width of each."""
        config = model.config.get_text_config()
        heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
        return heads, getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads

    def peft(self, model: "torch.nn.Module", base: Path) -> dict[str, Any]:
        heads, width = self._sizes(model)
        return {
            "peft_type": "PREFIX_TUNING", "num_attention_heads": heads, "token_dim": heads * width,
            "prefix_projection": False,
        }  # fmt: skip
