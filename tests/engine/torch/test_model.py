"""Scores, samples and embeddings are those of the library's own models, row by row and unpadded."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from families import DECODERS, ENCODERS, build, noisy, random_rows
from transformers import AutoModel, AutoModelForCausalLM, RobertaConfig, RobertaForCausalLM

from affina.core.compute import Computing
from affina.core.kinds import Ending, Sampling
from affina.data.rows import Renderer
from affina.engine.torch import model as model_file
from affina.engine.torch.attention import NAME
from affina.engine.torch.load import load
from affina.engine.torch.model import TorchModel

Folder = Callable[[str], Path]
TEXTS = ["Where is my parcel?", "a", "perché 🎈 il pacco non è arrivato, grazie", "the old one is broken " * 3]


def opened(folder: Path, labels: int = 0) -> TorchModel:
    return TorchModel(
        load(folder, Computing("float32"), Ending("labels", labels) if labels else Ending()), Renderer.open(folder)
    )


def theirs(folder: Path) -> Any:
    auto: Any = AutoModel if folder.name in ENCODERS else AutoModelForCausalLM
    return auto.from_pretrained(folder, attn_implementation="eager", dtype=torch.float32).eval()


@pytest.mark.parametrize("most", [8192, 30])
@pytest.mark.parametrize("name", DECODERS)
def test_scores_are_each_rows_own_log_probabilities_in_the_order_given(
    name: str, most: int, family: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_file, "SCORE_TOKENS", most)
    rows, reference = random_rows(300), theirs(family(name))
    scored = opened(family(name)).score(rows)
    assert len(scored) == len(rows)
    for row, each in zip(rows, scored, strict=True):
        tokens, at = torch.from_numpy(row.tokens).long(), np.flatnonzero(row.weights)
        with torch.no_grad():
            logprobs = reference(input_ids=tokens[None], use_cache=False).logits[0].log_softmax(-1)
        assert each.scores_L is None and each.logprobs_S.dtype == np.float64
        assert each.logprobs_S == pytest.approx(logprobs[at - 1, tokens[at]].double().numpy(), abs=2e-5)


@pytest.mark.parametrize("name", ["llama", "gpt2", "bloom", *ENCODERS])
def test_label_scores_come_from_the_first_token_of_encoders_and_the_last_of_decoders(name: str, family: Folder) -> None:
    model, rows = opened(family(name), labels=3), random_rows(300)
    net, place = model.network, 0 if name in ENCODERS else -1
    for row, each in zip(rows, model.score(rows), strict=True):
        hidden = net.hidden(model.layout([row]))[place]
        expected = net.head(hidden).detach().double().numpy()  # type: ignore[misc]
        assert each.scores_L == pytest.approx(expected, abs=2e-5) and len(each.logprobs_S) == 0


PROMPTS = [row.tokens[:size].tolist() for row, size in zip(random_rows(300), (21, 3, 9, 14, 1), strict=False)]


@pytest.mark.parametrize("name", DECODERS)
def test_greedy_samples_are_those_of_the_library_for_each_prompt_alone(name: str, family: Folder) -> None:
    model, reference = opened(family(name)), theirs(family(name))
    stops = sorted(model.renderer.stops)
    found = model.sample(PROMPTS, Sampling(max_tokens=12))
    for prompt, sampled in zip(PROMPTS, found, strict=True):
        with torch.no_grad():
            made = reference.generate(
                torch.tensor([prompt]), attention_mask=torch.ones(1, len(prompt), dtype=torch.long),
                max_new_tokens=12, do_sample=False, eos_token_id=stops, pad_token_id=stops[0],
            )[0, len(prompt):].tolist()  # fmt: skip
        stopped = made[-1] in stops
        assert sampled.tokens == tuple(made[:-1] if stopped else made) and sampled.stopped == stopped
        assert sampled.text == model.renderer.text(sampled.tokens)


def test_a_base_with_words_that_looks_both_ways_answers_as_the_librarys_own(tmp_path: Path) -> None:
    """Its attention takes a forest but no cache: it decodes with the library's attention, lent and taken back."""
    config = RobertaConfig.from_pretrained(build("roberta", tmp_path / "words"))
    made: Any = RobertaForCausalLM(config)
    noisy(made)
    made.save_pretrained(tmp_path / "words")
    model, prompt = opened(tmp_path / "words"), [5, 6, 200, 31]
    assert model.network.flat and not model.network.causal
    (found,) = model.sample([prompt], Sampling(max_tokens=6))
    asked = torch.tensor([prompt])
    expected = made.eval().generate(asked, attention_mask=torch.ones_like(asked), max_new_tokens=6, do_sample=False)
    assert list(found.tokens) == expected[0, len(prompt) :].tolist()[: len(found.tokens)] and found.tokens
    assert model.network.config._attn_implementation == NAME


def test_an_answer_ends_before_its_stop_token(family: Folder) -> None:
    model = opened(family("llama"))
    (whole,) = model.sample(PROMPTS[:1], Sampling(max_tokens=8))
    assert not whole.stopped and len(whole.tokens) == 8
    stop = whole.tokens[4]
    model.renderer.vocabulary.stops.add(stop)
    del model.renderer.__dict__["stops"]
    (cut,) = model.sample(PROMPTS[:1], Sampling(max_tokens=8))
    assert cut.stopped and cut.tokens == whole.tokens[: whole.tokens.index(stop)]


def test_what_a_base_declares_about_decoding_changes_no_answer(family: Folder, tmp_path: Path) -> None:
    folder = tmp_path / "llama"
    shutil.copytree(family("llama"), folder)
    habits = {"repetition_penalty": 5.0, "do_sample": True, "top_k": 1, "no_repeat_ngram_size": 1, "min_new_tokens": 9}
    (folder / "generation_config.json").write_text(json.dumps(habits))
    for how in (Sampling(max_tokens=10), Sampling(max_tokens=10, temperature=1.5, seed=3)):
        assert opened(folder).sample(PROMPTS, how) == opened(family("llama")).sample(PROMPTS, how)


def test_sampling_follows_its_seed_and_its_temperature(family: Folder) -> None:
    model = opened(family("llama"))
    drawn = [model.sample(PROMPTS, Sampling(max_tokens=8, temperature=2.0, seed=seed)) for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]
    greedy = model.sample(PROMPTS, Sampling(max_tokens=8))
    assert model.sample(PROMPTS, Sampling(max_tokens=8, temperature=1.0, top_p=1e-6)) == greedy
    assert model.sample([], Sampling()) == []


def test_many_prompts_keep_their_order(family: Folder) -> None:
    model = opened(family("llama"))
    prompts = [list(range(3, 3 + size)) for size in (5, 19, 2, 7, 11, 3, 13, 4, 17, 6, 8)]
    together = model.sample(prompts, Sampling(max_tokens=4))
    assert together == [model.sample([prompt], Sampling(max_tokens=4))[0] for prompt in prompts]


@pytest.mark.parametrize("name", ["llama", "bloom", *ENCODERS])
def test_embeddings_are_the_unit_mean_of_each_texts_hidden_states(
    name: str, family: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_file, "SCORE_TOKENS", 40)
    model = opened(family(name), labels=2 if name in ENCODERS else 0)
    reference = theirs(family(name))
    reference = reference if name in ENCODERS else reference.get_decoder()
    found = model.embed(TEXTS)
    assert found.dtype == np.float32 and np.linalg.norm(found, axis=1) == pytest.approx(np.ones(len(TEXTS)), abs=1e-6)
    for text, vector in zip(TEXTS, found, strict=True):
        ids = model.renderer.vocabulary.encode([text], special=True)[0].ids
        more = {"position_ids": torch.arange(2, 2 + len(ids))[None]} if name == "roberta" else {}
        with torch.no_grad():
            mean = reference(input_ids=torch.tensor([ids]), **more).last_hidden_state[0].mean(0)
        assert vector == pytest.approx((mean / mean.norm()).numpy(), abs=1e-5)


@pytest.mark.parametrize("name", ["llama", "bert"])
def test_only_networks_that_look_back_share_prefixes(name: str, family: Folder) -> None:
    rows = random_rows(300)
    batch = opened(family(name), labels=2).layout(rows)
    assert (len(batch.tokens_T) < batch.tokens) == (name == "llama")


def test_reading_leaves_the_network_as_it_was(family: Folder) -> None:
    model = opened(family("llama"))
    model.network.train()
    model.score(random_rows(300))
    model.sample(PROMPTS[:1], Sampling(max_tokens=1))
    assert model.network.training and not any(each.grad is not None for each in model.network.parameters())


SIMILAR = ("Where is my parcel?", "My package has not arrived yet.", "The cat sleeps on the warm roof.")


@pytest.mark.slow
def test_the_real_minilm_puts_similar_sentences_closer_and_agrees_with_the_librarys_own() -> None:
    from transformers import AutoTokenizer

    from affina.engine.source import find

    folder = find("minilm").folder
    found = opened(folder, labels=2).embed(SIMILAR)
    assert found[0] @ found[1] > found[0] @ found[2] + 0.3
    reference, tokenizer = AutoModel.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)
    for text, vector in zip(SIMILAR, found, strict=True):
        with torch.no_grad():
            mean = reference(**tokenizer(text, return_tensors="pt")).last_hidden_state[0].mean(0)
        assert vector == pytest.approx((mean / mean.norm()).numpy(), abs=1e-5)
