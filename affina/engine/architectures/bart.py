"""BART (Lewis et al., 2020): an encoder and a decoder with learnt positions and byte-level tokens."""

from collections.abc import Mapping
from typing import Any, ClassVar

from affina.core.kinds import Architecture


class Bart(Architecture):
    """BART (Lewis et al., 2020): an encoder and a decoder with learnt positions and byte-level tokens."""

    family: ClassVar[str] = "BartForConditionalGeneration"
    named: ClassVar = {
        "bos_token": "<s>", "cls_token": "<s>", "pad_token": "<pad>", "eos_token": "</s>", "sep_token": "</s>",
        "unk_token": "<unk>", "mask_token": "<mask>",
    }  # fmt: skip
    form: ClassVar[str] = "<s> $A </s>"
    pair: ClassVar[str] = "<s> $A </s> </s> $B </s>"

    def config(self, ids: Mapping[str, int], vocabulary: int) -> dict[str, Any]:
        sides = {
            f"{side}_{name}": value
            for side in ("encoder", "decoder")
            for name, value in {
                "layers": self.layers,
                "attention_heads": self.heads,
                "ffn_dim": self.inner or 4 * self.width,
            }.items()
        }
        return {
            **sides,
            "model_type": "bart",
            "is_encoder_decoder": True,
            "decoder_start_token_id": ids["eos_token"],
            "forced_eos_token_id": ids["eos_token"],
            "d_model": self.width,
            "max_position_embeddings": self.context,
            "dropout": self.dropout,
            "attention_dropout": self.dropout,
        }
