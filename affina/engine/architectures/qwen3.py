"""Qwen3 (Yang et al., 2025): as LLaMA, with norms on queries and keys, and no token that opens a text."""

from collections.abc import Mapping
from typing import Any, ClassVar

from affina.engine.gated import Gated


class Qwen3(Gated):
    """Qwen3 (Yang et al., 2025): as LLaMA, with norms on queries and keys, and no token that opens a text."""

    family: ClassVar[str] = "Qwen3ForCausalLM"
    named: ClassVar = {"unk_token": "<unk>", "eos_token": "<|endoftext|>", "pad_token": "<|pad|>"}
    more: ClassVar = ("<|im_start|>", "<|im_end|>")
    form: ClassVar[str] = "$A"

    def config(self, ids: Mapping[str, int], vocabulary: int) -> dict[str, Any]:
        return {**super().config(ids, vocabulary), "model_type": "qwen3"}
