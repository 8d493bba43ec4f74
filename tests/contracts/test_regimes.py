"""The law of regimes: batch k is a pure function of (seed, k), and micro-batches divide a step and nothing else."""

from collections import Counter
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from affina.core.example import Chat, Example, Labelled, Message, Text
from affina.core.kinds import Batch, Row, objectives, regimes
from affina.core.recipe import Train
from affina.engine.toy import Toy

NAMES = regimes.names()
EXAMPLES = [
    Chat(id=f"rows:{n}", messages=(Message("user", f"q{n}"), Message("assistant", f"a{n}" * (n % 4 + 1))))
    for n in range(11)
]


def rows_of(examples: Sequence[Example]) -> list[Row]:
    return Toy().renderer.rows(objectives.build("cross_entropy").expand(examples))


ROWS = rows_of(EXAMPLES)


def batches(name: Any, start: int = 0, count: int = 12, rows: Sequence[Row] = ROWS, **train: Any) -> list[Batch]:
    given = Train(**{"batch": 4, **train})
    return list(islice(regimes.build(name).batches(rows, Toy(), given, start), count))


def same(a: Batch, b: Batch) -> bool:
    return a.ids == b.ids and np.array_equal(a.tokens_T, b.tokens_T) and np.array_equal(a.weights_S, b.weights_S)


@pytest.mark.parametrize("name", NAMES)
def test_a_regime_builds_from_defaults_round_trips_and_is_documented(name: str) -> None:
    part = regimes.build(name)
    assert part.name == name == regimes.dump(part) and regimes.build(regimes.dump(part)) == part
    assert type(part).__doc__ and len(type(part).model_fields) <= 10
    assert all(field.description for field in type(part).model_fields.values())


@pytest.mark.parametrize("accumulate", [1, 2, 3])
@pytest.mark.parametrize("name", NAMES)
def test_starting_at_k_is_skipping_k(name: str, accumulate: int) -> None:
    whole = batches(name, accumulate=accumulate, count=30)
    for start in range(30):
        later = batches(name, start, 30 - start, accumulate=accumulate)
        assert all(same(*pair) for pair in zip(whole[start:], later, strict=True))


@pytest.mark.parametrize("name", NAMES)
def test_the_order_follows_the_seed(name: str) -> None:
    ids = [[batch.ids for batch in batches(name, seed=seed)] for seed in (0, 0, 1)]
    assert ids[0] == ids[1] != ids[2]


@pytest.mark.parametrize("name", NAMES)
def test_making_batches_does_not_touch_other_chance(name: str) -> None:
    np.random.seed(0)
    before = np.random.get_state()[1].copy()  # type: ignore[index]
    batches(name)
    assert np.array_equal(before, np.random.get_state()[1])  # type: ignore[index]


@settings(deadline=None, max_examples=60)
@given(rows=st.integers(1, 11), batch=st.integers(1, 6), accumulate=st.integers(1, 6), seed=st.integers(0, 3))
def test_supervised_shows_every_row_once_per_epoch(rows: int, batch: int, accumulate: int, seed: int) -> None:
    accumulate = min(accumulate, batch)
    per_epoch = -(-rows // batch)
    made = batches(
        "supervised", count=3 * per_epoch * accumulate, rows=ROWS[:rows],
        batch=batch, accumulate=accumulate, seed=seed,
    )  # fmt: skip
    orders = []
    for epoch in range(3):
        held = made[epoch * per_epoch * accumulate :][: per_epoch * accumulate]
        steps = [held[at : at + accumulate] for at in range(0, len(held), accumulate)]
        sizes = [sum(len(part.ids) for part in step) for step in steps]
        assert sizes == [batch] * (per_epoch - 1) + [rows - batch * (per_epoch - 1)]
        assert all(len(part.ids) > 0 or sum(len(p.ids) for p in step) < accumulate for step in steps for part in step)
        orders.append([each for step in steps for part in step for each in part.ids])
        assert Counter(orders[-1]) == Counter(each.id for each in EXAMPLES[:rows])
    undivided = batches("supervised", count=3 * per_epoch, rows=ROWS[:rows], batch=batch, seed=seed)
    assert [each for order in orders for each in order] == [each for part in undivided for each in part.ids]


def test_supervised_shuffles_each_epoch_anew() -> None:
    made = batches("supervised", count=6, batch=4)
    first, second = ([each for batch in made[at : at + 3] for each in batch.ids] for at in (0, 3))
    assert first != second and first != [each.id for each in EXAMPLES] and sorted(first) == sorted(second)


def test_supervised_takes_rows_as_they_were_rendered() -> None:
    labelled = [Labelled(id=f"l:{n}", text="where", label="b", labels=("a", "b")) for n in range(3)]
    (batch,) = batches("supervised", count=1, rows=rows_of(labelled), batch=4)
    assert len(batch.targets_S) == 3 * 2  # the label "b" and the stop byte: asked as words
    texts = [Text(id="t", text="x" * 3000)]
    made = batches("supervised", count=2, rows=rows_of(texts), batch=2)
    assert sorted(each for batch in made for each in batch.ids) == ["t#0", "t#1", "t#2"]


def test_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    batches("supervised")
    assert list(tmp_path.iterdir()) == []
