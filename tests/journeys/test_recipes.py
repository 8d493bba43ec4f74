"""Every golden recipe on an excerpt of its real data: all proofs hold, it is promoted, the project stays as it is."""

import json
from pathlib import Path

import pytest
from golden import GOLDEN, Golden
from shared_data import shared
from tiny import affina_process

PROJECT = Path(__file__).parents[2]


def stands() -> dict[Path, int]:
    """The project's own files where a run might write, and when each was last written."""
    folders = [PROJECT, PROJECT / "recipes", PROJECT / "benchmarks", PROJECT / "examples"]
    return {path: path.stat().st_mtime_ns for folder in folders for path in folder.iterdir() if path.is_file()}


@pytest.mark.slow
@pytest.mark.parametrize("golden", [each for each in GOLDEN if not each.undecided], ids=lambda golden: golden.recipe)
def test_a_golden_recipe_is_better_than_its_base_on_real_data(golden: Golden, tmp_path: Path) -> None:
    shared("data", golden.folder)
    before = stands()
    path = tmp_path / "recipe.yaml"
    path.write_text(golden.small(shared("data"), tmp_path).dump(), encoding="utf-8")
    done = affina_process("train", path, "--root", tmp_path / "runs", "--json", within_s=600)
    assert done.returncode == 0, done.stderr
    shown = json.loads(done.stdout)
    assert all(proof["passed"] for proof in shown["proofs"]), shown["proofs"]
    assert shown["verdict"]["decision"] == "promote", shown["metrics"]
    found = shown["metrics"][shown["verdict"]["metric"]]["difference"]
    assert found["low"] > 0 or found["high"] < 0
    assert stands() == before
