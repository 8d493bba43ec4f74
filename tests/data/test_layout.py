"""A batch holds every row of any forest, readable by walking its segments, with the targets of the unshared layout."""

from dataclasses import fields, replace

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from affina.core.kinds import Batch, Row
from affina.data import abreast, supervised
from affina.data.layout import batches_of, layout
from affina.data.prefixes import SHORTEST_SHARED
from affina.data.supervised import Supervised


def walked(batch: Batch, r: int) -> npt.NDArray[np.int64]:
    """Where row r's tokens stand in T: its last token's segment and that segment's ancestors, cut at its last token."""
    number = next(n for n, each in enumerate(batch.segments) if each.start <= batch.ends_R[r] < each.stop)
    runs = []
    while number >= 0:
        runs.append(np.arange(batch.segments[number].start, batch.segments[number].stop))
        number = batch.segments[number].parent
    whole = np.concatenate(runs[::-1])
    return whole[: int(np.flatnonzero(whole == batch.ends_R[r])[0]) + 1]


@st.composite
def forests(draw: st.DrawFn) -> list[Row]:
    """Rows that continue one another's beginnings: copies, prefixes of any depth, single tokens, any weights."""
    rows: list[Row] = []
    for number in range(draw(st.integers(1, 8))):
        heads = [row.tokens[: draw(st.integers(0, len(row.tokens)))].tolist() for row in rows]
        head = draw(st.sampled_from([[], *heads]))
        tail = draw(st.lists(st.integers(0, 2), min_size=0 if head else 1, max_size=30))
        tokens = np.array([*head, *tail], np.int32)
        first = draw(st.integers(0, len(tokens)))  # the first supervised token
        pattern = draw(st.lists(st.sampled_from([0.0, 1.0, 0.5]), min_size=len(tokens), max_size=len(tokens)))
        weights = np.where(np.arange(len(tokens)) >= first, np.array(pattern), 0.0).astype(np.float32)
        rows.append(Row(f"row:{number}", tokens, weights, label=number % 3 - 1))
    return rows


@settings(deadline=None, max_examples=200)
@given(forests(), st.booleans())
def test_every_row_can_be_read_back_at_its_depths(rows: list[Row], share: bool) -> None:
    batch = layout(rows, share)
    for r, row in enumerate(rows):
        places = walked(batch, r)
        assert batch.tokens_T[places].tolist() == row.tokens.tolist()
        assert batch.depths_T[places].tolist() == list(range(len(row.tokens)))
        assert (places[0], places[-1]) == (batch.starts_R[r], batch.ends_R[r])
    assert batch.ids == tuple(row.id for row in rows)
    assert batch.labels_R.tolist() == [row.label for row in rows]
    assert batch.tokens == sum(len(row.tokens) for row in rows)


@settings(deadline=None, max_examples=200)
@given(forests(), st.booleans())
def test_segments_tile_the_flat_sequence_and_follow_their_parents(rows: list[Row], share: bool) -> None:
    batch = layout(rows, share)
    edges = [0, *(each.stop for each in batch.segments)]
    assert [each.start for each in batch.segments] == edges[:-1] and edges[-1] == len(batch.tokens_T)
    for number, each in enumerate(batch.segments):
        assert each.stop > each.start and -1 <= each.parent < number
        if each.parent >= 0:
            assert batch.depths_T[each.start] == batch.depths_T[batch.segments[each.parent].stop - 1] + 1


@settings(deadline=None, max_examples=200)
@given(forests())
def test_targets_are_those_of_the_unshared_layout_and_none_is_merged(rows: list[Row]) -> None:
    shared, plain = layout(rows, share=True), layout(rows, share=False)
    for field in ("targets_S", "weights_S", "owners_S"):
        assert np.array_equal(getattr(shared, field), getattr(plain, field))
    assert np.array_equal(shared.tokens_T[shared.sources_S], plain.tokens_T[plain.sources_S])
    assert np.array_equal(shared.depths_T[shared.sources_S], plain.depths_T[plain.sources_S])
    expected = [
        (r, int(row.tokens[i - 1]), int(row.tokens[i]), float(row.weights[i]))
        for r, row in enumerate(rows)
        for i in range(1, len(row.tokens))
        if row.weights[i]
    ]
    found = zip(
        shared.owners_S.tolist(),
        shared.tokens_T[shared.sources_S].tolist(),
        shared.targets_S.tolist(),
        shared.weights_S.tolist(),
        strict=True,
    )
    assert list(found) == expected
    for r, row in enumerate(rows):  # a supervised token stands in a segment of its own row alone
        places = walked(shared, r)[np.flatnonzero(row.weights[1:]) + 1]
        others = [walked(shared, other) for other in range(len(rows)) if other != r]
        assert not others or not np.isin(places, np.concatenate(others)).any()


def test_the_longest_common_prefix_stands_once_and_nothing_shorter_is_shared() -> None:
    head = list(range(20))
    rows = [
        Row(str(n), np.array([*head, 50 + n, 9], np.int32), np.array([0.0] * 21 + [1.0], np.float32)) for n in (0, 1)
    ]
    batch = layout(rows)
    assert [(each.start, each.stop, each.parent) for each in batch.segments] == [(0, 20, -1), (20, 22, 0), (22, 24, 0)]
    assert len(batch.tokens_T) == 24 and batch.tokens == 44
    start = 20 - SHORTEST_SHARED + 1
    short = [replace(row, tokens=row.tokens[start:], weights=row.weights[start:]) for row in rows]
    assert len(layout(short).segments) == 2


def test_a_prefix_is_shared_up_to_the_first_target_and_not_further() -> None:
    tokens = np.arange(30, dtype=np.int32)
    rows = [Row(str(n), tokens, (np.arange(30) >= 12).astype(np.float32)) for n in range(2)]
    assert [each.stop - each.start for each in layout(rows).segments] == [12, 18, 18]


def test_identical_rows_without_targets_keep_a_last_token_of_their_own() -> None:
    rows = [Row(str(n), np.arange(30, dtype=np.int32), np.zeros(30, np.float32)) for n in range(2)]
    batch = layout(rows)
    assert len(set(batch.ends_R.tolist())) == 2 and len(batch.tokens_T) == 31


def test_no_rows_make_an_empty_batch() -> None:
    batch = layout([])
    assert batch.ids == () and batch.segments == () and batch.tokens == 0
    assert len(batch.tokens_T) == len(batch.sources_S) == len(batch.starts_R) == 0


@settings(deadline=None, max_examples=100)
@given(forests(), st.integers(1, 80), st.booleans())
def test_groups_keep_the_order_and_the_bound(rows: list[Row], most: int, share: bool) -> None:
    groups = list(batches_of(rows, most, share))
    assert [place for group, _ in groups for place in group] == list(range(len(rows)))
    for group, batch in groups:
        assert batch.ids == tuple(rows[place].id for place in group)
        assert batch.tokens <= most or len(group) == 1


@pytest.mark.parametrize("share", [True, False])
def test_groups_of_nothing_are_none(share: bool) -> None:
    assert list(batches_of([], 10, share)) == []


@pytest.mark.parametrize("cores", [1, 2, 3])
def test_any_number_of_cores_lays_out_the_same_batches(monkeypatch: pytest.MonkeyPatch, cores: int) -> None:
    dice = np.random.default_rng(0)
    rows = [
        Row(f"{n}", np.r_[np.full(20, n % 3), dice.integers(0, 9, n % 13)].astype(np.int32), np.ones(20 + n % 13, "f4"))
        for n in range(200)
    ]
    rows = [replace(row, weights=np.where(np.arange(len(row.weights)) < 18, 0, row.weights)) for row in rows]
    monkeypatch.setattr(abreast, "cores", lambda: cores)
    groups = list(batches_of(rows, 300))
    assert [place for group, _ in groups for place in group] == list(range(200))
    for group, batch in groups:
        alone = layout([rows[place] for place in group])
        assert batch.segments == alone.segments and batch.ids == alone.ids
        for name, column in ((each.name, getattr(batch, each.name)) for each in fields(batch)):
            if isinstance(column, np.ndarray):
                assert np.array_equal(column, getattr(alone, name)) and column.dtype == getattr(alone, name).dtype


@settings(deadline=None, max_examples=50)
@given(forests(), st.integers(1, 60))
def test_what_rows_are_to_predict_does_not_depend_on_how_many_are_looked_through(rows: list[Row], most: int) -> None:
    rows = [replace(row, said=row.tokens + 5) if n % 3 == 2 else row for n, row in enumerate(rows)]
    whole = Supervised.of(rows)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(supervised, "TOGETHER", most)
        parts = Supervised.of(rows)
    for each in fields(whole):
        assert np.array_equal(getattr(whole, each.name), getattr(parts, each.name))
    expected = [
        (r, i - (row.said is None), int((row.tokens if row.said is None else row.said)[i]), float(row.weights[i]))
        for r, row in enumerate(rows)
        for i in range(len(row.tokens))
        if row.weights[i] and i - (row.said is None) >= 0
    ]
    owners = np.repeat(np.arange(len(rows)), whole.counts_R)
    columns = (owners, whole.sources_S, whole.targets_S, whole.weights_S)
    assert list(zip(*(column.tolist() for column in columns), strict=True)) == expected
    for first, row in zip(whole.firsts_R.tolist(), rows, strict=True):
        assert first == next((i for i, weight in enumerate(row.weights) if weight), len(row.tokens))
