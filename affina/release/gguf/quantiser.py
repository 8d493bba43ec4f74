"""A model as llama.cpp's own quantiser writes it in 4 bits: what other 4-bit formats are measured against."""

import json
from importlib.util import find_spec
from pathlib import Path

from affina.core.export import Exportable, Served
from affina.release.gguf import architecture, write

TYPE = "q4_0"


def quantised(source: Exportable, scratch: Path) -> Served | None:
    """Its f16 file, quantised; None where llama.cpp is not installed or cannot run the model."""
    if source.merged is None or find_spec("llama_cpp") is None:
        return None
    config = json.loads((source.merged / "config.json").read_text(encoding="utf-8"))
    if architecture.objection(config, source.head, source.reads):
        return None
    from affina.release.gguf.llama import LlamaModel, quantise

    whole, small = scratch / "f16.gguf", scratch / f"{TYPE}.gguf"
    write.write(source, "f16", whole)
    quantise(whole, small, TYPE)
    whole.unlink()
    return LlamaModel(small)
