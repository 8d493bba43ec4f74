"""Weights in 8 or 4 bits and nothing else changed: a folder of safetensors, loaded again into the library's own class.

int8: each row of a matrix in whole steps of its largest / 127. int4: blocks of a row in 15 equal steps from the block's
smallest to its largest, two to a byte; embeddings stay int8. Products are float32 of weights made whole for each, but
for bf16 inputs, which torch's own kernels for packed weights take.
"""

import json
import shutil
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel

from affina.core.errors import Refused
from affina.core.export import HEAD
from affina.engine.torch import tensor_file
from affina.engine.torch.library import LibraryModel, quietly
from affina.engine.torch.load import SAFELY

WEIGHTS, PACKED = "model.safetensors", "packed.json"
STEPS = {8: 127, 4: 15}
WIDE = 8  # rows of a matrix beyond this many rows of input: made whole at once is faster
PARTS = ("codes", "scales", "zeros")


class Packed(nn.Module):
    """W x + b, or the rows W of tokens: W [out, in] is codes · scales, of int4 + zeros. All it holds is buffers."""

    codes: Tensor
    scales: Tensor
    zeros: Tensor | None
    bias: Tensor | None

    def __init__(self, held: dict[str, Tensor], bias: Tensor | None, looked_up: bool) -> None:
        super().__init__()
        self.looked_up = looked_up
        for name in PARTS:
            self.register_buffer(name, held.get(name))
        self.register_buffer("bias", bias)

    @property
    def weight(self) -> Tensor:
        """[out, in] made whole, float32."""
        return self._whole(self.codes, self.scales, self.zeros)

    def forward(self, x: Tensor) -> Tensor:
        if self.looked_up:
            zeros = None if self.zeros is None else self.zeros[x]
            return self._whole(self.codes[x], self.scales[x], zeros)
        y = self._product(x) if x.dtype == torch.bfloat16 else nn.functional.linear(x, self.weight.to(x.dtype))
        return y if self.bias is None else y + self.bias.to(y.dtype)

    def _product(self, x: Tensor) -> Tensor:
        """Of bf16, by the kernel of int8 where there are few rows."""
        rows = x.reshape(-1, x.shape[-1])
        if self.zeros is not None or len(rows) > WIDE:
            return nn.functional.linear(x, self.weight.to(x.dtype))
        made: Tensor = torch._weight_int8pack_mm(rows, self.codes, self.scales.to(x.dtype).flatten())
        return made.reshape(*x.shape[:-1], len(self.codes))

    @staticmethod
    def _whole(codes: Tensor, scales: Tensor, zeros: Tensor | None) -> Tensor:
        if zeros is None:
            return codes.float() * scales.float()
        nibbles = torch.stack([codes & 15, codes >> 4], -1).flatten(-2)
        blocks = nibbles.view(*scales.shape, -1)
        return (blocks.float() * scales.float()[..., None] + zeros.float()[..., None]).flatten(-2)


def pack(weight_OI: Tensor, bits: int, block: int) -> dict[str, Tensor]:
    """What `Packed` holds of a matrix; 8 bits where its rows are not whole blocks."""
    if bits == 8 or weight_OI.shape[1] % block:
        scales = weight_OI.abs().amax(1, keepdim=True).clamp_min(torch.finfo(torch.float32).tiny) / STEPS[8]
        return {"codes": torch.round(weight_OI / scales).to(torch.int8), "scales": scales}
    blocks = weight_OI.view(len(weight_OI), -1, block)
    low, high = blocks.amin(-1), blocks.amax(-1)
    scales = ((high - low) / STEPS[4]).clamp_min(torch.finfo(torch.float16).tiny).half()
    zeros = low.half()
    codes = torch.round((blocks - zeros.float()[..., None]) / scales.float()[..., None]).clamp_(0, STEPS[4])
    pairs = codes.to(torch.uint8).view(len(weight_OI), -1, 2)
    return {"codes": pairs[..., 0] | (pairs[..., 1] << 4), "scales": scales, "zeros": zeros}


def write(merged: Path, folder: Path, bits: int, block: int) -> None:
    """A float32 folder packed into an existing one. Raises OSError where the disk refuses."""
    quietly()
    for file in merged.iterdir():
        if file.name != WEIGHTS:
            shutil.copy(file, folder / file.name)
    model = _kind(merged).from_pretrained(merged, dtype=torch.float32, **SAFELY)
    held: dict[str, Tensor] = {}
    taken: dict[str, int] = {}
    for name, layer in _layers(model):
        taken[name] = 8 if isinstance(layer, nn.Embedding) or layer is model.get_output_embeddings() else bits
        parts = pack(layer.weight.detach(), taken[name], block)
        held |= {f"{name}.{part}": each for part, each in parts.items()}
    tied = _tied(model)
    held |= {
        name: each.detach()
        for name, each in model.named_parameters()
        if name.removesuffix(".weight") not in taken or not name.endswith(".weight")
    }
    tensor_file.write({name: each for name, each in held.items() if not name.startswith(f"{tied}.")}, folder / WEIGHTS)
    (folder / PACKED).write_text(json.dumps({"bits": bits, "block": block, "layers": sorted(taken)}), encoding="utf-8")


def open_packed(folder: Path) -> LibraryModel:
    """What `write` wrote, in the library's own class. Raises Refused for a folder that it did not write."""
    quietly()
    if not (folder / PACKED).is_file():
        raise Refused(f"{folder} holds no packed model", instead="`affina export --to int8` or `int4` writes one")
    layers = json.loads((folder / PACKED).read_text(encoding="utf-8"))["layers"]
    model = _empty(folder)
    tied = _tied(model)
    with tensor_file.reading(folder / WEIGHTS) as held:
        for name in layers:
            if name == tied:
                continue
            layer = model.get_submodule(name)
            parts = {part: held.read(f"{name}.{part}") for part in PARTS if f"{name}.{part}" in held.names}
            bias = held.read(f"{name}.bias") if f"{name}.bias" in held.names else None
            model.set_submodule(name, Packed(parts, bias, isinstance(layer, nn.Embedding)))
        for name, parameter in model.named_parameters():
            if name in held.names:
                parameter.data = held.read(name)
    if tied:
        words = model.get_input_embeddings()
        model.set_submodule(tied, Packed({part: getattr(words, part) for part in PARTS}, None, looked_up=False))
    return LibraryModel(model, folder)


def _layers(model: Any) -> list[tuple[str, Any]]:
    """Every matrix that is packed: linear layers and embeddings, tables of positions left out."""
    return [
        (name, each)
        for name, each in model.named_modules()
        if isinstance(each, nn.Linear) or each is model.get_input_embeddings()
    ]


def _tied(model: Any) -> str:
    """The name of an output embedding that is the input's; empty where it is its own or there is none."""
    named: dict[str, Any] = dict(model.named_modules())
    words = model.get_output_embeddings()
    if words is None or not model.config.get_text_config().tie_word_embeddings:
        return ""
    return next((name for name, each in named.items() if each is words), "")


def _kind(folder: Path) -> Any:
    config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
    return AutoModel if (folder / HEAD[1]).is_file() else getattr(transformers, config.architectures[0])


def _empty(folder: Path) -> Any:
    """The class that the folder names, with numbers that are all replaced."""
    config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
    kind, auto = _kind(folder), AutoModel
    build: Any = kind.from_config if kind is auto else kind
    return build(config)
