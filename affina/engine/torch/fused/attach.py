"""Which blocks have a fused form: found by their class, their parts and their sizes."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import Any

import torch
from torch import nn

from affina.engine.torch.flash import WIDEST
from affina.engine.torch.fused import compiled
from affina.engine.torch.fused.after_sums import AfterSums
from affina.engine.torch.fused.block import Block
from affina.engine.torch.fused.drops import Drops
from affina.engine.torch.fused.form import Form
from affina.engine.torch.fused.norms import Norms, is_known
from affina.engine.torch.fused.parallel import Parallel
from affina.engine.torch.fused.plain import ERROR, RELU, SILU, SQUARED, TANH, Act, Heads
from affina.engine.torch.fused.products import Layer, Stack
from affina.engine.torch.norms import RootMeanSquare


@dataclass(frozen=True, slots=True)
class Named:
    """Where a class of blocks has its parts; "" where it has none in that place."""

    attention: str = "self_attn"
    qkv: tuple[str, ...] = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj")
    o: str = "self_attn.o_proj"
    inner: tuple[str, ...] = ("mlp.gate_proj", "mlp.up_proj")
    down: str = "mlp.down_proj"
    act: str = "mlp.act_fn"
    gated: bool = True
    norms: tuple[str, str, str, str] = ("input_layernorm", "", "post_attention_layernorm", "")
    """Before the attention, after it, before the inner layers, after them."""
    partial: bool = False
    """Whether its configuration may say that positions turn a part of each head; others turn all, whatever it says."""
    after_sums: bool = False
    """Whether norms after a half are of the residual stream that the half was added to."""
    by_head: bool = False
    """Whether one layer gives queries, keys and values, head by head."""
    drops: tuple[str, str, str] = ("self_attn.attention_dropout", "", "")
    """What drops in training: of the attention's weights, of its output, of the inner layers' output."""

    @property
    def parallel(self) -> bool:
        """Whether both halves read the block's input: one norm is before them, none between. A block that says itself
        how its halves stand is as it says."""
        return bool(self.norms[0]) and not self.norms[2]


LLAMA = Named()
GEMMA = Named(
    norms=("input_layernorm", "post_attention_layernorm", "pre_feedforward_layernorm", "post_feedforward_layernorm")
)
OLMO = Named(norms=("", "post_attention_layernorm", "", "post_feedforward_layernorm"))
BERT = Named(
    attention="attention.self", qkv=("attention.self.query", "attention.self.key", "attention.self.value"),
    o="attention.output.dense", inner=("intermediate.dense",), down="output.dense",
    act="intermediate.intermediate_act_fn", gated=False,
    norms=("", "attention.output.LayerNorm", "", "output.LayerNorm"), after_sums=True,
    drops=("attention.self.dropout", "attention.output.dropout", "output.dropout"),
)  # fmt: skip
FUSED: Mapping[str, Named] = {
    **dict.fromkeys(("LlamaDecoderLayer", "MistralDecoderLayer", "MinistralDecoderLayer", "GemmaDecoderLayer"), LLAMA),
    **dict.fromkeys(("Qwen2DecoderLayer", "Qwen3DecoderLayer", "GraniteDecoderLayer", "SmolLM3DecoderLayer"), LLAMA),
    "CwmDecoderLayer": LLAMA,
    "SeedOssDecoderLayer": Named(
        drops=("self_attn.attention_dropout", "self_attn.residual_dropout", "mlp.residual_dropout"),
    ),
    "HyperCLOVAXDecoderLayer": Named(norms=("input_layernorm", "post_norm1", "post_attention_layernorm", "post_norm2")),
    "VaultGemmaDecoderLayer": Named(norms=("input_layernorm", "", "pre_feedforward_layernorm", "")),
    **dict.fromkeys(("ArceeDecoderLayer", "Jais2DecoderLayer"), Named(inner=("mlp.up_proj",), gated=False)),
    "StableLmDecoderLayer": Named(partial=True, drops=("self_attn.attention_dropout", "", "dropout")),
    "OPTDecoderLayer": Named(
        o="self_attn.out_proj", inner=("fc1",), down="fc2", act="activation_fn", gated=False,
        norms=("self_attn_layer_norm", "", "final_layer_norm", ""), drops=("self_attn.dropout", "dropout", "dropout"),
    ),
    **dict.fromkeys(("Gemma2DecoderLayer", "Gemma3DecoderLayer"), GEMMA),
    **dict.fromkeys(("Olmo2DecoderLayer", "Olmo3DecoderLayer", "Exaone4DecoderLayer"), OLMO),
    **dict.fromkeys(("BertLayer", "RobertaLayer", "XLMRobertaLayer", "CamembertLayer", "ElectraLayer"), BERT),
    **dict.fromkeys(("Data2VecTextLayer", "ErnieLayer"), BERT),
    "Phi3DecoderLayer": Named(
        qkv=("self_attn.qkv_proj",), inner=("mlp.gate_up_proj",), act="mlp.activation_fn", partial=True,
        drops=("self_attn.attention_dropout", "resid_attn_dropout", "resid_mlp_dropout"),
    ),
    "Starcoder2DecoderLayer": Named(
        inner=("mlp.c_fc",), down="mlp.c_proj", act="mlp.act", gated=False,
        drops=("self_attn.attention_dropout", "self_attn.residual_dropout", "mlp.residual_dropout"),
    ),
    "PhiDecoderLayer": Named(
        o="self_attn.dense", inner=("mlp.fc1",), down="mlp.fc2", act="mlp.activation_fn", gated=False,
        norms=("input_layernorm", "", "", ""), partial=True,
        drops=("self_attn.attention_dropout", "resid_dropout", "resid_dropout"),
    ),
    "GPTNeoXLayer": Named(
        attention="attention", qkv=("attention.query_key_value",), by_head=True, o="attention.dense",
        inner=("mlp.dense_h_to_4h",), down="mlp.dense_4h_to_h", act="mlp.act", gated=False, partial=True,
        drops=("attention.attention_dropout", "post_attention_dropout", "post_mlp_dropout"),
    ),
    "GPT2Block": Named(
        attention="attn", qkv=("attn.c_attn",), o="attn.c_proj", inner=("mlp.c_fc",), down="mlp.c_proj", act="mlp.act",
        gated=False, norms=("ln_1", "", "ln_2", ""),
        drops=("attn.attn_dropout", "attn.resid_dropout", "mlp.dropout"),
    ),
    "ModernBertEncoderLayer": Named(
        attention="attn", qkv=("attn.Wqkv",), o="attn.Wo", inner=("mlp.Wi",), down="mlp.Wo", act="mlp.act",
        norms=("attn_norm", "", "mlp_norm", ""), drops=("attn.attention_dropout", "attn.out_drop", ""),
    ),
    "TransformerBlock": Named(  # DistilBERT's
        attention="attention", qkv=("attention.q_lin", "attention.k_lin", "attention.v_lin"), o="attention.out_lin",
        inner=("ffn.lin1",), down="ffn.lin2", act="ffn.activation", gated=False,
        norms=("", "sa_layer_norm", "", "output_layer_norm"), after_sums=True,
        drops=("attention.dropout", "", "ffn.dropout"),
    ),
}  # fmt: skip
"""Blocks of two halves, attention and inner layers, each added to what it read, and nothing else on the way."""
HEARD = ("scaling", "sliding_window", "softcap")


def attention_of(layer: Any) -> Any:
    return _at(layer, FUSED[type(layer).__name__].attention)


def parts_of(layer: Any) -> tuple[Any, ...]:
    """The modules of a block as they stand: the attention's inputs and output, the inner layers', the norms, then what
    has no weights."""
    named = FUSED[type(layer).__name__]
    linear, rest = (*named.qkv, named.o, *named.inner, named.down), (named.act, named.attention)
    drops = Drops(layer, named.drops).modules
    return (*(_at(layer, each) for each in (*linear, *named.norms, *rest)), *drops)


def block_of(layer: Any, parts: tuple[Any, ...], heard: Mapping[str, Any]) -> Block | None:
    """The fused form of a block, where its parts and sizes have one."""
    named, attention = FUSED[type(layer).__name__], attention_of(layer)
    edge = len(named.qkv) + 1
    last = edge + len(named.inner) + 1
    linear = parts[:last]
    standing = [None if type(each) is nn.Identity else each for each in parts[last : last + len(named.norms)]]
    layers = [each for part in linear if (each := Layer.of(part)) is not None]
    causal = bool(getattr(attention, "is_causal", True))
    drops = Drops(layer, named.drops)
    if len(layers) < len(linear) or _drops(layer, named, drops) or not getattr(layer, "do_layer_norm_before", True):
        return None
    if any(_hooked(each) for each in parts if isinstance(each, nn.Module) and each is not attention):
        return None
    qkv, o, inner, down = layers[: edge - 1], layers[edge - 1], layers[edge:-1], layers[-1]
    heads, curve = _heads(attention, qkv, o), curve_of(_at(layer, named.act))
    if named.by_head:
        qkv = [replace(each, heads=heads.queries) for each in qkv]
    norms = Norms(*standing, *(dict(attention.named_children()).get(each) for each in ("q_norm", "k_norm")))
    if curve is None or not _known(norms, named) or (turned := _turned(attention, heads, named.partial)) is None:
        return None
    widths = [size * heads.width for size in (heads.queries, heads.keys, heads.keys)]
    halves = 2 * [down.shape[1]] if named.gated else [down.shape[1]]
    stacks = (Stack(qkv, widths), Stack([o]), Stack(inner, halves), Stack([down]))
    if not all(stack.alike for stack in stacks):
        return None
    if not compiled.fits(o.shape[0], down.shape[1], heads, max(sum(stack.ranks) for stack in stacks), turned):
        return None
    times = float(getattr(layer, "residual_multiplier", 1.0))
    form = Form(heads, Act(curve, named.gated), _attends(attention, heard), turned, times, causal)
    if drops.any and heads.width > WIDEST:
        return None  # kernels alone drop weights
    if named.after_sums:
        return None if turned else _whole(AfterSums(form, attention, stacks, norms, drops))
    parallel = getattr(layer, "use_parallel_residual", named.parallel)
    if parallel and norms.before is None:
        return None
    return _whole((Parallel if parallel else Block)(form, attention, stacks, norms, drops))


def _attends(attention: Any, heard: Mapping[str, Any]) -> dict[str, Any]:
    """How the kernels are to attend, by how the attention calls its function."""
    found = {name: heard[name] for name in HEARD if name in heard}
    if found.get("scaling") == 1.0:
        found["scaling"] = getattr(attention, "scaling", 1.0)  # its queries have been multiplied before the call
    return found


def _known(norms: Norms[nn.Module], named: Named) -> bool:
    """Whether there are operations for all of them: RMS norms alone stand in heads and before residual sums."""
    inside, sides = (norms.query, norms.key), (norms.attended, norms.made)
    if named.after_sums and not all(isinstance(each, nn.LayerNorm) for each in sides):
        return False
    plain = inside if named.after_sums else (*inside, *sides)
    return all(isinstance(each, RootMeanSquare | None) for each in plain) and all(map(is_known, norms.all()))


def _whole(block: Block) -> Block | None:
    """The block, where nothing in its attention learns or multiplies that it does not know of."""
    known = {id(each) for each in block.parameters()}
    return block if all(id(each) in known for each in block.attention.parameters()) else None


def _at(layer: Any, path: str) -> Any:
    return attrgetter(path)(layer) if path else None


def _drops(layer: nn.Module, named: Named, drops: Drops) -> bool:
    """Whether something is dropped in training that is neither among `drops` nor an adapter's input, or the fused form
    leaves a part of the block out."""
    places = {path.rpartition(".")[0] for path in (named.attention, named.o, *named.inner, named.down)}
    owners = (layer, attention_of(layer), *(_at(layer, each) for each in places if each))
    other = [
        each
        for owner in owners
        for name, each in vars(owner).items()
        if "dropout" in name and isinstance(each, (int, float)) and not drops.handles(owner, name)
    ]
    taken = drops.modules
    other += [each.p for each in layer.modules() if isinstance(each, nn.Dropout) and each not in taken]
    return any(other) or not drops.plain or hasattr(layer, "crossattention")


def _hooked(module: nn.Module) -> bool:
    """Whether something else than its class's own forward is computed."""
    return bool(module._forward_hooks or module._forward_pre_hooks or "forward" in vars(module))


def _heads(attention: Any, qkv: list[Layer], o: Layer) -> Heads:
    names = ("head_dim", "attention_head_size", "head_size")
    width = int(next(getattr(attention, name) for name in names if hasattr(attention, name)))
    queries = o.shape[1] // width
    return Heads(queries, (sum(each.shape[0] for each in qkv) // width - queries) // 2, width)


def _turned(attention: Any, heads: Heads, partial: bool) -> int | None:
    """How many of a head's numbers its position turns; None where that is not told."""
    rope = getattr(attention.config, "rope_parameters", None)
    far = getattr(attention, "sliding_window", None) is not None and not getattr(attention, "is_sliding", True)
    if rope is None or not getattr(attention, "use_rope", True) or far:  # `far`: Exaone 4's that see everything
        return 0
    if not partial:
        return heads.width
    parts = rope.values() if all(isinstance(each, Mapping) for each in rope.values()) else [rope]
    shares = {float(each.get("partial_rotary_factor", 1.0)) for each in parts}
    return int(heads.width * shares.pop()) if len(shares) == 1 else None


def curve_of(act: Any) -> int | None:
    """Which of the kernels' curves an activation follows, found by asking it; None for another."""
    if any(True for _ in getattr(act, "parameters", tuple)()):
        return None  # it learns
    x = torch.linspace(-64, 64, 1025)  # far enough to meet one that is cut off
    y, gelu = act(x), torch.nn.functional.gelu
    right = {SILU: torch.nn.functional.silu(x), TANH: gelu(x, approximate="tanh"), ERROR: gelu(x)}
    right |= {RELU: x.clamp(0), SQUARED: x.clamp(0).square()}
    return next((curve for curve, each in right.items() if torch.allclose(y, each, atol=1e-6)), None)
