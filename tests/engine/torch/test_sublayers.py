"""Where blocks do their work, in families that call it otherwise."""

from typing import Any

import pytest
import torch
import transformers
from families import _BART, _ENCODER, _OPT, _SMALL

from affina.core.kinds import tunings
from affina.engine.torch.sublayers import sublayers

_GPT = {"vocab_size": 64, "n_embd": 32, "n_layer": 2, "n_head": 4, "rotary_dim": 4}
_WINDOWS = {"cls_token_id": 1, "sep_token_id": 2, "pad_token_id": 0, "eos_token_id": 2, "bos_token_id": 1}
FOUND: dict[str, tuple[dict[str, Any], int, str, str, str | None, int]] = {
    "ModernBert": ({**_SMALL, **_WINDOWS}, 2, "attn.Wo", "mlp.Wo", None, 1),
    "GPTJ": (_GPT, 2, "attn.out_proj", "mlp.fc_out", None, 2),
    "CodeGen": (_GPT, 2, "attn.out_proj", "mlp.fc_out", None, 1),
    "GPTNeo": (
        {"hidden_size": 32, "num_layers": 2, "num_heads": 4, "attention_types": [[["global"], 2]]},
        2, "attn.attention.out_proj", "mlp.c_proj", None, 2,
    ),
    "Albert": ({**_ENCODER, "embedding_size": 16}, 1, "attention.dense", "ffn_output", "full_layer_layer_norm", 2),
    "Bart": (_BART, 4, "self_attn.out_proj", "fc2", "final_layer_norm", 2),
    "MBart": (_BART, 4, "self_attn.out_proj", "fc2", None, 2),
    "OPT": ({**_OPT, "do_layer_norm_before": False}, 2, "self_attn.out_proj", "fc2", "final_layer_norm", 2),
}  # fmt: skip


@pytest.mark.parametrize("name", FOUND)
def test_the_ends_of_both_parts_and_the_norm_behind_are_found(name: str) -> None:
    settings, blocks, attention, last, norm, keys_values = FOUND[name]
    config = getattr(transformers, f"{name}Config")(**{"vocab_size": 64, **settings})
    with torch.device("meta"):
        model: Any = transformers.AutoModel.from_config(config)
    found = sublayers(model, "this")
    assert len(found) == blocks
    for each in found:
        assert each.attention == f"{each.block}.{attention}" and each.inner[1] == f"{each.block}.{last}"
        assert each.after_sum == (None if norm is None else f"{each.block}.{norm}")
        decodes = "decoder" in each.block and name in ("Bart", "MBart")
        assert len(each.keys_values) == keys_values * (1 + decodes)
    tunings.build("adapter").apply(transformers.AutoModel.from_config(config))
