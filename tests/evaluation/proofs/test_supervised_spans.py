"""supervised_spans holds on real rows and fails when targets are missing or stand in the wrong place."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tiny import PROSE, bench, session

from affina.core.kinds import Bench, Row
from affina.evaluation.proofs.supervised_spans import SupervisedSpans


def shifted(row: Row, places: int) -> Row:
    return replace(row, weights=np.roll(row.weights, places))


@pytest.fixture
def words(tmp_path: Path, chat_model: Path) -> Bench:
    return bench(session(tmp_path, chat_model))


def test_it_holds_and_shows_what_a_row_learns(words: Bench) -> None:
    found = SupervisedSpans().examine(words)
    assert found.passed, found.detail
    assert words.examples[0].target in found.detail


@pytest.mark.parametrize(
    ("sections", "said"),
    [
        ({"read": "chats.jsonl"}, "read word for word"),
        ({"read": "prose.txt", "data": PROSE}, "every token of the text"),
        ({"objective": "classify"}, "the label of every text"),
    ],
)
def test_it_holds_for_every_kind_of_data(
    sections: dict[str, object], said: str, tmp_path: Path, chat_model: Path
) -> None:
    found = SupervisedSpans().examine(bench(session(tmp_path, chat_model, **sections)))
    assert found.passed
    assert said in found.detail


def test_a_mask_that_is_one_token_late_fails(words: Bench) -> None:
    found = SupervisedSpans().examine(replace(words, rows=[shifted(row, 1) for row in words.rows]))
    assert not found.passed
    assert "but the targets there are" in found.detail
    assert "set data.template: plain" in found.detail


def test_a_row_without_a_target_fails_by_name(words: Bench) -> None:
    silent = replace(words.rows[3], weights=np.zeros_like(words.rows[3].weights))
    rows = [*words.rows[:3], silent, *words.rows[4:]]
    found = SupervisedSpans().examine(replace(words, rows=rows))
    assert not found.passed
    assert f"1 rows have nothing to learn, {silent.id} first: give them an answer" in found.detail
