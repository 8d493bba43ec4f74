"""gradient_flow finds tensors that get no gradient, names those no row reaches, and frozen ones that move."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from tiny import bench, session, tensors, words_base, written

from affina.core.kinds import Batch, Objective
from affina.engine.torch.low_rank import LowRank
from affina.engine.torch.step import TorchEngine
from affina.evaluation.proofs.gradient_flow import GradientFlow
from affina.training.cells import task_rows


class Leaking(TorchEngine):
    """A step that also moves a frozen tensor."""

    def learn(self, batches: Sequence[Batch], objective: Objective, step: int) -> dict[str, float]:
        found = super().learn(batches, objective, step)
        with torch.no_grad():
            self.frozen()["model.model.norm.weight"].add_(1e-3)
        return found


def test_it_holds_and_restores_every_tensor_to_the_bit(tmp_path: Path, chat_model: Path) -> None:
    opened = session(tmp_path, chat_model)
    before = tensors(opened)
    found = GradientFlow().examine(bench(opened))
    assert found.passed
    assert f"{len(opened.engine.trainable())} trainable tensors get a gradient" in found.detail
    assert "no row reaches" not in found.detail
    assert tensors(opened) == before


def test_a_tensor_that_no_row_reaches_is_named(tmp_path: Path, encoder_model: Path) -> None:
    """BERT's pooler stands behind no label head of ours."""
    opened = session(tmp_path, encoder_model, objective="classify", tuning={"name": "lora", "rank": 4})
    found = GradientFlow().examine(bench(opened))
    assert found.passed
    assert "no row reaches model.pooler.dense.lora_A, model.pooler.dense.lora_B" in found.detail


def test_an_adapter_whose_product_is_thrown_away_fails(
    tmp_path: Path, chat_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = session(tmp_path, chat_model)
    layer = next(each for each in opened.engine.network.modules() if isinstance(each, LowRank))
    layer.scale = 0.0
    found = GradientFlow().examine(bench(opened))
    assert not found.passed
    assert "q_proj.lora_A, model.model.layers.0.self_attn.q_proj.lora_B got no gradient" in found.detail
    assert "tuning.targets" in found.detail


def test_a_frozen_tensor_that_moves_fails(tmp_path: Path, chat_model: Path) -> None:
    opened = session(tmp_path, chat_model)
    opened.engine.__class__ = Leaking
    found = GradientFlow().examine(bench(opened))
    assert not found.passed
    assert "a step moved the frozen model.model.norm.weight" in found.detail


def test_what_comparing_two_answers_cancels_is_told_from_what_no_score_moves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """BERT's last norm adds its bias to both answers' states; a bias whose gradient is thrown away moves neither."""
    written(tmp_path, "rows.jsonl", task_rows("reward"))
    opened = session(
        tmp_path, words_base(tmp_path / "base", "bert"), read="rows.jsonl", objective="reward", tuning="bitfit"
    )
    found = GradientFlow().examine(bench(opened))
    assert found.passed, found.detail
    assert "output.LayerNorm.bias moves both answers' scores alike" in found.detail
    honest = opened.engine.gradients
    lost = next(name for name in opened.engine.trainable() if name.endswith("query.bias"))
    monkeypatch.setattr(
        opened.engine, "gradients", lambda *given: {n: g * (n != lost) for n, g in honest(*given).items()}
    )
    found = GradientFlow().examine(bench(opened))
    assert not found.passed and f"{lost} got no gradient" in found.detail
