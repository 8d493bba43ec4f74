"""DistilBERT (Sanh et al., 2019): BERT without token types and pooler."""

from collections.abc import Mapping
from typing import Any, ClassVar

from affina.core.kinds import Architecture


class DistilBert(Architecture):
    """DistilBERT (Sanh et al., 2019): BERT without token types and pooler."""

    family: ClassVar[str] = "DistilBertForMaskedLM"
    named: ClassVar = {
        "pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]", "mask_token": "[MASK]",
    }  # fmt: skip
    form: ClassVar[str] = "[CLS] $A [SEP]"
    pair: ClassVar[str] = "[CLS] $A [SEP] $B:1 [SEP]:1"
    usual: ClassVar[str] = "wordpiece"

    def config(self, ids: Mapping[str, int], vocabulary: int) -> dict[str, Any]:
        return {
            "model_type": "distilbert",
            "dim": self.width,
            "hidden_dim": self.inner or 4 * self.width,
            "n_layers": self.layers,
            "n_heads": self.heads,
            "max_position_embeddings": self.context,
            "dropout": self.dropout,
            "attention_dropout": self.dropout,
        }
