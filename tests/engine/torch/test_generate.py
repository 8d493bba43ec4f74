"""Generated tokens are the library's, whoever else is in the batch; draws follow the model's own distribution."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from families import FOREST_DECODERS, SIZES, build
from transformers import AutoModelForCausalLM

from affina.core.compute import Computing
from affina.core.errors import Refused
from affina.core.kinds import Sampling
from affina.data.rows import Renderer
from affina.engine.torch import decode, native
from affina.engine.torch import generate as generate_file
from affina.engine.torch.generate import Decoder, pick
from affina.engine.torch.load import load
from affina.engine.torch.low_rank import LowRank
from affina.engine.torch.model import TorchModel
from affina.engine.torch.products import Products, whole
from affina.engine.torch.tuned import attach
from affina.training.tuning.lora import Lora

Folder = Callable[[str], Path]
DRAW = np.random.default_rng(5)
SYSTEM, HEADER = DRAW.integers(3, 300, (2, 20)).tolist()


def some(count: int) -> list[int]:
    return [int(token) for token in DRAW.integers(3, 300, count)]


SHARED = [*SYSTEM, *HEADER, *some(9)]
PROMPTS = [
    SHARED, [*SYSTEM, *some(3)], [7], [*SYSTEM, *HEADER, *some(4)], some(31), SHARED, [*SYSTEM, *HEADER], [*SYSTEM],
    [7], some(12), SHARED, [*SYSTEM, *HEADER, *some(15)], [*SHARED, *some(2)],
]  # fmt: skip
"""Prefixes shared two and three deep, identical ones, one that is a prefix of others, single tokens, some alone."""
NEVER: frozenset[int] = frozenset()


def opened(folder: Path, precision: str = "float32", kernels: bool = False) -> TorchModel:
    return TorchModel(load(folder, Computing(precision, kernels=kernels)), Renderer.open(folder))


def generated(
    model: TorchModel, prompts: list[list[int]], how: Sampling, merge: bool | None = None, stops: frozenset[int] = NEVER
) -> list[list[int]]:
    decoder = Decoder(model.network, model.renderer.vocabulary.limit, stops, how)
    made: list[list[int]] = [[] for _ in prompts]
    for index, token in decoder.stream(prompts, merge):
        made[index].append(token)
    return made


def alone(reference: Any, prompt: list[int], count: int) -> list[int]:
    """Greedy by the definition: each next token from the whole text so far, no cache."""
    tokens = list(prompt)
    with torch.no_grad():
        for _ in range(count):
            tokens.append(int(reference(input_ids=torch.tensor([tokens]), use_cache=False).logits[0, -1].argmax()))
    return tokens[len(prompt) :]


def theirs(folder: Path) -> Any:
    return AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager", dtype=torch.float32).eval()


def with_noise(folder: Path, precision: str = "float32", scale: float = 0.3) -> TorchModel:
    """A low-rank adapter on every linear layer, its zero half filled."""
    model = opened(folder, precision)
    attach(model.network, Lora(rank=3), seed=1)
    drawn = torch.Generator().manual_seed(2)
    for module in model.network.modules():
        if isinstance(module, LowRank):
            module.lora_B.data = torch.randn(module.lora_B.shape, generator=drawn) * scale
    return model


@pytest.mark.parametrize("merge", [False, True])
@pytest.mark.parametrize("apart", [1, 10**9])
@pytest.mark.parametrize("name", FOREST_DECODERS)
def test_greedy_tokens_are_the_librarys_for_each_prompt_alone(
    name: str, apart: int, merge: bool, family: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generate_file, "APART", apart)  # every shared run stored once; every one copied into the tails
    monkeypatch.setattr(generate_file, "SLOTS", 5)
    reference, model = theirs(family(name)), opened(family(name))
    found = generated(model, PROMPTS, Sampling(max_tokens=14), merge)
    assert found == [alone(reference, prompt, 14) for prompt in PROMPTS]


@pytest.mark.parametrize("apart", [1, 10**9])
@pytest.mark.parametrize("name", ["llama", "qwen2", "qwen3", "mistral", "gemma", "gemma2", "gemma3_text"])
def test_the_kernels_answer_as_the_library_does(
    name: str, apart: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Blocks whole by kernels where they have a form for it, and the attention of decoded tokens in every family."""
    if native.library() is None:
        pytest.skip(native.reason())
    monkeypatch.setattr(generate_file, "APART", apart)
    folder, decoded, own = build(name, tmp_path / name, **SIZES), list[int](), decode.Seen.attend

    def counted(self: Any, new: Any, *more: Any) -> torch.Tensor:
        decoded.append(len(new[0]))
        return own(self, new, *more)

    monkeypatch.setattr(decode.Seen, "attend", counted)
    reference, model = theirs(folder), opened(folder, kernels=True)
    found = generated(model, PROMPTS, Sampling(max_tokens=14), merge=True)
    assert found == [alone(reference, prompt, 14) for prompt in PROMPTS]
    assert decoded == [len(PROMPTS)] * 14 * 2  # layers


def test_greedy_tokens_are_those_of_the_librarys_generate(family: Folder) -> None:
    model, reference = opened(family("qwen3")), theirs(family("qwen3"))
    for prompt, found in zip(PROMPTS, generated(model, PROMPTS, Sampling(max_tokens=9)), strict=True):
        asked = torch.tensor([prompt])
        made = reference.generate(
            asked, attention_mask=torch.ones_like(asked), max_new_tokens=9, do_sample=False, eos_token_id=None,
            pad_token_id=0,
        )  # fmt: skip
        assert found == made[0, len(prompt) :].tolist()


@pytest.mark.parametrize("name", ["llama", "gpt2", "gemma2"])
def test_merged_and_unmerged_adapters_generate_the_same_and_no_weight_moves(name: str, family: Folder) -> None:
    model, plain = with_noise(family(name)), opened(family(name))
    before = copy.deepcopy(model.network.state_dict())
    how = Sampling(max_tokens=10)
    merged, unmerged = (generated(model, PROMPTS, how, merge) for merge in (True, False))
    assert merged == unmerged != generated(plain, PROMPTS, how)
    after = model.network.state_dict()
    assert all(torch.equal(after[key], each) for key, each in before.items()) and after.keys() == before.keys()
    assert not any(isinstance(each, LowRank) and "forward" in vars(each) for each in model.network.modules())


def test_bf16_products_of_merged_adapters_are_the_adapters_own_within_rounding(family: Folder) -> None:
    net = with_noise(family("llama"), "bf16", scale=0.02).network
    layers = [each for each in net.modules() if isinstance(each, LowRank)]
    products = Products(net, copies=True)
    for layer in layers:
        x = torch.randn(5, layer.base.weight.shape[1], generator=torch.Generator().manual_seed(3)).bfloat16()
        exact = x.float() @ (layer.base.weight.float() + layer.scale * layer.lora_B @ layer.lora_A).T
        with torch.no_grad(), products.used():
            made = layer(x)
        assert made.dtype == torch.bfloat16
        assert (made.float() - exact).norm() < 2**-8 * exact.norm()


def test_a_change_that_bf16_would_round_away_stays_unmerged(family: Folder) -> None:
    """Against weights on bf16's grid a change of a thousandth of their size is below half a unit: 2**-9 of it."""
    small, large = (with_noise(family("llama"), "bf16", scale=scale).network for scale in (1e-5, 0.3))
    for net, kept in ((small, False), (large, True)):
        layers = [each for each in net.modules() if isinstance(each, LowRank)]
        assert layers and all((whole(layer, torch.bfloat16) is not None) == kept for layer in layers)
        assert all(whole(layer, torch.float32) is not None for layer in layers)


@pytest.mark.parametrize("slots", [1, 2, 4])
def test_sequences_that_leave_and_join_answer_as_when_alone(
    slots: int, family: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = opened(family("mistral"))
    how = Sampling(max_tokens=40)
    one_by_one = [generated(model, [prompt], how)[0] for prompt in PROMPTS]
    stops = frozenset({one_by_one[0][3], one_by_one[1][11], one_by_one[4][20], one_by_one[9][7]})
    cut = [answer[: next((i + 1 for i, t in enumerate(answer) if t in stops), 40)] for answer in one_by_one]
    assert len({len(each) for each in cut}) > 3  # they leave at different times
    monkeypatch.setattr(generate_file, "SLOTS", slots)
    assert generated(model, PROMPTS, how, stops=stops) == cut


@pytest.mark.parametrize("apart", [1, 10**9])
def test_a_shared_run_is_read_once_and_let_go_after_its_last_user(
    apart: int, family: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generate_file, "APART", apart)
    monkeypatch.setattr(generate_file, "SLOTS", 2)
    model, read, runs = opened(family("llama")), list[int](), set[Any]()
    own = model.network.at

    def counted(tokens: torch.Tensor, depths: torch.Tensor) -> torch.Tensor:
        read.append(len(tokens))
        return own(tokens, depths)

    monkeypatch.setattr(model.network, "at", counted)
    decoder = Decoder(model.network, 4096, NEVER, Sampling(max_tokens=3))
    asked = [[*SYSTEM, *HEADER, *some(5)] for _ in range(6)]
    for _ in decoder.stream(asked):
        runs |= {run for each in decoder.active for run in (*each.runs, *each.copied)}
    assert len(runs) == 1 and not any(run.layers for run in runs)
    decoded, probe = 6 * 3, 1
    assert sum(read) == len(SYSTEM) + len(HEADER) + 6 * (5 - 1) + decoded + probe


def test_few_sequences_decode_at_once_where_their_cache_would_be_large(
    family: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """llama here keeps 2 layers x (keys, values) x 2 groups x 8 numbers x 4 bytes = 256 bytes per token."""
    model, most = opened(family("llama")), 0
    monkeypatch.setattr(generate_file, "CACHE_BYTES", 256 * (31 + 6) * 3)
    decoder = Decoder(model.network, 4096, NEVER, Sampling(max_tokens=6))
    for _ in decoder.stream([some(31) for _ in range(7)]):
        most = max(most, len(decoder.active))
    assert decoder.slots.token_bytes == 256 and most == 3


def test_draws_depend_on_the_seed_and_the_place_of_a_prompt_alone(
    family: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = opened(family("llama"))
    hows = [Sampling(max_tokens=12, temperature=1.5, top_p=0.9, seed=seed) for seed in (3, 4)]
    together = [generated(model, PROMPTS, how) for how in hows]
    assert together[0] != together[1] and together[0][0] != together[0][5]  # one prompt, two places
    others = [prompt if place in (0, 4) else some(6) for place, prompt in enumerate(PROMPTS)]
    monkeypatch.setattr(generate_file, "SLOTS", 3)
    mixed = generated(model, others, hows[0])
    assert [mixed[place] for place in (0, 4)] == [together[0][place] for place in (0, 4)]


@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_first_tokens_are_distributed_as_the_softmax_says(temperature: float, family: Folder) -> None:
    """Chi-square over the words that 4000 draws expect ten times or more; 0.001 is the chance to fail when right."""
    from scipy.stats import chisquare

    model, prompt, draws = opened(family("llama")), some(5), 4000
    with torch.no_grad():
        logits = theirs(family("llama"))(input_ids=torch.tensor([prompt]), use_cache=False).logits[0, -1]
    expected = (logits.double() / temperature).softmax(-1).numpy() * draws
    found = generated(model, [prompt] * draws, Sampling(max_tokens=1, temperature=temperature, seed=1), merge=False)
    counts = np.bincount([tokens[0] for tokens in found], minlength=len(expected))
    often = expected >= 10
    seen, due = [np.append(each[often], each[~often].sum()) for each in (counts, expected)]
    assert often.sum() > 5 and chisquare(seen, due).pvalue > 0.001


@pytest.mark.parametrize("first", [2, 100])
def test_top_p_keeps_the_smallest_set_that_holds_it(first: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generate_file, "NUCLEUS", first)  # 2: the whole vocabulary must be sorted
    logits = torch.tensor([[0.1, 0.4, 0.2, 0.25, 0.05], [0.7, 0.1, 0.1, 0.05, 0.05]]).log()
    how = Sampling(temperature=1.0, top_p=0.8)
    drawn = [pick(logits, how, [chance, chance]).tolist() for chance in np.linspace(0, 0.9999, 400)]
    shares = [{token: sum(pair[row] == token for pair in drawn) / 400 for token in range(5)} for row in (0, 1)]
    assert shares[0] == pytest.approx({1: 0.4 / 0.85, 3: 0.25 / 0.85, 2: 0.2 / 0.85, 0: 0, 4: 0}, abs=0.01)
    assert shares[1][0] == pytest.approx(7 / 8, abs=0.01) and shares[1][3] == shares[1][4] == 0


def test_a_stop_token_ends_an_answer_and_is_the_last_that_comes(family: Folder) -> None:
    model = opened(family("llama"))
    (whole,) = generated(model, [SHARED], Sampling(max_tokens=8))
    assert len(whole) == 8
    stop = whole[4]
    (cut,) = generated(model, [SHARED], Sampling(max_tokens=8), stops=frozenset({stop}))
    assert cut == whole[: whole.index(stop) + 1]
    assert generated(model, [], Sampling()) == []


@pytest.mark.parametrize("name", ["gpt2", "opt"])
def test_an_answer_ends_where_the_bases_positions_do(name: str, tmp_path: Path) -> None:
    """Their positions are embedded: one beyond the last would be an index error."""
    limit = {"gpt2": "n_positions", "opt": "max_position_embeddings"}[name]
    model = opened(build(name, tmp_path / name, **{limit: 24}))
    prompts = [some(20), some(3), some(23)]
    assert [len(each) for each in generated(model, prompts, Sampling(max_tokens=50))] == [4, 21, 1]
    assert [each.stopped for each in model.sample(prompts[:1], Sampling(max_tokens=50))] == [False]
    for wrong in (some(24), []):
        with pytest.raises(Refused, match="prompt 1"):
            generated(model, [some(2), wrong], Sampling(max_tokens=1))


def test_long_prompts_and_long_answers_outgrow_their_first_slots(family: Folder) -> None:
    """Beyond 768 keys another kernel reads prompts; slots begin with room for 32 tokens."""
    model, reference = opened(family("qwen2")), theirs(family("qwen2"))
    head = some(800)
    prompts = [[*head, *some(3)], some(40), [*head, *some(30)]]
    found = generated(model, prompts, Sampling(max_tokens=70))
    for prompt, tokens in zip(prompts, found, strict=True):
        text = torch.tensor([[*prompt, *tokens]])
        with torch.no_grad():
            likeliest = reference(input_ids=text, use_cache=False).logits[0, len(prompt) - 1 : -1].argmax(-1)
        assert tokens == likeliest.tolist()


def test_ties_of_rounded_logits_are_broken_by_the_exact_ones(family: Folder) -> None:
    """Logits of 20 and more are multiples of 1/8 in bf16: what is likeliest is seen only without rounding."""
    model = opened(family("llama"), "bf16")
    hidden = torch.randn(2000, 32, generator=torch.Generator().manual_seed(9)) * 8
    exact = hidden.bfloat16().float() @ model.network.words.weight_VD.float().T
    for copies in (False, True):
        assert torch.equal(generate_file._Head(model.network, copies).logits(hidden).argmax(-1), exact.argmax(-1))
    assert (hidden.bfloat16() @ model.network.words.weight_VD.T).argmax(-1).ne(exact.argmax(-1)).any()


def test_streams_of_two_calls_may_be_read_in_turns(family: Folder) -> None:
    model, how = opened(family("llama")), Sampling(max_tokens=6)
    streams = [Decoder(model.network, 4096, NEVER, how).stream([prompt], True) for prompt in PROMPTS[:2]]
    turns = [list(pair) for pair in zip(*streams, strict=True)]
    assert [[token for _, token in each] for each in zip(*turns, strict=True)] == [
        generated(model, [prompt], how)[0] for prompt in PROMPTS[:2]
    ]
    assert not torch.is_inference_mode_enabled()
