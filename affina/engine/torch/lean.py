"""A decoder's forward in the few operations that thin batches allow, for families whose blocks are pre-norm, rotary,
gated and nothing else (Touvron et al., 2023); the residual stream is float32. Other families run the library's forward.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from affina.engine.torch.attention import Cached, How
from affina.engine.torch.load import Network
from affina.engine.torch.norms import CLASSES as NORMS
from affina.engine.torch.norms import RootMeanSquare
from affina.engine.torch.products import Product, stacked

CLASSES = ("LlamaDecoderLayer", "MistralDecoderLayer", "Qwen2DecoderLayer", "Qwen3DecoderLayer")


class LeanBody:
    """Tokens at depths → hidden states, with copies of the weights stacked where layers share their input."""

    def __init__(self, body: Any, wide: torch.dtype, layers: "Sequence[_Layer]") -> None:
        self.body, self.norm, self.wide, self.layers = body, _norm(body.norm), wide, layers

    @classmethod
    @torch.no_grad()
    def of(cls, network: Network, hows: Sequence[How]) -> "LeanBody | None":
        """None for another form, or where an adapter cannot be merged. `hows`: how each layer's attention is called."""
        blocks = [each for each in network.body.modules() if type(each).__name__ in CLASSES]
        norms = [each for each in network.body.modules() if type(each).__name__.endswith(NORMS)]
        if len(blocks) != len(hows) or norms:
            return None
        layers = [_Layer.of(block, network.dtype, how) for block, how in zip(blocks, hows, strict=True)]
        wide = torch.promote_types(network.dtype, torch.float32)
        made = [layer for layer in layers if layer is not None]
        return cls(network.body, wide, made) if len(made) == len(blocks) else None

    def __call__(self, tokens_T: Tensor, depths_T: Tensor, step: Cached) -> Tensor:
        """[T, D] hidden states after the final norm."""
        x_TD = self.body.embed_tokens(tokens_T).to(self.wide)
        cos, sin = self.body.rotary_emb(x_TD[None], depths_T[None])
        half = cos.shape[-1] // 2
        signed = torch.cat([-sin[..., :half], sin[..., half:]], -1)
        turns = (cos[0, :, None].to(self.wide), signed[0, :, None].to(self.wide))
        for layer in self.layers:
            x_TD = layer(x_TD, turns, step)
        return self.norm(x_TD)


class _Layer:
    """x + attention(norm(x)), then + mlp(norm(·))."""

    def __init__(self, layer: Any, products: "Sequence[tuple[Product, list[int]]]", how: How) -> None:
        self.how, self.width, self.act = how, int(layer.self_attn.head_dim), layer.mlp.act_fn
        self.norms = _norm(layer.input_layernorm), _norm(layer.post_attention_layernorm)
        named = dict(layer.self_attn.named_children())
        self.head_norms = [_norm(named[each]) for each in ("q_norm", "k_norm") if each in named]
        (self.qkv, self.sizes), (self.o, _), (self.gate_up, _), (self.down, _) = products

    @classmethod
    def of(cls, layer: Any, dtype: torch.dtype, how: How) -> "_Layer | None":
        """None where an adapter cannot be merged."""
        attention, inner = layer.self_attn, layer.mlp
        inputs = [
            [attention.q_proj, attention.k_proj, attention.v_proj], [attention.o_proj],
            [inner.gate_proj, inner.up_proj], [inner.down_proj],
        ]  # fmt: skip
        products = [made for layers in inputs if (made := stacked(layers, dtype)) is not None]
        return cls(layer, products, how) if len(products) == len(inputs) else None

    def __call__(self, x_TD: Tensor, turns: tuple[Tensor, Tensor], step: Cached) -> Tensor:
        q_size, k_size, _ = self.sizes
        stacked = self.qkv(self.norms[0](x_TD))
        heads = stacked[:, : q_size + k_size].view(len(x_TD), -1, self.width)
        count = q_size // self.width
        if self.head_norms:
            parts = heads[:, :count], heads[:, count:]
            heads = torch.cat([norm(part) for norm, part in zip(self.head_norms, parts, strict=True)], 1)
        turned = torch.addcmul(heads * turns[0], heads.roll(self.width // 2, -1), turns[1]).transpose(0, 1)[None]
        value = stacked[:, q_size + k_size :].view(len(x_TD), -1, self.width).transpose(0, 1)[None]
        mixed = step.attend(turned[:, :count], turned[:, count:], value, self.how)
        x_TD = x_TD + self.o(mixed[0].flatten(1))
        gate, up = self.gate_up(self.norms[1](x_TD)).chunk(2, -1)
        return x_TD + self.down(self.act(gate) * up)


def _norm(norm: RootMeanSquare) -> Callable[[Tensor], Tensor]:
    """The norm as one call of the library's, computed and given back in float32 at least."""
    wide = torch.promote_types(norm.weight.dtype, torch.float32)
    weight = norm.weight.detach().to(wide) + norm.offset
    return lambda x: functional.rms_norm(x.to(wide), weight.shape, weight, norm.variance_epsilon)
