"""Gemma (Gemma team, 2024): as LLaMA, with GELU gates, scaled embeddings and norms of 1 + weight."""

from collections.abc import Mapping
from typing import Any, ClassVar

from affina.engine.gated import Gated


class Gemma(Gated):
    """Gemma (Gemma team, 2024): as LLaMA, with GELU gates, scaled embeddings and norms of 1 + weight."""

    family: ClassVar[str] = "GemmaForCausalLM"
    named: ClassVar = {"pad_token": "<pad>", "eos_token": "<eos>", "bos_token": "<bos>", "unk_token": "<unk>"}
    form: ClassVar[str] = "<bos> $A"
    pair: ClassVar[str] = "<bos> $A <bos>:1 $B:1"

    def config(self, ids: Mapping[str, int], vocabulary: int) -> dict[str, Any]:
        return {**super().config(ids, vocabulary), "model_type": "gemma", "hidden_activation": "gelu_pytorch_tanh"}
