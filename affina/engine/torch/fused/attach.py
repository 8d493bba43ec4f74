"""Which blocks have a fused form: found by their class, their parts and their sizes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from affina.engine.torch.fused import compiled
from affina.engine.torch.fused.block import Block, Form
from affina.engine.torch.fused.norms import Norms, is_known
from affina.engine.torch.fused.plain import Act, Heads
from affina.engine.torch.fused.products import Layer, Stack


@dataclass(frozen=True, slots=True)
class Named:
    """How a class of blocks names its parts; "" where it has none in that place."""

    attention: str = "self_attn"
    qkv: tuple[str, ...] = ("q_proj", "k_proj", "v_proj")
    o: str = "o_proj"
    inner: tuple[str, ...] = ("gate_proj", "up_proj")
    down: str = "down_proj"
    act: str = "act_fn"
    gated: bool = True
    norms: tuple[str, str, str, str] = ("input_layernorm", "", "post_attention_layernorm", "")
    """Before the attention, after it, before the inner layers, after them."""
    biased: bool = False
    """Whether norms are layer norms."""
    partial: bool = False
    """Whether its configuration may say that positions turn a part of each head; others turn all, whatever it says."""


LLAMA = Named()
GEMMA = Named(
    norms=("input_layernorm", "post_attention_layernorm", "pre_feedforward_layernorm", "post_feedforward_layernorm")
)
OLMO = Named(norms=("", "post_attention_layernorm", "", "post_feedforward_layernorm"))
FUSED: Mapping[str, Named] = {
    **dict.fromkeys(("LlamaDecoderLayer", "MistralDecoderLayer", "MinistralDecoderLayer", "GemmaDecoderLayer"), LLAMA),
    **dict.fromkeys(("Qwen2DecoderLayer", "Qwen3DecoderLayer", "GraniteDecoderLayer", "SmolLM3DecoderLayer"), LLAMA),
    **dict.fromkeys(("Gemma2DecoderLayer", "Gemma3DecoderLayer"), GEMMA),
    **dict.fromkeys(("Olmo2DecoderLayer", "Olmo3DecoderLayer"), OLMO),
    "Phi3DecoderLayer": Named(qkv=("qkv_proj",), inner=("gate_up_proj",), act="activation_fn", partial=True),
    "Starcoder2DecoderLayer": Named(inner=("c_fc",), down="c_proj", act="act", gated=False, biased=True),
    "GPT2Block": Named(
        attention="attn", qkv=("c_attn",), o="c_proj", inner=("c_fc",), down="c_proj", act="act", gated=False,
        norms=("ln_1", "", "ln_2", ""), biased=True,
    ),
}  # fmt: skip
"""Blocks of two halves, attention and inner layers, each added to what it read, and nothing else on the way."""
HEARD = ("scaling", "sliding_window", "softcap")


def attention_of(layer: Any) -> Any:
    return getattr(layer, FUSED[type(layer).__name__].attention)


def parts_of(layer: Any) -> tuple[Any, ...]:
    """The linear modules of a block as they stand: the attention's inputs and output, the inner layers'."""
    named, attention = FUSED[type(layer).__name__], attention_of(layer)
    inputs = [getattr(attention, each) for each in named.qkv]
    inner = [getattr(layer.mlp, each) for each in (*named.inner, named.down)]
    return (*inputs, getattr(attention, named.o), *inner)


def block_of(layer: Any, parts: tuple[Any, ...], heard: Mapping[str, Any]) -> Block | None:
    """The fused form of a decoder layer, where its parts and sizes have one."""
    named, attention = FUSED[type(layer).__name__], attention_of(layer)
    layers = [each for part in parts if (each := Layer.of(part)) is not None]
    if len(layers) < len(parts) or _drops(layer) or not getattr(attention, "is_causal", True):
        return None
    edge = len(named.qkv) + 1
    qkv, o, inner, down = layers[: edge - 1], layers[edge - 1], layers[edge:-1], layers[-1]
    heads, act = _heads(attention, qkv, o), is_gelu(getattr(layer.mlp, named.act))
    norms = Norms(
        *(getattr(layer, each) if each else None for each in named.norms),
        *(dict(attention.named_children()).get(each) for each in ("q_norm", "k_norm")),
    )
    known = all(is_known(each, named.biased) for each in norms.all())
    if act is None or not known or (turned := _turned(attention, heads, named.partial)) is None:
        return None
    widths = [size * heads.width for size in (heads.queries, heads.keys, heads.keys)]
    halves = 2 * [down.shape[1]] if named.gated else [down.shape[1]]
    stacks = (Stack(qkv, widths), Stack([o]), Stack(inner, halves), Stack([down]))
    if not all(stack.alike for stack in stacks):
        return None
    if not compiled.fits(o.shape[0], down.shape[1], heads, max(sum(stack.ranks) for stack in stacks), turned):
        return None
    attends = {name: heard[name] for name in HEARD if name in heard}
    times = float(getattr(layer, "residual_multiplier", 1.0))
    return Block(Form(heads, Act(act, named.gated), attends, turned, times), attention, stacks, norms)


def _drops(layer: nn.Module) -> bool:
    """Whether more than adapters' inputs is dropped in training, or the fused form leaves a part of the block out."""
    own = [vars(each).items() for each in (layer, attention_of(layer), layer.mlp)]
    dropped = [each for part in own for name, each in part if "dropout" in name and isinstance(each, (int, float))]
    dropped += [each.p for each in layer.modules() if isinstance(each, nn.Dropout)]
    return any(dropped) or hasattr(layer, "crossattention")


def _heads(attention: Any, qkv: list[Layer], o: Layer) -> Heads:
    width = int(attention.head_dim)
    queries = o.shape[1] // width
    return Heads(queries, (sum(each.shape[0] for each in qkv) // width - queries) // 2, width)


def _turned(attention: Any, heads: Heads, partial: bool) -> int | None:
    """How many of a head's numbers its position turns; None where that is not told."""
    rope = getattr(attention.config, "rope_parameters", None)
    if rope is None or not getattr(attention, "use_rope", True):
        return 0
    if not partial:
        return heads.width
    parts = rope.values() if all(isinstance(each, Mapping) for each in rope.values()) else [rope]
    shares = {float(each.get("partial_rotary_factor", 1.0)) for each in parts}
    return int(heads.width * shares.pop()) if len(shares) == 1 else None


def is_gelu(act: Any) -> bool | None:
    """Whether the gate's function is tanh's gelu (True) or silu (False), found by asking it; None for another."""
    if any(True for _ in getattr(act, "parameters", tuple)()):
        return None  # it learns
    x = torch.linspace(-3, 3, 13)
    y = act(x)
    if torch.allclose(y, torch.nn.functional.silu(x), atol=1e-6):
        return False
    return True if torch.allclose(y, torch.nn.functional.gelu(x, approximate="tanh"), atol=1e-6) else None
