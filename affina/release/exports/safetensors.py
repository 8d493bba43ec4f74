"""The merged model as transformers loads it, a new head in the library's own form where that computes the same."""

from pathlib import Path
from typing import ClassVar, Literal

from affina.core.export import Bounds, Export, Exportable, Served


class Safetensors(Export):
    """A whole model's folder with what was learnt folded in: config, weights, tokenizer, chat template."""

    engine: ClassVar[str] = "transformers"

    dtype: Literal["float32", "float16", "bfloat16"] = "float32"
    """Of the weights. In float32 a merge loses nothing; rounding it to 16 bits moves the answers a little."""

    @property
    def bounds(self) -> Bounds:
        return {
            "float32": Bounds(logits=1e-3, greedy=True),
            "float16": Bounds(logits=1e-2, greedy=True),
            "bfloat16": Bounds(kl=5e-3),
        }[self.dtype]

    def write(self, source: Exportable, folder: Path) -> None:
        from affina.engine.torch import headed

        assert source.merged is not None, "it is written from a merged model"
        headed.write(source.merged, folder, self.dtype)

    def open(self, folder: Path) -> Served:
        from affina.engine.torch import library

        return library.whole(folder)
