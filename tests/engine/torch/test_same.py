"""What a family does that its class does not say is found when it is loaded: the numbers are the library's own."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
from families import STOP, build, random_rows
from transformers import AutoModel, AutoModelForCausalLM
from transformers.models.llama.modeling_llama import LlamaMLP

from affina.core.compute import Computing
from affina.core.errors import Refused
from affina.core.kinds import Ending, Row, Sampling
from affina.data.layout import layout
from affina.data.rows import Renderer
from affina.engine.torch import logits, same
from affina.engine.torch.load import load
from affina.engine.torch.model import TorchModel

ROWS = [row for row in random_rows(300) if row.targets]


def library(folder: Path) -> Any:
    auto: Any = AutoModelForCausalLM
    return auto.from_pretrained(folder, attn_implementation="eager", dtype=torch.float32).eval()


@torch.no_grad()
def logprobs(model: Any, row: Row) -> torch.Tensor:
    tokens, at = torch.from_numpy(row.tokens).long(), np.flatnonzero(row.weights)
    said = model(input_ids=tokens[None], use_cache=False).logits[0].log_softmax(-1)
    return said[at - 1, tokens[at]]


@pytest.mark.parametrize(
    ("name", "flat"),
    [("qwen2_moe", False), ("doge", False), ("phi", True), ("hyperclovax", True), ("recurrent_gemma", False)],
)
def test_log_probabilities_are_the_librarys(name: str, flat: bool, tmp_path: Path) -> None:
    """Windows in masks alone, masks with numbers in them, a bias, a scale and a cap of the logits."""
    folder = build(name, tmp_path / name)
    model, reference = TorchModel(load(folder, Computing("float32")), Renderer.open(folder)), library(folder)
    assert model.network.flat == flat
    for row, found in zip(ROWS, model.score(ROWS), strict=True):
        assert np.abs(found.logprobs_S - logprobs(reference, row).numpy()).max() < 2e-5


def test_positions_that_start_behind_the_padding_tokens_number_do_so_in_packed_rows(tmp_path: Path) -> None:
    folder = build("data2vec-text", tmp_path / "data2vec-text")
    rows = [replace(row, tokens=np.where(row.tokens == STOP, 2, row.tokens)) for row in ROWS]  # padding is not counted
    net, auto = load(folder, Computing("float32"), Ending("labels", 2)), cast(Any, AutoModel)
    reference = auto.from_pretrained(folder, dtype=torch.float32).eval()
    with torch.no_grad():
        found = net.hidden(layout(rows, share=False))
        alone = [reference(torch.from_numpy(row.tokens).long()[None]).last_hidden_state[0] for row in rows]
    assert net.flat and torch.allclose(found, torch.cat(alone), atol=1e-5)


def test_a_base_that_looks_along_the_batch_outside_attention_is_not_packed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a convolution beside the attention of every block does; each layer still calls the forest function once."""
    own = LlamaMLP.forward

    def mixed(self: Any, x: torch.Tensor) -> torch.Tensor:
        before = torch.nn.functional.pad(x, (0, 0, 1, 0))[:, :-1]
        return own(self, x) + 0.3 * before

    monkeypatch.setattr(LlamaMLP, "forward", mixed)
    net = load(build("llama", tmp_path / "llama"), Computing("float32"))
    assert not net.flat and net.together and "cannot pack rows" in net.notes[0]


def test_greedy_tokens_take_the_bias_of_the_output_head_into_account(tmp_path: Path) -> None:
    folder = build("phi", tmp_path / "phi")
    model, reference = TorchModel(load(folder, Computing("float32")), Renderer.open(folder)), library(folder)
    model.network.model.lm_head.bias.data *= 20
    reference.lm_head.bias.data *= 20
    prompt = ROWS[0].tokens[:9].tolist()
    made = reference.generate(
        torch.tensor([prompt]), attention_mask=torch.ones(1, 9), max_new_tokens=8, do_sample=False, eos_token_id=None,
        pad_token_id=0,
    )  # fmt: skip
    for precision in ("float32", "bf16"):
        model.network.precision = precision
        found = model.sample([prompt], Sampling(max_tokens=8))[0]
        assert [*found.tokens] == made[0, 9:].tolist()[: len(found.tokens)]


def test_logits_that_are_neither_scaled_nor_capped_as_the_configuration_says_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = build("granite", tmp_path / "granite")
    monkeypatch.setattr(logits, "SCALES", {})
    with pytest.raises(Refused, match="the words of a granite"):
        load(folder, Computing("float32"))


def text(**settings: Any) -> Any:
    return SimpleNamespace(get_text_config=lambda: SimpleNamespace(**settings))


@pytest.mark.parametrize(
    ("settings", "told", "right"),
    [
        ({}, [None, None], True),
        ({"sliding_window": 4}, [4, 4], True),
        ({"sliding_window": 4}, [None, None], False),
        ({"sliding_window": 4, "use_sliding_window": False}, [None, None], True),
        ({"attention_chunk_size": 4}, [None, None], False),
        ({"layer_types": ["sliding_attention", "full_attention"]}, [4, None], True),
        ({"layer_types": ["sliding_attention", "full_attention"]}, [4, 4], False),
        ({"layer_types": ["chunked_attention", "full_attention"]}, [None, None], False),
    ],
)
def test_a_window_that_a_layer_does_not_tell_is_noticed(
    settings: dict[str, Any], told: list[int | None], right: bool
) -> None:
    heard = [{} if each is None else {"sliding_window": each} for each in told]
    assert same.windows_told(text(**settings), heard) == right


def test_what_rounds_as_the_library_itself_does_is_the_same() -> None:
    expected, apart = torch.ones(100), torch.linspace(-1, 1, 100)
    near, far = expected + 0.05 * apart, expected + 0.3 * apart
    assert same.close(near, expected, torch.bfloat16) and not same.close(near, expected, torch.float32)
    assert not same.close(far, expected, torch.bfloat16, lambda: near)
    assert same.close(far, expected, torch.bfloat16, lambda: expected + 0.1 * apart)


def test_what_is_no_number_is_told_from_what_is_one() -> None:
    ones, broken = torch.ones(4), torch.tensor([1.0, float("nan"), 1.0, 1.0])
    assert same.close(ones, ones, torch.float32)
    assert not same.close(broken, ones, torch.float32)
    assert not same.close(broken, ones, torch.float32, lambda: ones)
    assert same.close(broken, broken, torch.float32)  # the library's own is none either


def test_a_family_without_fused_attention_is_padded_under_its_plain_one(tmp_path: Path) -> None:
    folder = build("gemma2", tmp_path / "gemma2", attn_logit_softcapping=None)
    packed, padded = (
        TorchModel(load(folder, Computing("float32", packing=each)), Renderer.open(folder)) for each in (True, False)
    )
    assert (packed.network.flat, padded.network.flat) == (True, False)
    for one, other in zip(packed.score(ROWS), padded.score(ROWS), strict=True):
        assert np.abs(one.logprobs_S - other.logprobs_S).max() < 2e-5
