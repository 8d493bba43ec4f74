"""Which blocks have a fused form: found by their class, their parts and their sizes."""

from collections.abc import Mapping
from typing import Any

import torch

from affina.engine.torch.fused import compiled
from affina.engine.torch.fused.block import Block, Form
from affina.engine.torch.fused.plain import Heads
from affina.engine.torch.fused.products import Layer, Stack
from affina.engine.torch.norms import RootMeanSquare

FUSED = (
    "LlamaDecoderLayer", "MistralDecoderLayer", "Qwen2DecoderLayer", "Qwen3DecoderLayer", "GemmaDecoderLayer",
)  # fmt: skip
"""Pre-norm blocks with rotary positions, gated inner layers and RMS norms, and nothing else on the way."""
ATTENTION, INNER = ("q_proj", "k_proj", "v_proj", "o_proj"), ("gate_proj", "up_proj", "down_proj")
HEARD = ("scaling", "sliding_window", "softcap")


def parts_of(layer: Any) -> tuple[Any, ...]:
    """The seven linear modules of a block as they stand."""
    attention, inner = layer.self_attn, layer.mlp
    return (*(getattr(attention, each) for each in ATTENTION), *(getattr(inner, each) for each in INNER))


def block_of(layer: Any, parts: tuple[Any, ...], heard: Mapping[str, Any]) -> Block | None:
    """The fused form of a decoder layer, where its parts and sizes have one."""
    q, k, v, o, gate, up, down = (Layer.of(each) for each in parts)
    if not (q and k and v and o and gate and up and down) or layer.self_attn.attention_dropout:
        return None
    if any(each.beside is not None and each.beside.dropout for each in (q, k, v, o, gate, up, down)):
        return None
    stacks = (Stack([q, k, v]), Stack([o]), Stack([gate, up]), Stack([down]))
    width = int(layer.self_attn.head_dim)
    heads = Heads(stacks[0].sizes[0] // width, stacks[0].sizes[1] // width, width)
    norms = [layer.input_layernorm, layer.post_attention_layernorm]
    if hasattr(layer.self_attn, "q_norm"):
        norms += [layer.self_attn.q_norm, layer.self_attn.k_norm]
    gelu = is_gelu(layer.mlp.act_fn)
    if gelu is None or not all(isinstance(each, RootMeanSquare) for each in norms):
        return None
    if not compiled.fits(
        stacks[1].sizes[0], stacks[3].layers[0].base.weight.shape[1], heads, max(sum(stack.ranks) for stack in stacks)
    ):
        return None
    attends = {name: heard[name] for name in HEARD if name in heard}
    return Block(Form(heads, gelu, attends), layer.self_attn, stacks, tuple(norms))


def is_gelu(act: Any) -> bool | None:
    """Whether the gate's function is tanh's gelu (True) or silu (False), found by asking it; None for another."""
    x = torch.linspace(-3, 3, 13)
    y = act(x)
    if torch.allclose(y, torch.nn.functional.silu(x), atol=1e-6):
        return False
    return True if torch.allclose(y, torch.nn.functional.gelu(x, approximate="tanh"), atol=1e-6) else None
