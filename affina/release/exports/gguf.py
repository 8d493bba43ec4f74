"""One GGUF file, run by llama.cpp: 32, 16, 8 or 4 bits a weight."""

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field

from affina.core.errors import Refused
from affina.core.export import Bounds, Export, Exportable, Served

NEEDED = "llama_cpp"


class Gguf(Export):
    """A GGUF file with tokenizer and chat template: Llama-, Qwen- and BERT-like bases, by the `gguf` package."""

    engine: ClassVar[str] = "llama.cpp"

    type: Literal["f32", "f16", "q8_0", "q4_0"] = "q8_0"
    """Bits of a weight matrix's numbers: 32; 16; 8 or 4, in blocks of 32 with a scale. Vectors are float32."""

    within: float = Field(1e-2, gt=0)
    """The largest difference of two logits that is let pass with `type: f16`; llama.cpp rounds what it multiplies such
    weights with to 16 bits, so that a base of large logits may need more, or `type: f32`."""

    @property
    def bounds(self) -> Bounds:
        return {
            "f32": Bounds(logits=1e-3, greedy=True),
            "f16": Bounds(logits=self.within, greedy=True),
            "q8_0": Bounds(kl=1e-3),
            "q4_0": Bounds(times=1.1),
        }[self.type]

    def objection(self, config: Mapping[str, Any], source: Exportable) -> str:
        from affina.release.gguf import architecture

        _installed()
        return architecture.objection(config, source.head, source.reads)

    def write(self, source: Exportable, folder: Path) -> None:
        from affina.release.gguf import write

        write.write(source, self.type, folder / write.FILE)

    def open(self, folder: Path) -> Served:
        from affina.release.gguf.llama import LlamaModel
        from affina.release.gguf.write import FILE

        return LlamaModel(folder / FILE)

    def yardstick(self, source: Exportable, scratch: Path) -> Served | None:
        from affina.release.gguf.quantiser import quantised

        return quantised(source, scratch) if self.type == "q4_0" else None


def _installed() -> None:
    if find_spec(NEEDED) is None:
        why = "no file goes out that was not run by what will serve it"
        raise Refused("the export gguf needs llama.cpp", why, "pip install 'affina[llama]'")
