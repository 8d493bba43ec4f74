"""Weights in 8 bits, as safetensors that affina loads again."""

from pathlib import Path
from typing import ClassVar

from affina.core.export import Bounds, Export, Exportable, Served


class Int8(Export):
    """Every matrix in whole steps of each row's largest / 127; norms and biases whole. No calibration data."""

    engine: ClassVar[str] = "affina"

    @property
    def bounds(self) -> Bounds:
        return Bounds(kl=5e-3)

    def write(self, source: Exportable, folder: Path) -> None:
        from affina.engine.torch import packed

        assert source.merged is not None, "it is written from a merged model"
        packed.write(source.merged, folder, bits=8, block=0)

    def open(self, folder: Path) -> Served:
        from affina.engine.torch import packed

        return packed.open_packed(folder)
