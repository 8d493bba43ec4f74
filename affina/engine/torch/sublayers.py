"""Where a block does its work: the layer that ends attention, the inner layer's two ends, keys and values.

They are found by the names that the families of transformers give them.
"""

from dataclasses import dataclass
from typing import Any

from torch import nn

from affina.core.errors import Refused
from affina.engine.torch.low_rank import is_linear

ATTENTION = (
    "self_attn.o_proj", "self_attn.out_proj", "self_attn.dense", "attn.c_proj", "attn.out_proj", "attention.dense",
    "attn.Wo", "attn.attention.out_proj", "attention.output.dense", "attention.out_lin", "attention.attn.o",
    "self_attention.dense", "layer.0.SelfAttention.o",
)  # fmt: skip
INNER = (
    ("mlp.gate_proj", "mlp.down_proj"), ("mlp.gate_up_proj", "mlp.down_proj"), ("mlp.c_fc", "mlp.c_proj"),
    ("mlp.fc1", "mlp.fc2"), ("mlp.fc_in", "mlp.fc_out"), ("mlp.Wi", "mlp.Wo"),
    ("mlp.dense_h_to_4h", "mlp.dense_4h_to_h"), ("fc1", "fc2"), ("ffn", "ffn_output"), ("ffn.lin1", "ffn.lin2"),
    ("ffn.up_proj", "ffn.down_proj"), ("intermediate.dense", "output.dense"),
    ("layer.1.DenseReluDense.wi", "layer.1.DenseReluDense.wo"),
    ("layer.1.DenseReluDense.wi_0", "layer.1.DenseReluDense.wo"),
    ("layer.2.DenseReluDense.wi", "layer.2.DenseReluDense.wo"),
    ("layer.2.DenseReluDense.wi_0", "layer.2.DenseReluDense.wo"),
)  # fmt: skip
"""The layer that the inner layer's input comes to first, and the one its output leaves."""
AFTER_SUM = ("output.LayerNorm", "output_layer_norm", "full_layer_layer_norm")
"""The norm that a post-norm block ends in: it takes the sum of the residual stream and the inner layer's output."""
LAST_NORM, POST_NORM = "final_layer_norm", ("Bart", "BlenderbotSmall", "LED", "Marian", "Mvp", "PLBart")
"""In these families, and in an OPT that says so, the same; elsewhere such a norm stands before the inner layer."""
KEYS_VALUES = (
    ("k_proj", "v_proj"), ("key", "value"), ("k_lin", "v_lin"), ("key_proj", "value_proj"), ("kv_b_proj",), ("k", "v"),
    ("c_attn",), ("query_key_value",), ("qkv_proj",), ("Wqkv",), ("in_proj",),
)  # fmt: skip
"""Leaves of the layers that make keys and values; in the last five forms one layer makes queries too."""


@dataclass(frozen=True, slots=True)
class Sublayers:
    """One block's places, each by its name in the model."""

    block: str
    attention: str
    """The linear layer whose output is the attention's."""
    inner: tuple[str, str]
    after_sum: str | None
    """The norm that a post-norm block ends in; None in a block that ends in a sum."""
    keys_values: tuple[str, ...]


def sublayers(model: nn.Module, asked: str) -> list[Sublayers]:
    """Of every block, from the first on. Raises Refused, naming what was `asked`, where they are not known."""
    found = [each for name, module in model.named_modules() if (each := _of(name, module)) is not None]
    config: Any = model.config
    count = int(getattr(config, "num_hidden_groups", 0) or config.get_text_config().num_hidden_layers)
    if len(found) < count:
        why = f"the attention and inner layers of {count - len(found)} of the {count} blocks of {config.model_type}"
        raise Refused(asked, f"{why} are not where they are known to be (mixtures of experts have many)", "use lora")
    return found


def _of(name: str, block: nn.Module) -> Sublayers | None:
    attention = next((path for path in ATTENTION if _linear(block, path)), None)
    inner = next((pair for pair in INNER if all(_linear(block, path) for path in pair)), None)
    if attention is None or inner is None:
        return None
    post_norm = type(block).__name__.startswith(POST_NORM) or getattr(block, "do_layer_norm_before", True) is False
    ends = (*AFTER_SUM, *([LAST_NORM] if post_norm else []))
    after_sum = next((path for path in ends if _at(block, path) is not None), None)
    return Sublayers(
        name,
        f"{name}.{attention}",
        (f"{name}.{inner[0]}", f"{name}.{inner[1]}"),
        None if after_sum is None else f"{name}.{after_sum}",
        tuple(f"{name}.{path}" for path in _keys_values(block)),
    )


def _keys_values(block: nn.Module) -> list[str]:
    linear = [path for path, each in block.named_modules() if is_linear(each)]
    found = ([path for path in linear if path.rpartition(".")[2] in leaves] for leaves in KEYS_VALUES)
    return next((made for made in found if made), [])


def _at(block: nn.Module, path: str) -> nn.Module | None:
    place: nn.Module | None = block
    for step in path.split("."):
        place = None if place is None else dict(place.named_children()).get(step)
    return place


def _linear(block: nn.Module, path: str) -> bool:
    found = _at(block, path)
    return found is not None and is_linear(found)
