"""LLaMA (Touvron et al., 2023): rotary positions, RMS norms, a gated feed-forward part."""

from collections.abc import Mapping
from typing import Any, ClassVar

from affina.engine.gated import Gated


class Llama(Gated):
    """LLaMA (Touvron et al., 2023): rotary positions, RMS norms, a gated feed-forward part."""

    family: ClassVar[str] = "LlamaForCausalLM"

    def config(self, ids: Mapping[str, int], vocabulary: int) -> dict[str, Any]:
        return {**super().config(ids, vocabulary), "model_type": "llama"}
