"""Weights in 4 bits, as safetensors that affina loads again."""

from pathlib import Path
from typing import ClassVar, Literal

from affina.core.export import Bounds, Export, Exportable, Served


class Int4(Export):
    """Every linear layer in 15 steps from each block's smallest to its largest, embeddings in 8 bits; no calibration.

    A base that comes from such steps would swallow its tuning: where rounding takes too little to be chance, a matrix
    of rank 16 in 16 bits is kept beside, or the steps are moved. Held against llama.cpp's own quantiser where that can
    write the model.
    """

    engine: ClassVar[str] = "affina"

    block: Literal[32, 64, 128] = 32
    """Numbers of a row that share a smallest and a step: 5, 4.5 or 4.25 bits a weight."""

    @property
    def bounds(self) -> Bounds:
        return Bounds(kl=0.1, times=1.1)

    def write(self, source: Exportable, folder: Path) -> None:
        from affina.engine.torch import packed

        assert source.merged is not None, "it is written from a merged model"
        packed.write(source.merged, folder, bits=4, block=self.block)

    def open(self, folder: Path) -> Served:
        from affina.engine.torch import packed

        return packed.open_packed(folder)

    def yardstick(self, source: Exportable, scratch: Path) -> Served | None:
        from affina.release.gguf.quantiser import quantised

        return quantised(source, scratch)
