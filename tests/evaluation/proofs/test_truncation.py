"""truncation fails when a row loses tokens that nobody allowed it to lose, and counts them when it may."""

from dataclasses import replace
from pathlib import Path

from tiny import bench, session

from affina.evaluation.proofs.truncation import Truncation


def test_it_holds_when_nothing_is_cut(tmp_path: Path, chat_model: Path) -> None:
    proven = bench(session(tmp_path, chat_model))
    found = Truncation().examine(proven)
    longest = max(len(row.tokens) for row in proven.rows)
    assert found.passed
    assert found.detail == f"the longest of {len(proven.rows)} rows has {longest} tokens; nothing is cut"


def test_a_limit_that_is_too_small_fails_with_the_one_that_is_enough(tmp_path: Path, chat_model: Path) -> None:
    proven = bench(session(tmp_path, chat_model, read="chats.jsonl", data={"max_tokens": 48, "truncate": "allow"}))
    longest = max(len(row.tokens) + row.cut for row in proven.rows)
    allowed = Truncation().examine(proven)
    refused = Truncation().examine(replace(proven, truncate="refuse"))
    assert longest > 48
    assert allowed.passed
    assert allowed.detail.endswith("data.truncate allows it")
    assert not refused.passed
    assert f"set data.max_tokens: {longest}, or data.truncate: allow" in refused.detail
