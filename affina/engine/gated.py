"""What decoders with rotary positions and a gated feed-forward part share: grouped heads and their configuration."""

from collections.abc import Mapping
from typing import Any, ClassVar, Self

from pydantic import Field, model_validator

from affina.core.kinds import Architecture


class Gated(Architecture):
    """A decoder with rotary positions, RMS norms, grouped heads and a gated feed-forward part."""

    named: ClassVar = {"unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>"}
    form: ClassVar[str] = "<s> $A"
    pair: ClassVar[str] = "<s> $A <s>:1 $B:1"

    groups: int | None = Field(None, ge=1)
    """Heads of keys and values; they divide `heads`, and are as many when left out."""

    def config(self, ids: Mapping[str, int], vocabulary: int) -> dict[str, Any]:
        return {
            "hidden_size": self.width,
            "intermediate_size": self.inner or -(-8 * self.width // 3 // 32) * 32,  # a multiple of 32, rounded up
            "num_hidden_layers": self.layers,
            "num_attention_heads": self.heads,
            "num_key_value_heads": self.groups or self.heads,
            "head_dim": self.width // self.heads,
            "max_position_embeddings": self.context,
            "attention_dropout": self.dropout,
            "tie_word_embeddings": True,
        }

    @model_validator(mode="after")
    def _whole_groups(self) -> Self:
        if self.heads % (self.groups or 1):
            raise ValueError(f"{self.groups} groups do not divide {self.heads} heads")
        if self.width // self.heads % 2:
            raise ValueError(
                f"rotary positions turn pairs of numbers: {self.width} / {self.heads} heads is odd; take other heads"
            )
        return self
