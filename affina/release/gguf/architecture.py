"""What a GGUF file says of a base, by family: the settings llama.cpp reads, the names and the order of its weights."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from gguf import MODEL_ARCH, GGUFWriter, PoolingType, RopeScalingType, get_tensor_name_map

Config = Mapping[str, Any]
Weight = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Family:
    """A family of bases as llama.cpp knows it."""

    arch: MODEL_ARCH
    activations: tuple[str, ...] = ("silu",)
    halves: bool = False
    """Its rotary pairs are neighbours in a GGUF file, and a head's two halves in transformers."""
    windows: bool = True
    """It can be given a sliding window here; False: llama.cpp computes it without one."""


FAMILIES = {
    "llama": Family(MODEL_ARCH.LLAMA, halves=True),
    "mistral": Family(MODEL_ARCH.LLAMA, halves=True, windows=False),
    "qwen2": Family(MODEL_ARCH.QWEN2, windows=False),
    "qwen3": Family(MODEL_ARCH.QWEN3, windows=False),
    "bert": Family(MODEL_ARCH.BERT, activations=("gelu", "gelu_new", "gelu_pytorch_tanh")),
}
"""By `model_type`."""
SCALINGS = ("default", "linear", "llama3", "yarn")
YARN_TURNS = (32, 1)
"""Turns within the old context above which a frequency stays, and below which it is stretched whole."""
HEADS = ("words", "vector", "labels", "score", "margin")
"""What of llama.cpp's own a model can end in; all but words on an encoder."""


def objection(config: Config, head: str, reads: str) -> str:
    """Why llama.cpp cannot run such a model, in a sentence; empty where it can."""
    kind = str(config.get("model_type"))
    family = FAMILIES.get(kind)
    if family is None:
        return f"its architecture {kind} cannot be written as GGUF here; {', '.join(FAMILIES)} can"
    encodes = family.arch == MODEL_ARCH.BERT
    if encodes and head == "words":
        return "llama.cpp's BERT has no words: it gives vectors and labels"
    if head not in HEADS or (head != "words" and not encodes):
        return f"llama.cpp gives no {head} of a model of the architecture {kind}"
    if (activation := config.get("hidden_act", "silu")) not in family.activations:
        return f"llama.cpp computes {kind} with {family.activations[0]}, and this base with {activation}"
    window = config.get("sliding_window") if config.get("use_sliding_window", True) else None
    if not family.windows and window and window < config["max_position_embeddings"]:
        return f"its attention looks back {window} tokens alone, and llama.cpp's {kind} at all of them"
    rope = _rope(config)[1]
    if (scaling := rope["rope_type"]) not in SCALINGS:
        return f"its positions are scaled by '{scaling}'; {', '.join(SCALINGS)} can be written"
    bounds = (rope.get("beta_fast") or YARN_TURNS[0], rope.get("beta_slow") or YARN_TURNS[1])
    if scaling == "yarn" and (bounds != YARN_TURNS or not rope.get("truncate", True)):
        return f"its positions are scaled by 'yarn' between other bounds than llama.cpp's, {YARN_TURNS} turns, whole"
    return ""


def describe(writer: GGUFWriter, config: Config, rows: int) -> None:
    """Every setting of the architecture; `rows` is the size of the embedding."""
    heads, width = config["num_attention_heads"], config["hidden_size"]
    writer.add_vocab_size(rows)
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(width)
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(heads)
    if FAMILIES[config["model_type"]].arch == MODEL_ARCH.BERT:
        writer.add_layer_norm_eps(config.get("layer_norm_eps", 1e-12))
        writer.add_causal_attention(False)
        writer.add_token_type_count(config.get("type_vocab_size", 2))
        return
    size = head_size(config)
    writer.add_head_count_kv(config.get("num_key_value_heads") or heads)
    writer.add_key_length(size)
    writer.add_value_length(size)
    writer.add_rope_dimension_count(size)
    writer.add_layer_norm_rms_eps(config.get("rms_norm_eps", 1e-6))
    base, scaling = _rope(config)
    writer.add_rope_freq_base(base)
    if scaling.get("rope_type") in ("linear", "yarn"):
        kind = {"linear": RopeScalingType.LINEAR, "yarn": RopeScalingType.YARN}[scaling["rope_type"]]
        before = scaling.get("original_max_position_embeddings") or config["max_position_embeddings"]
        factor = scaling.get("factor") or config["max_position_embeddings"] / before
        writer.add_rope_scaling_type(kind)
        writer.add_rope_scaling_factor(factor)
        if kind == RopeScalingType.YARN:
            writer.add_rope_scaling_orig_ctx_len(before)
            writer.add_rope_scaling_attn_factors(_louder(scaling, factor))


def pooled(writer: GGUFWriter, head: str, labels: tuple[str, ...]) -> None:
    """How an encoder's states become one answer: their mean, or a head on the first of them."""
    if head == "vector":
        writer.add_pooling_type(PoolingType.MEAN)
    elif head != "words":
        writer.add_pooling_type(PoolingType.RANK)
        if labels:
            writer.add_classifier_output_labels(labels)


class Names:
    """The GGUF names of a family's weights, and their numbers in the order that llama.cpp reads."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._family = FAMILIES[config["model_type"]]
        self._map = get_tensor_name_map(self._family.arch, config["num_hidden_layers"])

    def of(self, name: str) -> str:
        """Empty for a weight that llama.cpp has no use for: a pooler, a table of positions."""
        found = self._map.get_name(name.removeprefix("bert."), try_suffixes=(".weight", ".bias"))
        return found or ""

    def ordered(self, name: str, weight: Weight) -> Weight:
        """q and k of a family that turns neighbours: a row of a head's first half is followed by that of its second."""
        ends = name.rpartition("self_attn.")[2]
        if not self._family.halves or not ends.startswith(("q_proj", "k_proj")):
            return weight
        heads = self._config["num_attention_heads"]
        heads = (self._config.get("num_key_value_heads") or heads) if ends.startswith("k_proj") else heads
        halves = weight.reshape(heads, 2, weight.shape[0] // heads // 2, *weight.shape[1:])
        turned: Weight = halves.swapaxes(1, 2).reshape(weight.shape)
        return turned


def head_size(config: Config) -> int:
    """The width of one attention head."""
    return int(config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"])


def rope_factors(config: Config) -> Weight | None:
    """[head / 2] what each rotary frequency is divided by, where Llama 3 stretches the slow ones; else None.

    The published rule: wavelengths beyond the old context over `low_freq_factor` are stretched by `factor`, those
    within it over `high_freq_factor` not at all, and between them in proportion.
    """
    base, scaling = _rope(config)
    if scaling.get("rope_type") != "llama3":
        return None
    size = head_size(config)
    waves = 2 * math.pi * base ** (np.arange(0, size, 2) / size)
    before, factor = scaling["original_max_position_embeddings"], scaling["factor"]
    low, high = scaling["low_freq_factor"], scaling["high_freq_factor"]
    share = np.clip((before / waves - low) / (high - low), 0, 1)
    factors: Weight = (1 / ((1 - share) / factor + share)).astype(np.float32)
    return factors


def _louder(scaling: Mapping[str, Any], factor: float) -> float:
    """What YaRN multiplies queries and keys by, over what llama.cpp takes by itself, 0.1·ln(factor) + 1."""

    def usual(weight: float = 1.0) -> float:
        return 0.1 * weight * math.log(factor) + 1 if factor > 1 else 1.0

    over, under = scaling.get("mscale"), scaling.get("mscale_all_dim")
    inferred = usual(over) / usual(under) if over and under else usual()
    return float(scaling.get("attention_factor") or inferred) / usual()


def _rope(config: Config) -> tuple[float, Mapping[str, Any]]:
    """The base of the rotary frequencies, and how positions are scaled, as either release of transformers writes it."""
    given = config.get("rope_parameters") or config.get("rope_scaling") or {}
    base = given.get("rope_theta") or config.get("rope_theta") or 10000.0
    return float(base), {**given, "rope_type": given.get("rope_type") or given.get("type") or "default"}
