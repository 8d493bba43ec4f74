"""Low-rank adaptation (LoRA, Hu et al., 2021): frozen layers with trainable thin products beside them."""

import json
import math
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from affina.core.errors import Refused
from affina.core.kinds import Tuning
from affina.training.peft_file import task_type

if TYPE_CHECKING:
    import torch

FUSED_RANK = 512
"""The largest with which three layers of one input still have a fused form."""


class Lora(Tuning):
    """Trains rank·(in + out) numbers per chosen matrix (Hu et al., 2021). Written in PEFT's format."""

    learning_rate: ClassVar[float] = 5e-4

    rank: int = Field(16, ge=1)
    """Width of the thin matrices."""
    alpha: float = Field(32.0, gt=0)
    """The product is scaled by alpha / rank, or by alpha / √rank with `rslora`."""
    rslora: bool = False
    """Scale by alpha / √rank, which keeps large ranks learning (rsLoRA, Kalajdzievski, 2023)."""
    lora_plus: float = Field(1.0, ge=1)
    """How many times A's learning rate B gets (LoRA+, Hayou et al., 2024, who recommend 16)."""
    dora: bool = False
    """Train the length of each row of the changed matrix too (DoRA, Liu et al., 2024); without fused kernels."""
    dropout: float = Field(0.0, ge=0, lt=1)
    """Share of the thin product's input left out in training, anew for every pass. Layers that read the same (queries,
    keys and values; gate and up) leave out the same numbers of it in fused blocks, numbers of their own elsewhere."""
    targets: Literal["all-linear"] | list[str] = "all-linear"
    """Which layers: every linear one but the output head, or those whose name ends in one of these or, where it has a
    `*`, is one as a whole: `q_proj`, `*.layers.1?.*_proj`."""

    def fuses(self, after_sums: bool) -> bool:
        return not self.dora and self.rank <= FUSED_RANK

    def apply(self, model: "torch.nn.Module") -> None:
        from affina.engine.torch.low_rank import Decomposed, LowRank

        kind = Decomposed if self.dora else LowRank
        scale = self.alpha / (math.sqrt(self.rank) if self.rslora else self.rank)
        for name, layer in self._chosen(model):
            parent, _, leaf = name.rpartition(".")
            setattr(model.get_submodule(parent), leaf, kind(self.beneath(layer), self.rank, scale, self.dropout))

    def beneath(self, layer: Any) -> "torch.nn.Module":
        """The frozen layer as it stays below its product."""
        kept: torch.nn.Module = layer
        return kept

    def scales(self, model: "torch.nn.Module") -> dict[str, float]:
        names = [name for name, _ in model.named_parameters() if name.endswith(".lora_B")]
        return dict.fromkeys(names, self.lora_plus) if self.lora_plus > 1 else {}

    def count(self, model: "torch.nn.Module") -> int:
        from affina.engine.torch.low_rank import LowRank, shape

        layers = [each.base for each in model.modules() if isinstance(each, LowRank)]
        return sum(self.rank * sum(shape(layer)) + self.dora * shape(layer)[0] for layer in layers)

    def merge(self, model: "torch.nn.Module") -> None:
        from affina.engine.torch.low_rank import LowRank, fold

        fold(model, LowRank)

    def write(self, model: "torch.nn.Module", folder: Path, base: Path) -> None:
        from affina.engine.torch import tensor_file
        from affina.engine.torch.low_rank import LowRank

        adapted = {name: each for name, each in model.named_modules() if isinstance(each, LowRank)}
        tensors = {
            f"base_model.model.{name}.{part}.weight": getattr(each, part)
            for name, each in adapted.items()
            for part in ("lora_A", "lora_B")
        }
        if self.dora:
            lengths = {name: each.get_parameter("lora_magnitude_vector") for name, each in adapted.items()}
            tensors |= {f"base_model.model.{name}.lora_magnitude_vector": each for name, each in lengths.items()}
        tensor_file.write(tensors, folder / "adapter_model.safetensors", {"format": "pt"})
        config = json.dumps(self._peft_config(model, sorted(adapted), base), indent=1)
        (folder / "adapter_config.json").write_text(config, encoding="utf-8")

    def _peft_config(self, model: "torch.nn.Module", names: list[str], base: Path) -> dict[str, Any]:
        bases: Any = [model.get_submodule(name).base for name in names]
        return {
            "peft_type": "LORA",
            "task_type": task_type(model),
            "base_model_name_or_path": str(base),
            "r": self.rank,
            "lora_alpha": self.alpha,
            "lora_dropout": self.dropout,
            "use_rslora": self.rslora,
            "use_dora": self.dora,
            "target_modules": names,
            "bias": "none",
            "fan_in_fan_out": "Conv1D" in [getattr(each, "kind", type(each).__name__) for each in bases],
            "inference_mode": True,
        }

    def _chosen(self, model: "torch.nn.Module") -> list[tuple[str, Any]]:
        from affina.engine.torch.low_rank import is_linear

        head = _head(model)
        linear = [(name, each) for name, each in model.named_modules() if is_linear(each) and each is not head]
        if self.targets == "all-linear":
            return linear
        unknown = [end for end in self.targets if not any(_ends(name, [end]) for name, _ in linear)]
        if unknown or not self.targets:
            ends, why = sorted({name.rpartition(".")[2] for name, _ in linear}), _kept_whole(model, unknown)
            found = "is not adapted" if why else "names no layer of this base"
            raise Refused(
                f"tuning.targets: {', '.join(unknown) or 'nothing'} {found}", why, f"it has {', '.join(ends)}"
            )
        return [(name, each) for name, each in linear if _ends(name, self.targets)]


def _ends(name: str, targets: list[str]) -> bool:
    return any(fnmatchcase(name, end) if "*" in end else name == end or name.endswith(f".{end}") for end in targets)


def _kept_whole(model: Any, targets: list[str]) -> str:
    """Why what these name stays as it is, where they name the embeddings or the output head; else empty."""
    head, words = _head(model), model.get_input_embeddings()
    if not any(each in (head, words) and _ends(name, targets) for name, each in model.named_modules()):
        return ""
    tied = head is not None and getattr(model.config.get_text_config(), "tie_word_embeddings", False)
    return "one table is both its embeddings and its output head" if tied else "embeddings and output head stay whole"


def _head(model: Any) -> Any:
    """The output embedding, whatever its family calls it; None where the model ends in hidden states."""
    return model.get_output_embeddings()
