"""Texts with gaps: the shares of the papers, whole words, an order for every gap, the same by the same draws."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from families import SPECIAL

from affina.core.errors import Refused
from affina.core.example import Gapped
from affina.core.kinds import Row
from affina.data.gaps import gapped
from affina.data.rows import Renderer

TEXT = "How do I change the address of my account? Please send me a new card because the old one is broken. " * 12
MASK = SPECIAL.index("[MASK]")


def renderer(folder: Path, most: int = 1000) -> Renderer:
    opened = Renderer.open(folder)
    opened.max_tokens = most
    return opened


def rows(opened: Renderer, **gaps: object) -> list[Row]:
    return opened.rows([replace(Gapped(id="g", text=TEXT, share=0.15), **gaps)])  # type: ignore[arg-type]


@pytest.fixture
def opened(family: Callable[[str], Path]) -> Renderer:
    return renderer(family("bert+words"))


def test_of_the_hidden_tokens_80_in_100_are_masked_10_changed_10_kept(opened: Renderer) -> None:
    (row,) = rows(opened, whole=False)
    assert row.said is not None and row.cloze is not None
    drawn = [opened.drawn(row, np.random.default_rng(seed)) for seed in range(200)]
    hidden = np.concatenate([np.flatnonzero(each.weights) for each in drawn])
    now = np.concatenate([each.tokens[each.weights > 0] for each in drawn])
    then = row.said[hidden]
    free = int((row.cloze.words >= 0).sum())
    assert {each.targets for each in drawn} == {round(0.15 * free)}
    # Of n draws a share p is p ± 4·√(p(1 - p) / n); a changed token is the old one once in 300.
    bound = 4 * np.sqrt(0.25 / len(now))
    assert np.mean(now == MASK) == pytest.approx(0.8, abs=bound)
    assert np.mean((now != MASK) & (now != then)) == pytest.approx(0.1, abs=bound)
    assert np.mean(now == then) == pytest.approx(0.1, abs=bound)
    assert not np.isin(now, [0, 1, 2, 3]).any()  # special tokens are neither hidden nor drawn
    assert all((each.tokens == row.said)[each.weights == 0].all() for each in drawn)


def test_words_are_hidden_whole(opened: Renderer) -> None:
    (row,) = rows(opened)
    assert row.cloze is not None and row.cloze.words.max() > 20
    for seed in range(20):
        drawn = opened.drawn(row, np.random.default_rng(seed))
        for word in range(int(row.cloze.words.max()) + 1):
            assert len(set(drawn.weights[row.cloze.words == word].tolist())) <= 1
        assert 0 < drawn.targets <= round(0.15 * (row.cloze.words >= 0).sum())


def test_the_same_draws_hide_the_same_and_others_others(opened: Renderer) -> None:
    (row,) = rows(opened)
    same = [opened.drawn(row, np.random.default_rng(5)) for _ in range(2)]
    other = opened.drawn(row, np.random.default_rng(6))
    assert np.array_equal(same[0].tokens, same[1].tokens) and np.array_equal(same[0].weights, same[1].weights)
    assert not np.array_equal(same[0].weights, other.weights)
    assert [each.tokens.tolist() for each in rows(opened)] == [row.tokens.tolist()]


def test_permuted_gaps_hide_nothing_and_each_has_a_turn(opened: Renderer) -> None:
    (row,) = rows(opened, permuted=True, spans=5, share=1 / 6)
    assert row.cloze is not None and row.orders is not None and row.said is not None
    assert np.array_equal(row.tokens, row.cloze.tokens) and np.array_equal(row.said, row.tokens)
    gaps = row.weights > 0
    assert sorted(row.orders[gaps].tolist()) == list(range(row.targets)) and (row.orders[~gaps] == -1).all()
    assert 0 < row.targets <= round((row.cloze.words >= 0).sum() / 6)


def test_the_order_is_drawn_anew(opened: Renderer) -> None:
    (row,) = rows(opened, permuted=True, share=1 / 6)
    drawn = [opened.drawn(row, np.random.default_rng(seed)).orders for seed in range(60)]
    first = [int(orders[orders >= 0][0]) for orders in drawn if orders is not None]
    assert len(first) == 60 and len({*first}) > 10


def test_runs_of_every_length_up_to_spans_are_chosen(opened: Renderer) -> None:
    """Five of the words: one run of five in a fifth of the draws, and seldom when two runs meet."""
    (row,) = rows(opened, permuted=True)
    assert row.cloze is not None
    row = replace(row, cloze=replace(row.cloze, words=np.arange(len(row.tokens), dtype=np.int32), spans=5))
    assert row.cloze is not None
    row = replace(row, cloze=replace(row.cloze, share=5 / len(row.tokens)))
    drawn = [np.flatnonzero(opened.drawn(row, np.random.default_rng(seed)).weights) for seed in range(200)]
    assert all(len(places) == 5 for places in drawn)
    assert np.mean([places[-1] - places[0] == 4 for places in drawn]) == pytest.approx(0.2, abs=4 * np.sqrt(0.16 / 200))


def test_texts_are_measured_with_gaps_of_their_own(opened: Renderer) -> None:
    one, two = (opened.rows([Gapped(id=name, text=TEXT, share=0.15)])[0] for name in ("g", "h"))
    assert not np.array_equal(one.weights, two.weights)


@pytest.mark.parametrize("permuted", [False, True])
def test_a_texts_own_masks_are_its_gaps_and_none_sees_another(permuted: bool, opened: Renderer) -> None:
    text = "How do I change the [MASK] of my [MASK]?"
    (row,) = opened.rows([Gapped(id="g", text=text, share=0, permuted=permuted)])
    masks = row.tokens == MASK
    assert masks.sum() == 2 and np.array_equal(row.weights > 0, masks)
    assert row.orders is None or ((row.orders[masks] == 0).all() and (row.orders[~masks] == -1).all())
    assert (row.orders is None) is not permuted


@pytest.mark.parametrize(
    ("owners", "words"),
    [
        ([0, 0, None, 1, None, 2, 2], [0, 0, 1, 2, 3, 4, 4]),  # what belongs to no word is one by itself
        ([0] * 5 + [1] * 4, [*range(9)]),  # two words in nine tokens: the tokenizer knows none
        ([0] * 4 + [1] * 4, [0] * 4 + [1] * 4),
    ],
)
def test_words_are_the_tokenizers_where_it_has_any(
    owners: list[int | None], words: list[int], opened: Renderer
) -> None:
    encoding = SimpleNamespace(ids=[*range(10, 10 + len(owners))], word_ids=owners)
    (row,) = gapped(opened.vocabulary, Gapped(id="g", text="", share=0.5), encoding, 100)
    assert row.cloze is not None and row.cloze.words.tolist() == [-1, *words, -1]


def test_a_long_text_is_divided_and_every_part_is_opened_and_closed(opened: Renderer) -> None:
    opened.max_tokens = 40
    parts = rows(opened)
    assert len(parts) > 5 and all(len(part.tokens) <= 40 for part in parts)
    whole = [token for part in parts for token in part.cloze.tokens[1:-1].tolist()]  # type: ignore[union-attr]
    assert whole == opened.vocabulary.encode([TEXT])[0].ids
    assert {(int(part.tokens[0]), int(part.tokens[-1])) for part in parts} == {(2, 3)}


def test_a_base_without_a_mask_is_refused(opened: Renderer) -> None:
    del opened.vocabulary.named["mask_token"]
    with pytest.raises(Refused, match="names no mask token"):
        rows(opened)
    assert rows(opened, permuted=True)[0].targets


def test_of_a_single_bare_token_nothing_is_said_in_order(family: Callable[[str], Path]) -> None:
    bare = renderer(family("gpt2"))
    (row,) = bare.rows([Gapped(id="g", text="a", share=0.5, permuted=True)])
    assert len(row.tokens) == 1 and row.targets == 0
