"""Supervised batches: composed to share within windows, at a cost per batch that the size of the data does not move."""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, overload

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from affina.core.kinds import Batch, Row, regimes
from affina.core.recipe import Recipe, Train
from affina.engine.toy import Toy


class Unshared(Toy):
    """A model that takes no forest."""

    shares = False


class Counted(Sequence[Row]):
    """Rows that count how often one is taken."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self.rows, self.taken = rows, 0

    def __len__(self) -> int:
        return len(self.rows)

    @overload
    def __getitem__(self, place: int) -> Row: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Row]: ...
    def __getitem__(self, place: Any) -> Any:
        self.taken += 1
        return self.rows[place]


def rows_of(documents: int, questions: int, length: int = 40) -> list[Row]:
    """Rows of `questions` about each of the documents."""
    made = []
    for number in range(documents * questions):
        tokens = np.array([number // questions] * length + [60_000 + number] * 9, np.int32)
        made.append(
            Row(f"{number // questions}.{number}", tokens, (np.arange(length + 9) >= length + 5) + np.float32(0))
        )
    return made


def made(
    rows: Sequence[Row], start: int = 0, model: Any = None, regime: Any = "supervised", **train: Any
) -> Iterator[Batch]:
    given = Train(**{"batch": 8, **train})
    return regimes.build(regime).batches(rows, model or Toy(), given, start)


def ids(batches: Iterator[Batch], count: int) -> list[tuple[str, ...]]:
    return [batch.ids for batch in islice(batches, count)]


def laid_out(batches: Iterator[Batch], count: int) -> int:
    return sum(len(batch.tokens_T) for batch in islice(batches, count))


WINDOWS = st.integers(0, 9)


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 70), WINDOWS, st.integers(1, 8), st.integers(1, 3), st.integers(0, 2))
def test_every_row_comes_once_per_epoch_and_any_start_gives_the_same(
    count: int, window: int, batch: int, accumulate: int, seed: int
) -> None:
    rows, accumulate = rows_of(18, 4)[:count], min(accumulate, batch)
    train = {"batch": batch, "accumulate": accumulate, "seed": seed}
    regime = {"name": "supervised", "window": window}
    per_epoch = -(-count // batch) * accumulate
    whole = ids(made(rows, regime=regime, **train), 2 * per_epoch)
    for epoch in range(2):
        seen = Counter(each for part in whole[epoch * per_epoch :][:per_epoch] for each in part)
        assert seen == Counter(row.id for row in rows)
    for start in {per_epoch // 3, per_epoch // 2, per_epoch + 1, 2 * per_epoch - 1}:
        assert ids(made(rows, start, regime=regime, **train), 2 * per_epoch - start) == whole[start:]


def test_batches_are_composed_to_share() -> None:
    """32 documents of 40 tokens, 4 questions of 9 each, 8 rows to a batch: two documents a batch when all meet."""
    rows = rows_of(32, 4)
    assert laid_out(made(rows), 16) == 16 * (2 * 40 + 8 * 9)
    assert laid_out(made(rows, regime={"name": "supervised", "window": 0}), 16) > 1.5 * 16 * (2 * 40 + 8 * 9)


def test_without_anything_to_share_the_order_is_the_plain_shuffle() -> None:
    rows = [Row(f"{n}", np.full(30, n, np.int32), np.ones(30, np.float32)) for n in range(64)]
    shuffled = np.random.default_rng((5, 0)).permutation(64)
    expected = [tuple(f"{n}" for n in shuffled[at : at + 8]) for at in range(0, 64, 8)]
    assert ids(made(rows, seed=5), 8) == expected


@pytest.mark.parametrize(
    ("model", "regime"),
    [
        (Unshared(), "supervised"),
        (Toy(), {"name": "supervised", "share": False}),
        (Toy(), {"name": "supervised", "window": 0}),
        (Toy(), {"name": "supervised", "window": 1}),
    ],
)
def test_where_nothing_is_composed_the_order_is_the_plain_shuffle(model: Any, regime: Any) -> None:
    rows = rows_of(32, 4)
    shuffled = np.random.default_rng((0, 0)).permutation(128)
    expected = [tuple(rows[n].id for n in shuffled[at : at + 8]) for at in range(0, 128, 8)]
    assert ids(made(rows, model=model, regime=regime), 16) == expected


def test_share_off_merges_nothing() -> None:
    batch = next(made(rows_of(1, 8), regime={"name": "supervised", "share": False}))
    assert len(batch.tokens_T) == batch.tokens and {each.parent for each in batch.segments} == {-1}
    assert len(next(made(rows_of(1, 8))).tokens_T) < batch.tokens


def test_share_is_written_as_people_write_it() -> None:
    plain = {"name": "a", "model": {"base": "b"}, "data": {"read": ["c.csv"]}}
    recipe = Recipe.build({**plain, "regime": {"name": "supervised", "share": False, "window": 3}})
    assert recipe.regime == regimes.build({"name": "supervised", "share": False, "window": 3})
    assert recipe.resolved()["regime"] == {"name": "supervised", "share": False, "window": 3}


def test_micro_batches_divide_a_step_by_tokens() -> None:
    """One row as long as the other seven together stands alone."""
    lengths = [70, *[10] * 7]
    rows = [Row(f"{n}", np.full(length, n, np.int32), np.ones(length, np.float32)) for n, length in enumerate(lengths)]
    for seed in range(6):
        parts = list(islice(made(rows, accumulate=2, seed=seed), 2))
        assert sum((part.ids for part in parts), ()) == ids(made(rows, seed=seed), 1)[0]
        assert max(part.tokens for part in parts) <= 140 / 2 + 70


def test_the_cost_of_a_batch_does_not_grow_with_the_data() -> None:
    """Operations counted, not timed: rows taken per batch, from 10² to 10⁵ rows, over whole windows."""
    taken = {}
    row = rows_of(1, 1)[0]
    for size in (100, 1_000, 10_000, 100_000):
        rows = Counted([row] * size)
        batches = -(-size // 8) if size < 512 else 64
        for _ in islice(made(rows), batches):
            pass
        taken[size] = rows.taken / batches
    assert max(taken.values()) <= 2 * 8 + 1  # each row once to compose its window, once to lay it out


def test_an_epoch_is_shuffled_once(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Any] = []
    real = np.random.default_rng
    monkeypatch.setattr(np.random, "default_rng", lambda seed: (drawn.append(seed), real(seed))[1])
    for _ in islice(made([rows_of(1, 1)[0]] * 4_000), 500):  # an epoch of 500 batches: 8 windows of 64
        pass
    assert Counter(len(seed) for seed in drawn) == {2: 1, 3: 8}
