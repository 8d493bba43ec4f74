"""QLoRA (Dettmers et al., 2023): low-rank adaptation of a base whose linear layers are kept in 4 or 8 bits."""

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from affina.core.errors import Refused
from affina.training.tuning.lora import Lora

if TYPE_CHECKING:
    import torch


class Qlora(Lora):
    """LoRA beside linear layers in few bits, products in the run's precision. Embeddings, norms and head stay whole."""

    learning_rate: ClassVar[float] = 2e-4
    starts_as_base: ClassVar[bool] = False

    quant: Literal["nf4", "int8"] = "nf4"
    """4 bits by quantiles of a normal, or 8 bits by row."""
    double: bool = True
    """Keep nf4's scales in 8 bits too: 4.13 bits per weight, not 4.5 (§3 of the paper)."""

    def fuses(self, after_sums: bool) -> bool:
        return False

    def apply(self, model: "torch.nn.Module") -> None:
        from affina.engine.torch.low_rank import is_linear

        super().apply(model)
        head = model.get_output_embeddings()  # type: ignore[operator]
        for name, layer in [*model.named_modules()]:
            if is_linear(layer) and layer is not head:
                model.set_submodule(name, self.beneath(layer))

    def beneath(self, layer: Any) -> "torch.nn.Module":
        from affina.engine.torch.quantised import Quantised

        return Quantised(layer, self.quant, self.double)

    def merge(self, model: "torch.nn.Module") -> None:
        """Raises Refused: rounding a merged weight to so few bits again would lose what was learnt."""
        raise Refused(
            f"merging the tuning qlora into its base in {self.quant}",
            why="a low-rank change is smaller than the steps between numbers of so few bits, and would be rounded away",
            instead="merge into the unquantised base: the adapter in the run's model folder is LoRA's, and fits it",
        )
