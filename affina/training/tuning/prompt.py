"""Prompt tuning (Lester et al., 2021): a few states before every row train, and nothing else."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from affina.training.virtual import Ahead, one_stack

if TYPE_CHECKING:
    import torch


class Prompt(Ahead):
    """Trains `tokens` states of the base's width, put where a prompt's words would stand. Written in PEFT's format."""

    learning_rate: ClassVar[float] = 5e-3

    text: str = ""
    """What the prompt says at first, repeated or cut to `tokens`; empty: words drawn by the seed."""

    def apply(self, model: "torch.nn.Module") -> None:
        from affina.engine.torch import virtual

        one_stack(self, model)
        virtual.prompt(model, virtual.Table(virtual.states(model, virtual.ids(model, self.text, self.tokens))))

    def count(self, model: "torch.nn.Module") -> int:
        width: int = model.get_input_embeddings().embedding_dim  # type: ignore[operator]
        return self.tokens * width

    def peft(self, model: "torch.nn.Module", base: Path) -> dict[str, Any]:
        said = {
            "prompt_tuning_init": "TEXT", "prompt_tuning_init_text": self.text, "tokenizer_name_or_path": str(base),
        }  # fmt: skip
        return {"peft_type": "PROMPT_TUNING", **(said if self.text else {"prompt_tuning_init": "SAMPLE_VOCAB"})}
