"""RoBERTa (Liu et al., 2019): BERT with byte-level tokens, and without token types."""

from collections.abc import Mapping
from typing import Any, ClassVar

from affina.core.kinds import Architecture


class Roberta(Architecture):
    """RoBERTa (Liu et al., 2019): BERT with byte-level tokens, and without token types."""

    family: ClassVar[str] = "RobertaForMaskedLM"
    named: ClassVar = {
        "bos_token": "<s>", "cls_token": "<s>", "pad_token": "<pad>", "eos_token": "</s>", "sep_token": "</s>",
        "unk_token": "<unk>", "mask_token": "<mask>",
    }  # fmt: skip
    form: ClassVar[str] = "<s> $A </s>"
    pair: ClassVar[str] = "<s> $A </s> </s> $B </s>"

    def config(self, ids: Mapping[str, int], vocabulary: int) -> dict[str, Any]:
        return {
            "model_type": "roberta",
            "hidden_size": self.width,
            "intermediate_size": self.inner or 4 * self.width,
            "num_hidden_layers": self.layers,
            "num_attention_heads": self.heads,
            "max_position_embeddings": self.context + ids["pad_token"] + 1,  # positions begin behind the padding's
            "type_vocab_size": 1,
            "hidden_dropout_prob": self.dropout,
            "attention_probs_dropout_prob": self.dropout,
        }
