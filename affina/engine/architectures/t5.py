"""T5 (Raffel et al., 2020): an encoder and a decoder with relative positions; sentinels mark what is left out."""

from collections.abc import Mapping
from typing import Any, ClassVar

from affina.core.kinds import Architecture


class T5(Architecture):
    """T5 (Raffel et al., 2020): an encoder and a decoder with relative positions; sentinels mark what is left out."""

    family: ClassVar[str] = "T5ForConditionalGeneration"
    named: ClassVar = {"pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}
    more: ClassVar = tuple(f"<extra_id_{number}>" for number in range(100))
    form: ClassVar[str] = "$A </s>"
    pair: ClassVar[str] = "$A </s> $B </s>"
    usual: ClassVar[str] = "unigram"

    def config(self, ids: Mapping[str, int], vocabulary: int) -> dict[str, Any]:
        return {
            "model_type": "t5",
            "is_encoder_decoder": True,
            "decoder_start_token_id": ids["pad_token"],
            "d_model": self.width,
            "d_ff": self.inner or 4 * self.width,
            "d_kv": self.width // self.heads,
            "num_layers": self.layers,
            "num_decoder_layers": self.layers,
            "num_heads": self.heads,
            "n_positions": self.context,
            "dropout_rate": self.dropout,
        }
