"""From a file to a verdict with nothing but the commands that each command names next."""

import json
from pathlib import Path
from typing import Any

import pytest
from tiny import affina_process, data, recipe

from affina.cli.main import main


def said(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> dict[str, Any]:
    assert main([*map(str, arguments), "--json"]) == 0
    plain: dict[str, Any] = json.loads(capsys.readouterr().out)
    return plain


@pytest.mark.parametrize(
    ("file", "shape", "metric"),
    [("tickets.csv", "labelled", "accuracy"), ("chats.jsonl", "messages", "loss"), ("prose.txt", "raw", "loss")],
)
def test_new_check_train_show(
    file: str,
    shape: str,
    metric: str,
    tmp_path: Path,
    chat_model: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: Any,
) -> None:
    monkeypatch.chdir(data(tmp_path))
    made = said(capsys, "new", file, "--out", "made.yaml")
    assert made["shape"] == shape
    small = ["model.base", str(chat_model)], ["train.steps", "6"], ["data.max_tokens", "256"], ["train.epochs", "null"]
    settings = [argument for key, value in small for argument in ("--set", f"{key}={value}")]
    checked = said(capsys, "check", "made.yaml", *settings)
    assert checked["problems"] == []
    trained = said(capsys, "train", "made.yaml", *settings)
    assert trained["state"] == "finished"
    assert trained["step"] == checked["steps"] == 6
    assert next(iter(trained["metrics"])) == metric
    assert checked["ledger"]["used"] == trained["ledger"]["used"]
    shown = said(capsys, "show", "made")
    assert shown == {key: trained[key] for key in shown}
    assert said(capsys, "runs")["runs"][0]["name"] == "made"


@pytest.mark.slow
def test_the_same_by_real_processes_with_progress_in_plain_lines(tmp_path: Path, chat_model: Path) -> None:
    path = recipe(data(tmp_path), chat_model)
    trained = affina_process("train", path, cwd=tmp_path)
    assert trained.returncode == 0, trained.stderr
    assert "proofs · 8/8" in trained.stderr
    assert "training · 12/12" in trained.stderr
    assert "\033[" not in trained.stderr + trained.stdout
    assert "verdict:" in trained.stdout
    again = affina_process("train", path, cwd=tmp_path)
    assert again.returncode == 0
    assert "run 'tiny' is finished" in again.stderr
    generated = affina_process("generate", "tiny", "money back please", cwd=tmp_path)
    assert generated.returncode == 0
    assert generated.stdout.strip()
