"""packing_isolation holds for forests of segments and fails for a layout whose rows see one another."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tiny import bench, session

from affina.core.kinds import Batch, Row, Segment
from affina.engine.torch.step import TorchEngine
from affina.evaluation.proofs.packing_isolation import PackingIsolation, _perturbed


class Merging(TorchEngine):
    """Lays every row into one segment: each sees all rows before it."""

    def layout(self, rows: Sequence[Row], share: bool = True) -> Batch:
        batch = super().layout(rows, share)
        return replace(batch, segments=(Segment(0, len(batch.tokens_T), -1),))


class Peeking(TorchEngine):
    """Lets the last row see the first one."""

    def layout(self, rows: Sequence[Row], share: bool = True) -> Batch:
        batch = super().layout(rows, share)
        last = len(batch.segments) - 1
        if last and batch.segments[last].parent < 0:
            batch = replace(batch, segments=(*batch.segments[:-1], batch.segments[last]._replace(parent=0)))
        return batch


@pytest.mark.parametrize(
    "sections", [{}, {"read": "chats.jsonl"}, {"objective": "classify"}, {"train": {"compute": {"precision": "bf16"}}}]
)
def test_it_holds_for_shared_prefixes_turns_heads_and_bf16(
    sections: dict[str, object], tmp_path: Path, chat_model: Path
) -> None:
    found = PackingIsolation().examine(bench(session(tmp_path, chat_model, **sections)))
    assert found.passed, found.detail


def test_it_holds_for_an_encoder(tmp_path: Path, encoder_model: Path) -> None:
    found = PackingIsolation().examine(bench(session(tmp_path, encoder_model, objective="classify")))
    assert found.passed, found.detail


@pytest.mark.parametrize("broken", [Merging, Peeking])
def test_rows_that_see_their_neighbours_fail(broken: type[TorchEngine], tmp_path: Path, chat_model: Path) -> None:
    opened = session(tmp_path, chat_model, objective="classify")
    opened.engine.__class__ = broken
    found = PackingIsolation().examine(bench(opened))
    assert not found.passed
    assert "changing tickets.csv:" in found.detail
    assert "choose another base" in found.detail


def test_the_perturbed_tokens_exist_and_differ(tmp_path: Path, chat_model: Path) -> None:
    proven = bench(session(tmp_path, chat_model))
    batch = proven.engine.layout(proven.rows[:4])
    changed = _perturbed(batch)
    apart = np.flatnonzero(batch.tokens_T != changed.tokens_T)
    own = next(each for each in batch.segments if each.start <= batch.ends_R[0] < each.stop)
    assert apart.tolist() == list(range(own.start, own.stop))
    assert changed.tokens_T.max() <= batch.tokens_T.max()
