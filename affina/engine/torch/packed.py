"""Weights in 8 or 4 bits and nothing else changed: a folder of safetensors, loaded again into the library's own class.

int8: each row of a matrix in whole steps of its largest / 127. int4: blocks of a row in 15 equal steps from the block's
smallest to its largest, two to a byte; embeddings stay int8. A base that was in such steps itself would take every
small change back when rounded: of it a matrix of low rank is kept in 16 bits, or the steps are moved. It computes in
bf16, of weights made whole for each product or, few rows at a time in int8, by torch's own kernel for packed weights.
"""

import json
import shutil
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel
from transformers.initialization import no_init_weights
from transformers.pytorch_utils import Conv1D

from affina.core.errors import Refused
from affina.core.export import HEAD
from affina.engine.torch import tensor_file
from affina.engine.torch.library import LibraryModel, quietly
from affina.engine.torch.load import SAFELY
from affina.engine.torch.whole import buffers_of

WEIGHTS, PACKED = "model.safetensors", "packed.json"
STEPS = {8: 127, 4: 15}
WIDE = 8  # rows of a matrix beyond this many rows of input: made whole at once is faster
EXPERTS = ".experts."
PARTS = ("codes", "scales", "zeros", "left", "right")
HELD = 0.5  # of what rounding takes on average: where it takes less, the numbers were in these steps before
NOTHING = 1e-3  # of the same: what rounding the scales to 16 bits takes
RANK, NARROW, SPARE = 16, 8, 8  # of what is kept; parts of a matrix's side that it has at most; columns beyond it


class Packed(nn.Module):
    """W x + b, or the rows of W of tokens in bf16, times a factor. W [out, in] is codes · scales, of int4 + zeros, and
    + left · right where there are such. All it holds is buffers."""

    codes: Tensor
    scales: Tensor
    zeros: Tensor | None
    left: Tensor | None
    right: Tensor | None
    bias: Tensor | None

    def __init__(self, held: dict[str, Tensor], bias: Tensor | None, looked_up: bool, factor: float = 1.0) -> None:
        super().__init__()
        self.looked_up, self.factor = looked_up, factor
        for name in PARTS:
            self.register_buffer(name, held.get(name))
        self.register_buffer("bias", bias)

    @property
    def weight(self) -> Tensor:
        """[out, in] made whole, float32."""
        whole = self._whole(self.codes, self.scales, self.zeros)
        if self.left is None or self.right is None:
            return whole
        return torch.addmm(whole, self.left.float(), self.right.float())

    def forward(self, x: Tensor) -> Tensor:
        if self.looked_up:
            zeros = None if self.zeros is None else self.zeros[x]
            return (self._whole(self.codes[x], self.scales[x], zeros) * self.factor).bfloat16()
        y = self._product(x) if x.dtype == torch.bfloat16 else nn.functional.linear(x, self.weight.to(x.dtype))
        return y if self.bias is None else y + self.bias.to(y.dtype)

    def _product(self, x: Tensor) -> Tensor:
        """Of bf16. int8's codes are exact in bf16, and its kernel is the faster one where there are few rows."""
        if self.zeros is not None:
            return nn.functional.linear(x, self.weight.to(x.dtype))
        rows, scales = x.reshape(-1, x.shape[-1]), self.scales.flatten()
        if len(rows) > WIDE:
            made = nn.functional.linear(rows, self.codes.to(x.dtype))
        else:
            made = torch._weight_int8pack_mm(rows, self.codes, torch.ones_like(scales, dtype=x.dtype))
        return (made * scales).to(x.dtype).reshape(*x.shape[:-1], len(self.codes))

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
    held, off = _in_steps(weight_OI, block, anchored=False)
    taken = float((off / held["scales"].float().repeat_interleave(block, 1)).square().mean()) * 12
    if not 0 < taken < HELD:  # an even error of a step is 1 / 12 of its square
        return held
    thin = _thin(off)
    if thin:
        return held | thin
    return held if taken < NOTHING else _in_steps(weight_OI, block, anchored=True)[0]


def _in_steps(weight_OI: Tensor, block: int, anchored: bool) -> tuple[dict[str, Tensor], Tensor]:
    """Codes, scales and zeros, and what they leave out; anchored: 0 is one of the steps."""
    blocks = weight_OI.view(len(weight_OI), -1, block)
    low, high = blocks.amin(-1), blocks.amax(-1)
    if anchored:
        low, high = low.clamp_max(0), high.clamp_min(0)
    scales = ((high - low) / STEPS[4]).clamp_min(torch.finfo(torch.float16).tiny).half()
    if anchored:
        low = torch.round(low / scales.float()) * scales.float()
    zeros = low.half()
    codes = torch.round((blocks - zeros.float()[..., None]) / scales.float()[..., None]).clamp_(0, STEPS[4])
    pairs = codes.to(torch.uint8).view(len(weight_OI), -1, 2)
    held = {"codes": pairs[..., 0] | (pairs[..., 1] << 4), "scales": scales, "zeros": zeros}
    made = codes * scales.float()[..., None] + zeros.float()[..., None]
    return held, weight_OI - made.view_as(weight_OI)


def _thin(off_OI: Tensor) -> dict[str, Tensor]:
    """left [out, rank] · right [rank, in], the nearest of low rank in float16; empty where it has less than half of
    the squares: a random projection and two power iterations (Halko et al., 2011)."""
    rank = min(RANK, min(off_OI.shape) // NARROW)
    if not rank:
        return {}
    drawn = torch.randn(off_OI.shape[1], rank + SPARE, generator=torch.Generator().manual_seed(0))
    span_OR = torch.linalg.qr(off_OI @ drawn).Q
    for _ in range(2):
        span_OR = torch.linalg.qr(off_OI @ (off_OI.T @ span_OR)).Q
    left, sizes, right = torch.linalg.svd(span_OR.T @ off_OI, full_matrices=False)
    if sizes[:rank].square().sum() < off_OI.square().sum() / 2:
        return {}
    roots = sizes[:rank].sqrt()
    return {"left": (span_OR @ left[:, :rank] * roots).half(), "right": (right[:rank] * roots[:, None]).half()}


def write(merged: Path, folder: Path, bits: int, block: int) -> None:
    """A float32 folder packed into an existing one. Raises Refused for a mixture of experts, OSError where the disk
    refuses."""
    quietly()
    model = _kind(merged).from_pretrained(merged, dtype=torch.float32, **SAFELY)
    _whole_layers(model)
    for file in merged.iterdir():
        if file.name != WEIGHTS:
            shutil.copy(file, folder / file.name)
    held: dict[str, Tensor] = {}
    taken: dict[str, int] = {}
    for name, layer in _layers(model):
        taken[name] = 8 if isinstance(layer, nn.Embedding) or layer is model.get_output_embeddings() else bits
        weight = layer.weight.detach()
        parts = pack(weight.T.contiguous() if isinstance(layer, Conv1D) else weight, taken[name], block)
        held |= {f"{name}.{part}": each for part, each in parts.items()}
    tied = _tied(model)
    held |= {
        name: each.detach()
        for name, each in model.named_parameters()
        if name.removesuffix(".weight") not in taken or not name.endswith(".weight")
    }
    held = {name: each for name, each in held.items() if not name.startswith(f"{tied}.")}
    tensor_file.write({**held, **buffers_of(model)}, folder / WEIGHTS)
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
        for name, buffer in model.named_buffers():
            if name in held.names:
                buffer.data = held.read(name)
        for name in layers:
            if name == tied:
                continue
            layer = model.get_submodule(name)
            parts = {part: held.read(f"{name}.{part}") for part in PARTS if f"{name}.{part}" in held.names}
            bias = held.read(f"{name}.bias") if f"{name}.bias" in held.names else None
            for each in _sharing(model, name, layer):
                model.set_submodule(each, _filled(model.get_submodule(each), parts, bias))
        for name, parameter in model.named_parameters():
            if name in held.names:
                parameter.data = held.read(name).bfloat16()
    if tied:
        words = model.get_input_embeddings()
        model.set_submodule(tied, Packed({part: getattr(words, part) for part in PARTS}, None, looked_up=False))
    return LibraryModel(model, folder)


def _whole_layers(model: Any) -> None:
    """Raises Refused for experts that are one stack of matrices and no layers: they would stay in 16 bits."""
    stacked = sum(each.numel() for name, each in model.named_parameters() if each.ndim > 2 and EXPERTS in name)
    if stacked:
        share = stacked / sum(each.numel() for each in model.parameters())
        why = f"its experts, {share:.0%} of its numbers, are no linear layers and would stay in 16 bits"
        raise Refused(f"{model.config.model_type} cannot be written in few bits", why, "export safetensors in bfloat16")


def _layers(model: Any) -> list[tuple[str, Any]]:
    """Every matrix that is packed: linear layers and embeddings, tables of positions left out."""
    return [
        (name, each)
        for name, each in model.named_modules()
        if isinstance(each, nn.Linear | Conv1D) or each is model.get_input_embeddings()
    ]


def _sharing(model: Any, name: str, layer: Any) -> list[str]:
    """The layer, and the other tables of the same words: those of an encoder and a decoder."""
    if not isinstance(layer, nn.Embedding):
        return [name]
    modules = model.named_modules()
    return [each for each, one in modules if isinstance(one, nn.Embedding) and one.weight is layer.weight]


def _filled(layer: Any, parts: dict[str, Tensor], bias: Tensor | None) -> Packed:
    """In place of a layer; some families' tables of words have a factor of their own."""
    return Packed(parts, bias, isinstance(layer, nn.Embedding), float(getattr(layer, "embed_scale", 1.0)))


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
    """The class that the folder names; its numbers, which are all replaced, are not drawn and so take no memory."""
    config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
    kind, auto = _kind(folder), AutoModel
    build: Any = kind.from_config if kind is auto else kind
    with no_init_weights():
        model = build(config)
    model.tie_weights()
    return model
