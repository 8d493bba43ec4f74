"""A decoder's forward in the few operations that thin batches allow, for families whose blocks are pre-norm, rotary,
gated and nothing else (Touvron et al., 2023); the residual stream is float32. Other families run the library's forward.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from affina.engine.torch import attention
from affina.engine.torch.attention import Cached, How
from affina.engine.torch.fused import attach, compiled
from affina.engine.torch.fused.norms import norm_of
from affina.engine.torch.fused.plain import Act, Heads, Plain, Turns
from affina.engine.torch.load import Network
from affina.engine.torch.machine import device
from affina.engine.torch.norms import CLASSES as NORMS
from affina.engine.torch.packing import Product
from affina.engine.torch.products import stacked

LEAN = (
    "LlamaDecoderLayer", "MistralDecoderLayer", "Qwen2DecoderLayer", "Qwen3DecoderLayer", "GemmaDecoderLayer",
)  # fmt: skip
"""Blocks of bodies that are an embedding, one table of rotary positions, such blocks and a norm."""


class LeanBody:
    """Tokens at depths → hidden states, with copies of the weights stacked where layers share their input."""

    def __init__(self, body: Any, dtype: torch.dtype, layers: "Sequence[_Layer]", ops: Plain) -> None:
        self.body, self.dtype, self.layers, self.ops = body, dtype, layers, ops
        self.wide = torch.promote_types(dtype, torch.float32)
        firsts = [layer.norms[0] for layer in layers[1:]]
        self.first, self.after = layers[0].norms[0], [*firsts, norm_of(body.norm, self.wide)]

    @classmethod
    @torch.no_grad()
    def of(cls, network: Network, hows: Sequence[How]) -> "LeanBody | None":
        """None for another form, or where an adapter cannot be merged. `hows`: how each layer's attention is called."""
        blocks = [each for each in network.body.modules() if type(each).__name__ in LEAN]
        norms = [each for each in network.body.modules() if type(each).__name__.endswith(NORMS)]
        if len(blocks) != len(hows) or norms or any(attention.prefixed(block.self_attn) for block in blocks):
            return None
        layers = [_Layer.of(block, network.dtype, how) for block, how in zip(blocks, hows, strict=True)]
        made = [layer for layer in layers if layer is not None]
        if len(made) < len(blocks):
            return None
        first = made[0]
        takes = network.how.kernels and device().type == "cpu"
        takes = takes and compiled.fits(network.config.hidden_size, first.inner, first.heads, 0, first.heads.width)
        return cls(
            network.body, network.dtype, made, (compiled.operations(network.dtype) if takes else None) or Plain()
        )

    def __call__(self, tokens_T: Tensor, depths_T: Tensor, step: Cached) -> Tensor:
        """[T, D] hidden states after the final norm."""
        x_TD = self.body.embed_tokens(tokens_T).to(self.wide)
        cos, sin = (each[0].to(self.wide).contiguous() for each in self.body.rotary_emb(x_TD[None], depths_T[None]))
        normed, _ = self.ops.normed(x_TD, self.first, self.dtype)
        for layer, after in zip(self.layers, self.after, strict=True):
            y = layer.attended(self.ops, normed, (cos, sin), step)
            x_TD, inner, *_ = self.ops.add_residual(x_TD, y, None, None, layer.norms[1])
            assert inner is not None
            gates = layer.gate_up(inner)
            y = layer.down(self.ops.gated(gates, None, None, None, Act(layer.curve, True)))
            x_TD, out, *_ = self.ops.add_residual(x_TD, y, None, None, after)
            assert out is not None
            normed = out
        return normed


class _Layer:
    """The parts of a block: norms before attention and before the gated product, stacked products, how it attends."""

    def __init__(
        self, layer: Any, products: "Sequence[tuple[Product, list[int]]]", how: How, wide: torch.dtype
    ) -> None:
        self.how, width = how, int(layer.self_attn.head_dim)
        self.norms = norm_of(layer.input_layernorm, wide), norm_of(layer.post_attention_layernorm, wide)
        named = dict(layer.self_attn.named_children())
        normed = [norm_of(named[each], wide) for each in ("q_norm", "k_norm") if each in named]
        self.head_norms = (normed[0], normed[1]) if normed else None
        (self.qkv, sizes), (self.o, _), (self.gate_up, inner), (self.down, _) = products
        self.heads, self.inner = Heads(sizes[0] // width, sizes[1] // width, width), inner[0]
        curve = attach.curve_of(layer.mlp.act_fn)
        assert curve is not None
        self.curve = curve

    @classmethod
    def of(cls, layer: Any, dtype: torch.dtype, how: How) -> "_Layer | None":
        """None where an adapter cannot be merged or stands in the block, or where the gate's function is another."""
        if "adapter" in dict(layer.named_children()):
            return None
        attention, inner = layer.self_attn, layer.mlp
        inputs = [
            [attention.q_proj, attention.k_proj, attention.v_proj], [attention.o_proj],
            [inner.gate_proj, inner.up_proj], [inner.down_proj],
        ]  # fmt: skip
        products = [made for layers in inputs if (made := stacked(layers, dtype)) is not None]
        known = len(products) == len(inputs) and attach.curve_of(inner.act_fn) is not None
        return cls(layer, products, how, torch.promote_types(dtype, torch.float32)) if known else None

    def attended(self, ops: Plain, normed: Tensor, positions: tuple[Tensor, Tensor], step: Cached) -> Tensor:
        """The attention's output [T, D] before the residual sum."""
        turns = Turns(self.heads, self.head_norms, *positions)
        turned, _ = ops.heads(self.qkv(normed), None, (None, None, None), turns)
        whole = turned.view(1, len(turned), -1, self.heads.width).transpose(1, 2)
        first, second = self.heads.queries, self.heads.queries + self.heads.keys
        mixed = step.attend(whole[:, :first], whole[:, first:second], whole[:, second:], self.how)
        return self.o(mixed[0].flatten(1))
