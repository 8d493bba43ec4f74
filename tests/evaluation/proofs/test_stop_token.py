"""stop_token holds where one token is eos, pad and stop at once, and fails when a turn does not learn to stop."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tiny import CHATML, bench, chat_base, data, recipe, session

import affina
from affina.core.errors import Refused
from affina.core.kinds import Row
from affina.evaluation.probe import spans
from affina.evaluation.proofs.stop_token import StopToken


def unstopped(row: Row) -> Row:
    """The row as a mask that leaves the stop token out would weigh it."""
    weights = row.weights.copy()
    for _, stop in spans(row):
        weights[stop - 1] = 0
    return replace(row, weights=weights)


def test_every_turn_of_a_conversation_learns_to_stop(tmp_path: Path, chat_model: Path) -> None:
    proven = bench(session(tmp_path, chat_model, read="chats.jsonl"))
    found = StopToken().examine(proven)
    assert found.passed
    assert found.detail.startswith(f"{2 * len(proven.rows)} assistant turns in {len(proven.rows)} rows")


def test_a_mask_without_the_stop_token_fails(tmp_path: Path, chat_model: Path) -> None:
    proven = bench(session(tmp_path, chat_model, read="chats.jsonl"))
    found = StopToken().examine(replace(proven, rows=[unstopped(row) for row in proven.rows]))
    assert not found.passed
    assert "0 of 2 assistant turns end in a stop token; set data.template: plain" in found.detail


def test_a_mask_that_merges_turns_fails(tmp_path: Path, chat_model: Path) -> None:
    proven = bench(session(tmp_path, chat_model, read="chats.jsonl"))
    rows = [replace(row, weights=np.ones_like(row.weights)) for row in proven.rows]
    found = StopToken().examine(replace(proven, rows=rows))
    assert not found.passed
    assert "1 of 2 assistant turns" in found.detail


def test_raw_text_has_no_turns(tmp_path: Path, chat_model: Path) -> None:
    found = StopToken().examine(bench(session(tmp_path, chat_model, objective="classify")))
    assert found.passed


def test_a_template_that_drops_the_stop_token_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    base = chat_base(tmp_path / "base", template=CHATML.replace("<|im_end|>", ""))
    with pytest.raises(Refused, match=r"ends an answer without a stop token: .* set data.template: plain"):
        affina.train(recipe(data(tmp_path), base), root=tmp_path / "runs")
    assert not (tmp_path / "runs").exists()
    run = affina.train(recipe(tmp_path, base, data={"template": "plain"}), root=tmp_path / "runs")
    assert all(proof["passed"] for proof in run.show()["proofs"])
