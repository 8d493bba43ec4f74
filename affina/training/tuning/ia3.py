"""(IA)³: learned vectors that multiply keys, values and the inner layer (Liu et al., 2022)."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from affina.core.errors import Refused
from affina.core.kinds import Tuning
from affina.training.peft_file import task_type

if TYPE_CHECKING:
    import torch


class Ia3(Tuning):
    """One vector per block on keys, on values and on what enters the inner layer's last product (Liu et al., 2022).

    Where one layer makes queries, keys and values (GPT-2), its whole output is scaled, as PEFT does. In PEFT's format.
    """

    learning_rate: ClassVar[float] = 3e-3

    def fuses(self, after_sums: bool) -> bool:
        return False

    def apply(self, model: "torch.nn.Module") -> None:
        from affina.engine.torch.scaled import Scaled
        from affina.engine.torch.sublayers import sublayers

        for each in sublayers(model, "tuning ia3"):
            if not each.keys_values:
                why = f"the keys and values of {each.block} are not where they are known to be"
                raise Refused("tuning ia3", why, "use lora")
            for name in each.keys_values:
                model.set_submodule(name, Scaled(model.get_submodule(name), inner=False))
            model.set_submodule(each.inner[1], Scaled(model.get_submodule(each.inner[1]), inner=True))

    def count(self, model: "torch.nn.Module") -> int:
        from affina.engine.torch.low_rank import shape
        from affina.engine.torch.scaled import Scaled

        return sum(shape(each.base)[each.inner] for each in model.modules() if isinstance(each, Scaled))

    def merge(self, model: "torch.nn.Module") -> None:
        from affina.engine.torch.low_rank import fold
        from affina.engine.torch.scaled import Scaled

        fold(model, Scaled)

    def write(self, model: "torch.nn.Module", folder: Path, base: Path) -> None:
        from affina.engine.torch import tensor_file
        from affina.engine.torch.scaled import Scaled

        scaled = {name: each for name, each in model.named_modules() if isinstance(each, Scaled)}
        tensors = {f"base_model.model.{name}.ia3_l": each.ia3_l for name, each in scaled.items()}
        tensor_file.write(tensors, folder / "adapter_model.safetensors", {"format": "pt"})
        config = {
            "peft_type": "IA3",
            "task_type": task_type(model),
            "base_model_name_or_path": str(base),
            "target_modules": sorted(scaled),
            "feedforward_modules": sorted(name for name, each in scaled.items() if each.inner),
            "fan_in_fan_out": any(type(each.base).__name__ == "Conv1D" for each in scaled.values()),
            "inference_mode": True,
        }
        (folder / "adapter_config.json").write_text(json.dumps(config, indent=1), encoding="utf-8")
