"""A merged model folder as one GGUF file: every weight rounded once from float32, one in memory at a time."""

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from gguf import GGML_QUANT_VERSION, MODEL_ARCH, MODEL_ARCH_NAMES, GGMLQuantizationType, GGUFWriter, LlamaFileType
from gguf.quants import quant_shape_to_byte_shape, quantize
from safetensors import safe_open

from affina.core.export import HEAD, Exportable
from affina.release.gguf import architecture, vocabulary

FILE = "model.gguf"
F32, F16 = GGMLQuantizationType.F32, GGMLQuantizationType.F16
Q8, Q4 = GGMLQuantizationType.Q8_0, GGMLQuantizationType.Q4_0
TYPES = {
    "f32": (F32, LlamaFileType.ALL_F32),
    "f16": (F16, LlamaFileType.MOSTLY_F16),
    "q8_0": (Q8, LlamaFileType.MOSTLY_Q8_0),
    "q4_0": (Q4, LlamaFileType.MOSTLY_Q4_0),
}
BLOCK = 32  # numbers that share a scale in q8_0 and q4_0
WHOLE = ("position_embd", "token_types", "_norm", "cls.")
"""Parts of the names of what llama.cpp's own quantiser leaves alone too."""
EMBEDDING, OUTPUT = "token_embd.weight", "output.weight"


@dataclass(frozen=True, slots=True)
class Place:
    """A weight of a safetensors file, and what it becomes."""

    file: Path
    name: str
    written: str
    shape: tuple[int, ...]
    kind: GGMLQuantizationType


def write(source: Exportable, type_: str, path: Path) -> None:
    """Raises Refused for a tokenizer that llama.cpp does not know, OSError where the disk refuses."""
    assert source.merged is not None, "GGUF is written from a merged model"
    config = json.loads((source.merged / "config.json").read_text(encoding="utf-8"))
    arch = architecture.FAMILIES[config["model_type"]].arch
    names = architecture.Names(config)
    places = _places(source.merged, names, type_)
    rows = next(place.shape[0] for place in places if place.written == EMBEDDING)
    factors = architecture.rope_factors(config)
    with _writer(path, MODEL_ARCH_NAMES[arch]) as writer:
        writer.add_quantization_version(GGML_QUANT_VERSION)
        writer.add_file_type(TYPES[type_][1])
        architecture.describe(writer, config, rows)
        architecture.pooled(writer, source.head, source.labels)
        vocabulary.write(writer, source.merged, rows, encodes=arch == MODEL_ARCH.BERT)
        for place in places:
            _announce(writer, place.written, place.shape, place.kind)
        if factors is not None:
            _announce(writer, "rope_freqs.weight", factors.shape, F32)
        writer.write_header_to_file(path)
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        for place, weight in _read(places):
            writer.write_tensor_data(_rounded(names.ordered(place.name, weight), place.kind))
        if factors is not None:
            writer.write_tensor_data(factors)


@contextmanager
def _writer(path: Path, arch: str) -> Iterator[GGUFWriter]:
    writer = GGUFWriter(path, arch)
    try:
        yield writer
    finally:
        writer.close()


def _places(folder: Path, names: architecture.Names, type_: str) -> list[Place]:
    """Every weight that llama.cpp reads; a tied output embedding is the embedding itself."""
    found = []
    for file in sorted(folder.glob("model*.safetensors")):
        for name, shape in _shapes(file).items():
            if written := names.of(name):
                found.append((file, name, written, shape))
    head = folder / HEAD[0]
    if head.is_file():
        found += [(head, name, f"cls.output.{name}", shape) for name, shape in _shapes(head).items()]
    untied = any(written == OUTPUT for _, _, written, _ in found)
    return [
        Place(file, name, written, shape, _kind(written, shape, type_, untied)) for file, name, written, shape in found
    ]


def _kind(written: str, shape: tuple[int, ...], type_: str, untied: bool) -> GGMLQuantizationType:
    """Vectors and tables stay whole; what scores words has 8 bits at least, as llama.cpp's own quantiser gives it."""
    if type_ == "f32" or len(shape) < 2 or any(part in written for part in WHOLE):
        return F32
    if type_ == "f16" or shape[-1] % BLOCK:
        return F16
    kind: GGMLQuantizationType = Q8 if written == (OUTPUT if untied else EMBEDDING) else TYPES[type_][0]
    return kind


def _shapes(file: Path) -> Mapping[str, tuple[int, ...]]:
    with safe_open(file, framework="np") as held:
        return {name: tuple(held.get_slice(name).get_shape()) for name in held.keys()}  # noqa: SIM118


def _read(places: list[Place]) -> Iterator[tuple[Place, npt.NDArray[np.float32]]]:
    with ExitStack() as stack:
        held: dict[Path, Any] = {}
        for place in places:
            if place.file not in held:
                held[place.file] = stack.enter_context(safe_open(place.file, framework="np"))
            yield place, held[place.file].get_tensor(place.name).astype(np.float32)


def _announce(writer: GGUFWriter, name: str, shape: tuple[int, ...], kind: GGMLQuantizationType) -> None:
    if kind in (F32, F16):
        dtype = np.dtype(np.float32 if kind == F32 else np.float16)
        writer.add_tensor_info(name, shape, dtype, int(np.prod(shape)) * dtype.itemsize)
        return
    stored = quant_shape_to_byte_shape(shape, kind)
    writer.add_tensor_info(name, stored, np.dtype(np.uint8), int(np.prod(stored)), raw_dtype=kind)


def _rounded(weight: npt.NDArray[np.float32], kind: GGMLQuantizationType) -> npt.NDArray[Any]:
    if kind in (F32, F16):
        return np.ascontiguousarray(weight, dtype=np.float32 if kind == F32 else np.float16)
    made: npt.NDArray[Any] = quantize(np.ascontiguousarray(weight), kind)
    return made
