"""BitFit: the biases move and nothing else (Ben Zaken, Ravfogel & Goldberg, 2022)."""

from typing import TYPE_CHECKING, ClassVar

from affina.core.errors import Refused
from affina.training.whole import Partial

if TYPE_CHECKING:
    import torch


class BitFit(Partial):
    """Every bias moves, those of norms too, kept in float32 (Ben Zaken et al., 2022). Written as a whole model folder.

    A base without biases (Llama, Mistral, Gemma) is refused.
    """

    learning_rate: ClassVar[float] = 1e-3

    def moving(self, model: "torch.nn.Module") -> "list[torch.nn.Parameter]":
        found = [each for name, each in model.named_parameters() if name.rpartition(".")[2] == "bias"]
        if not found:
            raise Refused("tuning bitfit", "this base has no biases", "use lora, which adds what moves")
        return found
