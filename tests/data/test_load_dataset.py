"""What is prepared is a data set of Hugging Face's library: loaded by it, in an environment of its own."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from environments import own_python

from affina.core.recipe import Recipe
from affina.data import prepare

VERSION = "5.2.0"
SCRIPT = """
import json, sys
from datasets import load_dataset
found = load_dataset(sys.argv[1], cache_dir=sys.argv[2])
print(json.dumps({split: list(rows) for split, rows in found.items()}))
"""
TURNS = [{"role": "user", "content": "where?"}, {"role": "assistant", "content": "here"}]
CALLED = {"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "f", "arguments": {"x": 1}}}]}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("shape", "row"),
    [
        ("labelled", lambda n: {"text": f"row number {n}", "label": "xy"[n % 2]}),
        ("messages", lambda n: {"messages": [*TURNS, {"role": "user", "content": f"and {n}?"}, CALLED]}),
    ],
)
def test_what_is_prepared_is_loaded_by_its_splits(
    shape: str, row: Any, pytestconfig: pytest.Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = own_python(pytestconfig, "datasets", VERSION)
    monkeypatch.setenv("AFFINA_CACHE", str(tmp_path / "cache"))
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row(n)) + "\n" for n in range(60)), encoding="utf-8")
    data = {"read": ["rows.jsonl"], "shape": shape, "transforms": ["split"]}
    built = prepare.build(Recipe.build({"name": "p", "model": {"base": "folder"}, "data": data}, tmp_path))
    asked = [str(python), "-c", SCRIPT, str(built.folder), str(tmp_path / "theirs")]
    quiet = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_DATASETS_DISABLE_PROGRESS_BARS": "1"}
    done = subprocess.run(asked, capture_output=True, text=True, timeout=300, env=quiet, check=False)
    assert not done.returncode, done.stderr
    theirs, ours = json.loads(done.stdout), built.loaded().examples
    assert {split: [each["id"] for each in held] for split, held in theirs.items()} == {
        split: [each.id for each in held] for split, held in ours.items()
    }
    assert sum(map(len, theirs.values())) == 60
    first = theirs["train"][0]
    if shape == "labelled":
        assert {each["label"] for each in theirs["train"]} == {"x", "y"} and first["text"].startswith("row number")
    else:
        assert [each["role"] for each in first["messages"]] == ["user", "assistant", "user", "assistant"]
