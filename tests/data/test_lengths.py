from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from affina.data.lengths import SHARES, Lengths


def of(*lengths: int) -> Lengths:
    held = Lengths()
    for length in lengths:
        held.add(length)
    return held


@given(st.lists(st.integers(0, 300), min_size=1, max_size=60))
def test_quantiles_are_numpys_inverted_distribution_function(lengths: list[int]) -> None:
    summary = of(*lengths).summary()
    for name, share in SHARES.items():
        assert summary[name] == np.quantile(lengths, share, method="inverted_cdf")
    assert summary["total"] == sum(lengths)
    assert summary["mean"] == round(sum(lengths) / len(lengths), 2)


@given(st.lists(st.integers(0, 5000), min_size=1, max_size=200), st.integers(1, 30))
def test_bins_hold_every_text_once_and_tile_the_lengths(lengths: list[int], most: int) -> None:
    bins = of(*lengths).bins(most)
    assert sum(texts for _, _, texts in bins) == len(lengths)
    assert len(bins) <= most + 1
    assert all(one[1] == two[0] for one, two in pairwise(bins))
    for start, stop, texts in bins:
        assert texts == sum(start <= length < stop for length in lengths)


def test_a_giant_is_in_the_last_bin_and_does_not_flatten_the_others() -> None:
    # 99 % of 1000 texts have up to 100 characters, so bins of a width of 10 reach to 150
    bins = of(*(n % 100 + 1 for n in range(999)), 1_000_000).bins(20)
    assert [(start, stop) for start, stop, _ in bins][:2] == [(0, 10), (10, 20)]
    assert bins[-1][1] == 1_000_001 and bins[-1][2] == 1


@pytest.mark.parametrize("lengths", [(), (0,), (0, 0)])
def test_nothing_and_empty_texts_have_figures_too(lengths: tuple[int, ...]) -> None:
    assert of(*lengths).summary()["most"] == 0
    assert of(*lengths).bins(10) == ([(0, 1, len(lengths))] if lengths else [])
