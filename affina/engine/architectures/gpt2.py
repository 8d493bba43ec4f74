"""GPT-2 (Radford et al., 2019): learnt positions, norms before each part; texts are only closed, never opened."""

from collections.abc import Mapping
from typing import Any, ClassVar

from affina.core.kinds import Architecture


class GPT2(Architecture):
    """GPT-2 (Radford et al., 2019): learnt positions, norms before each part; texts are only closed, never opened."""

    family: ClassVar[str] = "GPT2LMHeadModel"
    named: ClassVar = {
        "unk_token": "<|endoftext|>", "bos_token": "<|endoftext|>", "eos_token": "<|endoftext|>",
        "pad_token": "<|pad|>",
    }  # fmt: skip

    def config(self, ids: Mapping[str, int], vocabulary: int) -> dict[str, Any]:
        return {
            "model_type": "gpt2",
            "n_embd": self.width,
            "n_inner": self.inner,
            "n_layer": self.layers,
            "n_head": self.heads,
            "n_positions": self.context,
            "embd_pdrop": self.dropout,
            "attn_pdrop": self.dropout,
            "resid_pdrop": self.dropout,
        }
