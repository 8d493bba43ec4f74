"""Bottlenecks in every block: Houlsby et al. (2019), Pfeiffer et al. (2021) or, in parallel, He et al. (2022)."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from affina.core.errors import Refused
from affina.core.kinds import Tuning

if TYPE_CHECKING:
    import torch

    from affina.engine.torch.bottleneck import Bottleneck
    from affina.engine.torch.sublayers import Sublayers

PARALLEL_SCALE = 4.0  # He et al. (2022), §4.5
TENSORS, SETTINGS = "adapter.safetensors", "adapter.json"


class Adapter(Tuning):
    """Narrow two-layer networks in every block; the base stays, its norms too (Houlsby et al. train these).

    Written as adapter.safetensors, tensors under their names in the model, and adapter.json, these fields: PEFT has no
    such method. Of a decoder that reads an encoder, attention to the encoder gets none.
    """

    learning_rate: ClassVar[float] = 1e-3

    kind: Literal["sequential", "residual", "parallel"] = "residual"
    """`sequential`: after attention and after the inner layer, each read and added to before the residual sum and the
    base's own dropout; `residual`: one per block, of the residual stream after the inner layer's sum (in a post-norm
    block of that sum's norm, and added before it); `parallel`: beside the inner layer, of its input."""
    size: int = Field(64, ge=1)
    """Width of the bottleneck."""
    scale: float | None = Field(None, gt=0)
    """What its output is multiplied by; when left out 4 where it is `parallel`, as its paper has it, and else 1."""
    activation: Literal["relu", "gelu", "silu"] = "gelu"
    """What stands between its two layers. All units of a narrow bottleneck may be dead to begin with under `relu`."""
    dropout: float = Field(0.0, ge=0, lt=1)
    """Share of the bottleneck left out in training."""

    def fuses(self, after_sums: bool) -> bool:
        return self.kind == "residual" and not after_sums

    def apply(self, model: "torch.nn.Module") -> None:
        from affina.engine.torch.bottleneck import After, Beside, InNorm, after_block
        from affina.engine.torch.sublayers import sublayers

        for each in sublayers(model, f"tuning adapter, {self.kind}"):
            last = model.get_submodule(each.inner[1])
            if self.kind == "parallel":
                first = model.get_submodule(each.inner[0])
                model.set_submodule(each.inner[1], Beside(last, self._made(model, each), first))
            elif self.kind == "sequential":
                for name in (each.attention, each.inner[1]):
                    model.set_submodule(name, After(model.get_submodule(name), self._made(model, each)))
            elif each.after_sum is not None:
                norm = model.get_submodule(each.after_sum)
                model.set_submodule(each.after_sum, InNorm(norm, self._made(model, each)))
            else:
                after_block(model.get_submodule(each.block), self._made(model, each))

    def count(self, model: "torch.nn.Module") -> int:
        """2 · width · size and two biases, once or (`sequential`) twice a block."""
        from affina.engine.torch.low_rank import shape

        places = {name.rpartition(".")[0]: each for name, each in self._adapters(model)}
        return sum(2 * shape(each.up)[0] * self.size + shape(each.up)[0] + self.size for each in places.values())

    def merge(self, model: "torch.nn.Module") -> None:
        why = "between its two layers stands a function that is not linear, which no weight of the base can hold"
        raise Refused(
            f"merging adapters ({self.kind}) into their base", why, "keep adapter.safetensors beside the base"
        )

    def write(self, model: "torch.nn.Module", folder: Path, base: Path) -> None:
        from affina.engine.torch import tensor_file

        tensors = {
            f"{name}.{part}": each
            for name, adapter in self._adapters(model)
            for part, each in adapter.named_parameters()
        }
        tensor_file.write(tensors, folder / TENSORS, {"format": "pt"})
        told = {"base": str(base), **self.model_dump(), "scale": self._scale}
        (folder / SETTINGS).write_text(json.dumps(told, indent=1), encoding="utf-8")

    @property
    def _scale(self) -> float:
        usual = PARALLEL_SCALE if self.kind == "parallel" else 1.0
        return usual if self.scale is None else self.scale

    def _made(self, model: "torch.nn.Module", where: "Sublayers") -> "Bottleneck":
        from affina.engine.torch.bottleneck import Bottleneck
        from affina.engine.torch.low_rank import shape

        last: Any = model.get_submodule(where.inner[1])
        made = Bottleneck(shape(last)[0], self.size, self._scale, self.activation, self.dropout)
        return made.to(last.weight.device)

    def _adapters(self, model: "torch.nn.Module") -> "Iterator[tuple[str, Bottleneck]]":
        from affina.engine.torch.bottleneck import Bottleneck

        yield from ((name, each) for name, each in model.named_modules() if isinstance(each, Bottleneck))
