"""P-tuning (Liu et al., 2021): states before every row that a small network makes, so that they learn together."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from affina.core.errors import Refused
from affina.training.virtual import Ahead, one_stack

if TYPE_CHECKING:
    import torch


class PTuning(Ahead):
    """Trains a table of `tokens` states and the network they go through. Written in PEFT's format, as one table."""

    learning_rate: ClassVar[float] = 1e-3

    encoder_type: Literal["mlp", "lstm"] = "mlp"
    """Three linear layers, or a two-way LSTM and two linear layers as in the paper."""
    hidden: int | None = Field(None, ge=1)
    """The network's inner width; None: the base's own width."""
    layers: int = Field(2, ge=1)
    """Of the LSTM."""
    dropout: float = Field(0.0, ge=0, lt=1)
    """Between layers of the LSTM."""

    def apply(self, model: "torch.nn.Module") -> None:
        from affina.engine.torch import virtual

        one_stack(self, model)
        if self.encoder_type == "mlp" and (self.layers, self.dropout) != (2, 0.0):
            why = "they are of the LSTM alone"
            raise Refused("tuning.layers and tuning.dropout", why, "set tuning.encoder_type: lstm, or leave them out")
        width, inner = self._sizes(model)
        if self.encoder_type == "mlp":
            virtual.prompt(model, virtual.Layered(self.tokens, width, inner))
        else:
            virtual.prompt(model, virtual.Recurrent(self.tokens, width, inner, self.layers, self.dropout))

    def count(self, model: "torch.nn.Module") -> int:
        width, inner = self._sizes(model)
        table = self.tokens * width
        if self.encoder_type == "mlp":
            return table + (width + 1) * inner + (inner + 1) * inner + (inner + 1) * width
        both = 2 * inner
        gates = sum(2 * 4 * inner * ((both if layer else width) + inner + 2) for layer in range(self.layers))
        return table + gates + (both + 1) * both + (both + 1) * width

    def _sizes(self, model: Any) -> tuple[int, int]:
        width = int(model.get_input_embeddings().embedding_dim)
        return width, self.hidden or width

    def peft(self, model: "torch.nn.Module", base: Path) -> dict[str, Any]:
        return {
            "peft_type": "P_TUNING",
            "encoder_reparameterization_type": self.encoder_type.upper(),
            "encoder_hidden_size": self._sizes(model)[1],
            "encoder_num_layers": self.layers,
            "encoder_dropout": self.dropout,
        }
