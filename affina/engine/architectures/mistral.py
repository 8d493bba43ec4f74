"""Mistral 7B's family (Jiang et al., 2023), with full attention: as LLaMA, usually with grouped heads."""

from collections.abc import Mapping
from typing import Any, ClassVar

from affina.engine.gated import Gated


class Mistral(Gated):
    """Mistral 7B's family (Jiang et al., 2023), with full attention: as LLaMA, usually with grouped heads."""

    family: ClassVar[str] = "MistralForCausalLM"

    def config(self, ids: Mapping[str, int], vocabulary: int) -> dict[str, Any]:
        return {**super().config(ids, vocabulary), "model_type": "mistral", "sliding_window": None}
