"""One ONNX graph, its tokenizer beside it, run by onnxruntime: a decoder with past keys and values, or an encoder."""

import shutil
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar, Literal

from affina.core.atomic import write_json
from affina.core.errors import Refused
from affina.core.export import HEAD, Bounds, Export, Exportable, Served

NEEDED = ("onnx", "onnxscript", "onnxruntime")
BESIDE = (
    "config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja", HEAD[1],
)  # fmt: skip
"""Files of the merged model that serving takes, beside the graph."""
ATTENDING = {"full_attention", "sliding_attention"}
"""Kinds of layers that a graph has."""
EXPERTS = ("num_experts", "num_local_experts", "n_routed_experts")
BIASED = ("bloom", "mpt", "falcon", "t5", "deberta", "deberta-v2", "mpnet", "xlnet")
"""Families whose attention makes its mask or its positions itself and takes none from outside."""


class Onnx(Export):
    """An ONNX graph of free batch and length, decoders with past keys and values, by torch's exporter."""

    engine: ClassVar[str] = "onnxruntime"

    weights: Literal["float32", "int8"] = "float32"
    """Of the matrices: as they are, or 8 bits with a scale per column, products on numbers rounded as they come."""

    @property
    def bounds(self) -> Bounds:
        return Bounds(logits=1e-3, greedy=True) if self.weights == "float32" else Bounds(kl=5e-2)

    def objection(self, config: Mapping[str, Any], source: Exportable) -> str:
        if missing := [name for name in NEEDED if find_spec(name) is None]:
            raise Refused(f"the export onnx needs {', '.join(missing)}", instead="pip install 'affina[onnx]'")
        family, why = str(config.get("model_type", "")), ""
        dense = config.get("first_k_dense_replace", 0) >= config.get("num_hidden_layers", 1)
        if config.get("is_encoder_decoder") or source.reads in ("source", "order"):
            why = f"{family} is an encoder–decoder or reads in another order, which is no single graph"
        elif unlike := sorted({*(config.get("layer_types") or ())} - ATTENDING):
            why = f"{family} has layers of {', '.join(unlike)}, which keep more of the past than keys and values"
        elif family in BIASED:
            why = f"the attention of {family} takes no mask from outside"
        elif any(config.get(name) for name in EXPERTS) and not dense:
            why = f"{family} sends each token to other experts, and a graph has one path"
        return f"{why}: export safetensors" if why else ""

    def write(self, source: Exportable, folder: Path) -> None:
        from affina.engine.torch import traced
        from affina.release.onnx.session import ABOUT, GRAPH

        assert source.merged is not None, "it is written from a merged model"
        for name in BESIDE:
            if (source.merged / name).is_file():
                shutil.copy(source.merged / name, folder / name)
        decodes = source.head == "words" and source.reads == "past"
        shapes, types = traced.write(source.merged, folder / GRAPH, decodes, pairs=source.head == "span")
        if self.weights == "int8":
            from affina.release.onnx.rounded import rounded

            rounded(folder / GRAPH)
        about = {"head": source.head, "labels": list(source.labels), "past": shapes, "types": types}
        write_json(folder / ABOUT, about)

    def open(self, folder: Path) -> Served:
        from affina.release.onnx.session import OnnxModel

        return OnnxModel(folder)
