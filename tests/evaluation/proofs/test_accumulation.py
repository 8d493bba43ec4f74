"""accumulation tells a sum divided once from a mean of means."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny import PROSE, bench, session

from affina.core.kinds import Batch, Objective
from affina.engine.torch.step import TorchEngine
from affina.evaluation.proofs.accumulation import Accumulation


class MeanOfMeans(TorchEngine):
    """Averages the micro-batches' mean gradients: the bug that weighs short micro-batches too much."""

    def gradients(self, batches: Sequence[Batch], objective: Objective) -> dict[str, torch.Tensor]:
        each = [super(MeanOfMeans, self).gradients([batch], objective) for batch in batches]
        return {name: torch.stack([one[name] for one in each]).mean(0) for name in each[0]}


@pytest.mark.parametrize("sections", [{"read": "chats.jsonl"}, {"objective": "classify"}, {"tuning": "full"}])
def test_micro_batches_give_the_big_batchs_gradient(
    sections: dict[str, object], tmp_path: Path, chat_model: Path
) -> None:
    found = Accumulation().examine(bench(session(tmp_path, chat_model, **sections)))
    assert found.passed, found.detail
    assert re.search(r"1×8 and (4×2|1\+2\+2\+2\+1) differ", found.detail)


def test_rows_of_different_weight_are_split_four_by_two(tmp_path: Path, chat_model: Path) -> None:
    proven = bench(session(tmp_path, chat_model))
    tokens = proven.rows[0].tokens[:30]
    light, heavy = (
        replace(proven.rows[0], tokens=tokens, weights=(np.arange(30) > start) * np.float32(1)) for start in (24, 4)
    )
    found = Accumulation().examine(replace(proven, rows=[light] * 4 + [heavy] * 4))
    assert found.passed
    assert "1×8 and 4×2 differ" in found.detail


@pytest.mark.parametrize("sections", [{}, {"objective": "classify"}, {"read": "prose.txt", "data": PROSE}])
def test_a_mean_of_means_fails_even_where_rows_weigh_the_same(
    sections: dict[str, object], tmp_path: Path, chat_model: Path
) -> None:
    opened = session(tmp_path, chat_model, **sections)
    assert Accumulation().examine(bench(opened)).passed
    opened.engine.__class__ = MeanOfMeans
    found = Accumulation().examine(bench(opened))
    assert not found.passed
    assert "set train.accumulate: 1" in found.detail
