"""BERT (Devlin et al., 2019): an encoder that learns to say hidden words, and heads put on it."""

from collections.abc import Mapping
from typing import Any, ClassVar

from affina.core.kinds import Architecture


class Bert(Architecture):
    """BERT (Devlin et al., 2019): an encoder that learns to say hidden words, and heads put on it."""

    family: ClassVar[str] = "BertForMaskedLM"
    named: ClassVar = {
        "pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]", "mask_token": "[MASK]",
    }  # fmt: skip
    form: ClassVar[str] = "[CLS] $A [SEP]"
    pair: ClassVar[str] = "[CLS] $A [SEP] $B:1 [SEP]:1"
    usual: ClassVar[str] = "wordpiece"

    def config(self, ids: Mapping[str, int], vocabulary: int) -> dict[str, Any]:
        return {
            "model_type": "bert",
            "hidden_size": self.width,
            "intermediate_size": self.inner or 4 * self.width,
            "num_hidden_layers": self.layers,
            "num_attention_heads": self.heads,
            "max_position_embeddings": self.context,
            "hidden_dropout_prob": self.dropout,
            "attention_probs_dropout_prob": self.dropout,
        }
