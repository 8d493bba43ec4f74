"""XLNet (Yang et al., 2019): words said in a drawn order, relative positions; <sep> and <cls> stand at a text's end."""

from collections.abc import Mapping
from typing import Any, ClassVar

from affina.core.kinds import Architecture


class XLNet(Architecture):
    """XLNet (Yang et al., 2019): words said in a drawn order, relative positions; <sep> and <cls> at a text's end."""

    family: ClassVar[str] = "XLNetLMHeadModel"
    named: ClassVar = {
        "unk_token": "<unk>", "bos_token": "<s>", "cls_token": "<cls>", "sep_token": "<sep>", "pad_token": "<pad>",
        "mask_token": "<mask>",
    }  # fmt: skip
    more: ClassVar = ("<eod>", "<eop>")
    form: ClassVar[str] = "$A <sep> <cls>"
    pair: ClassVar[str] = "$A <sep> $B:1 <sep>:1 <cls>:2"
    usual: ClassVar[str] = "unigram"

    def config(self, ids: Mapping[str, int], vocabulary: int) -> dict[str, Any]:
        return {
            "model_type": "xlnet",
            "eos_token_id": ids["cls_token"],
            "d_model": self.width,
            "d_inner": self.inner or 4 * self.width,
            "d_head": self.width // self.heads,
            "n_layer": self.layers,
            "n_head": self.heads,
            "n_positions": self.context,
            "dropout": self.dropout,
        }
