"""template_parity fails when training puts other tokens before an answer than generation would."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tiny import CHATML, bench, chat_base, data, recipe, session

import affina
from affina.core.errors import Refused
from affina.evaluation.proofs.template_parity import TemplateParity


def test_every_turn_starts_from_what_generation_renders(tmp_path: Path, chat_model: Path) -> None:
    proven = bench(session(tmp_path, chat_model, read="chats.jsonl"))
    found = TemplateParity().examine(proven)
    assert found.passed
    assert found.detail.startswith(f"{2 * len(proven.rows)} assistant turns of {len(proven.rows)} rows")


def test_a_system_turn_that_only_training_has_fails(tmp_path: Path, chat_model: Path) -> None:
    proven = bench(session(tmp_path, chat_model))
    extra = proven.rows[0].tokens[:3]
    rows = [
        replace(row, tokens=np.r_[extra, row.tokens], weights=np.r_[np.zeros(3, np.float32), row.weights])
        for row in proven.rows
    ]
    found = TemplateParity().examine(replace(proven, rows=rows))
    assert not found.passed
    assert "generation renders" in found.detail
    assert "set data.template: plain, or choose another base" in found.detail


def test_a_mask_over_the_whole_conversation_fails(tmp_path: Path, chat_model: Path) -> None:
    proven = bench(session(tmp_path, chat_model))
    rows = [replace(row, weights=np.ones_like(row.weights)) for row in proven.rows]
    assert not TemplateParity().examine(replace(proven, rows=rows)).passed


def test_a_template_that_rewrites_earlier_turns_is_refused(tmp_path: Path) -> None:
    forgetful = "{{ '[' ~ (messages | length) ~ ']' }}" + CHATML
    base = chat_base(tmp_path / "base", template=forgetful)
    with pytest.raises(Refused, match=r"not prefix-stable: .* set data\.template: plain"):
        affina.train(recipe(data(tmp_path), base, read="chats.jsonl"), root=tmp_path / "runs")
    assert not (tmp_path / "runs").exists()
