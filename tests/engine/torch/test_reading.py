"""Masked, permutation and encoder–decoder models: the engine's numbers are the library's own, row by row."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from families import SPECIAL
from transformers import AutoModelForCausalLM, AutoModelForMaskedLM, AutoModelForSeq2SeqLM

from affina.core.compute import Computing
from affina.core.example import Gapped, Labelled, Parallel
from affina.core.kinds import Ending, Row, Sampling
from affina.data.rows import Renderer
from affina.engine.torch.load import load
from affina.engine.torch.model import TorchModel

Folder = Callable[[str], Path]
MASKED = ("bert+words", "distilbert+words", "roberta+words", "deberta-v2+words")
TEXTS = ("The parcel has not arrived yet.", "Please send me a new card because the old one is broken.", "a b")


def opened(folder: Path, reads: str) -> TorchModel:
    return TorchModel(load(folder, Computing("float32"), Ending(reads=reads)), Renderer.open(folder))


def gapped(model: TorchModel, permuted: bool) -> list[Row]:
    examples = [Gapped(id=f"g:{n}", text=text, share=0.3, permuted=permuted, spans=3) for n, text in enumerate(TEXTS)]
    return model.renderer.rows(examples)


@pytest.mark.parametrize("name", MASKED)
def test_a_masked_models_nats_are_the_librarys(name: str, family: Folder) -> None:
    model = opened(family(name), "both")
    rows = gapped(model, permuted=False)
    own: Any = AutoModelForMaskedLM.from_pretrained(family(name), dtype=torch.float32).eval()
    found = model.score(rows)
    for row, each in zip(rows, found, strict=True):
        places = np.flatnonzero(row.weights)
        assert row.said is not None and len(places)
        with torch.no_grad():
            logits = own(input_ids=torch.from_numpy(row.tokens).long()[None]).logits[0, places]
        expected = logits.log_softmax(-1).gather(1, torch.from_numpy(row.said[places]).long()[:, None])[:, 0]
        assert each.logprobs_S == pytest.approx(expected.numpy(), abs=2e-5)


def test_xlnets_nats_are_the_librarys_with_its_own_masks(family: Folder) -> None:
    model = opened(family("xlnet+words"), "order")
    rows = gapped(model, permuted=True)
    own: Any = AutoModelForCausalLM.from_pretrained(family("xlnet+words"), dtype=torch.float32).eval()
    for row, each in zip(rows, model.score(rows), strict=True):
        assert row.said is not None and row.orders is not None
        size, places = len(row.tokens), np.flatnonzero(row.weights)
        # A hidden token is seen by nobody but those that are said after it.
        unseen, wanted = torch.zeros(1, size, size), torch.zeros(1, len(places), size)
        for i in range(size):
            for j in places:
                unseen[0, i, j] = float(row.orders[i] <= row.orders[j])
        for turn, place in enumerate(places):
            wanted[0, turn, place] = 1
        with torch.no_grad():
            out = own(input_ids=torch.from_numpy(row.tokens).long()[None], perm_mask=unseen, target_mapping=wanted)
        expected = out.logits[0].log_softmax(-1).gather(1, torch.from_numpy(row.said[places]).long()[:, None])[:, 0]
        assert each.logprobs_S == pytest.approx(expected.numpy(), abs=2e-5)


def test_what_is_said_later_does_not_change_what_is_said_before(family: Folder) -> None:
    model = opened(family("xlnet+words"), "order")
    row = gapped(model, permuted=True)[1]
    assert row.orders is not None
    places = np.flatnonzero(row.weights)
    turns = row.orders[places]
    before = model.score([row])[0].logprobs_S
    for turn in turns:
        tokens = row.tokens.copy()
        tokens[row.orders == turn] += 1  # another token there; its own name in `said` stays
        other = Row(row.id, tokens, row.weights, said=row.said, orders=row.orders)
        after = model.score([other])[0].logprobs_S
        changed = before != after
        assert not changed[turns <= turn].any() and (changed[turns > turn].all() or turn == turns.max())


@pytest.mark.parametrize("name", ["t5", "bart"])
def test_an_encoder_decoders_nats_and_answers_are_the_librarys(name: str, family: Folder) -> None:
    model = opened(family(name), "source")
    pairs = [("where is it", "here"), (TEXTS[1], TEXTS[0]), ("a", "Perché il pacco non è arrivato?")]
    examples = [Parallel(id=f"p:{n}", source=one, result=two) for n, (one, two) in enumerate(pairs)]
    rows = model.renderer.rows(examples)
    own: Any = AutoModelForSeq2SeqLM.from_pretrained(family(name), dtype=torch.float32).eval()
    start = SPECIAL.index("<|im_end|>")
    for row, each in zip(rows, model.score(rows), strict=True):
        assert row.source is not None and row.tokens[0] == start and row.weights.tolist() == [0] + [1] * row.targets
        labels = torch.from_numpy(row.tokens[1:]).long()[None]
        with torch.no_grad():
            loss = own(input_ids=torch.from_numpy(row.source).long()[None], labels=labels).loss
        assert -each.logprobs_S.mean() == pytest.approx(float(loss), abs=2e-5)
    said = model.sample([model.renderer.prompt(example) for example in examples], Sampling(max_tokens=6))
    for row, each in zip(rows, said, strict=True):
        source = torch.from_numpy(row.source).long()[None]  # type: ignore[arg-type]
        made = own.generate(input_ids=source, max_new_tokens=6, do_sample=False, eos_token_id=start, pad_token_id=start)
        expected = made[0, 1:].tolist()
        assert list(each.tokens) == expected[: expected.index(start) if start in expected else None]


@pytest.mark.parametrize(
    ("name", "reads"), [("t5", "source"), ("bart", "source"), ("xlnet+words", "order"), ("deberta-v2+words", "both")]
)
def test_rows_together_are_rows_alone(name: str, reads: str, family: Folder) -> None:
    model = opened(family(name), reads)
    assert not model.network.flat and model.network.together and not model.shares
    rows = (
        gapped(model, permuted=reads == "order")
        if reads in ("order", "both")
        else model.renderer.rows([Parallel(id=text, source=text, result=text[::-1]) for text in TEXTS])
    )
    together = model.score(rows)
    for row, each in zip(rows, together, strict=True):
        assert each.logprobs_S == pytest.approx(model.score([row])[0].logprobs_S, abs=1e-5)


def test_xlnets_rows_are_summed_up_by_their_last_token_where_its_cls_stands(family: Folder) -> None:
    net = load(family("xlnet"), Computing("float32"), Ending("labels", 2))
    model = TorchModel(net, Renderer.open(family("xlnet")))
    (row,) = model.renderer.rows([Labelled(id="l", text=TEXTS[0], label="a", labels=("a", "b"))])
    with torch.no_grad():
        state = net.model(torch.from_numpy(row.tokens).long()[None]).last_hidden_state[0, -1]
        assert net.head is not None
        expected = net.head(state)
    assert model.score([row])[0].scores_L == pytest.approx(expected.numpy(), abs=1e-5)
