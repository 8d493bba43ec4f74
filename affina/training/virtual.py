"""Tunings whose only trained numbers stand before every row, as virtual tokens; the base stays as it is."""

import json
from abc import abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from affina.core.errors import Refused
from affina.core.kinds import Tuning
from affina.training.peft_file import task_type

if TYPE_CHECKING:
    import torch


class Ahead(Tuning):
    """A tuning of virtual tokens; written as PEFT writes it, whatever made the numbers folded into a table."""

    starts_as_base: ClassVar[bool] = False

    tokens: int = Field(20, ge=1)
    """How many virtual tokens stand before every row."""

    def write(self, model: "torch.nn.Module", folder: Path, base: Path) -> None:
        from affina.engine.torch import tensor_file

        tensor_file.write(
            {"prompt_embeddings": self._table(model)}, folder / "adapter_model.safetensors", {"format": "pt"}
        )
        config = json.dumps({**_common(self, model, base), **self.peft(model, base)}, indent=1)
        (folder / "adapter_config.json").write_text(config, encoding="utf-8")

    def merge(self, model: "torch.nn.Module") -> None:
        """Raises Refused: there is no weight to merge into."""
        raise Refused(
            f"merging the tuning {self.name} into its base",
            why="virtual tokens are inputs, not weights",
            instead="load the base and beside it the adapter in the run's model folder",
        )

    def size_bytes(self, model: "torch.nn.Module", base: Path) -> int:
        table = self._table(model)
        return table.numel() * table.element_size()

    def _table(self, model: "torch.nn.Module") -> "torch.Tensor":
        """What the encoder makes, without dropout."""
        encoder = self.encoder(model)
        encoder.eval()
        made: torch.Tensor = encoder().detach()
        return made

    def encoder(self, model: Any) -> Any:
        """What gives the virtual tokens' numbers."""
        return model.get_input_embeddings().encoder

    @abstractmethod
    def peft(self, model: "torch.nn.Module", base: Path) -> dict[str, Any]:
        """The method's own settings in PEFT's file."""


def _common(tuning: Ahead, model: Any, base: Path) -> dict[str, Any]:
    config = model.config.get_text_config()
    return {
        "task_type": task_type(model),
        "base_model_name_or_path": str(base),
        "num_virtual_tokens": tuning.tokens,
        "num_transformer_submodules": 1,
        "num_layers": config.num_hidden_layers,
        "num_attention_heads": config.num_attention_heads,
        "token_dim": model.get_input_embeddings().embedding_dim,
        "inference_mode": True,
    }


def one_stack(tuning: Tuning, model: Any) -> None:
    """Raises Refused for an encoder with a decoder behind it: rows are the decoder's, and it would read them there."""
    if model.get_output_embeddings() is not None and model.config.is_encoder_decoder:
        raise Refused(
            f"the tuning {tuning.name} on {model.config.model_type}",
            why="it is an encoder and a decoder, and virtual tokens would stand before what is decoded alone",
            instead="choose the tuning lora",
        )
