"""Every golden recipe on an excerpt of its real data: all proofs hold, it is promoted, the project stays as it is."""

import json
from pathlib import Path

import pytest
from golden import GOLDEN, Golden
from shared_data import shared
from tiny import affina_process

from affina.data.prepare import prepare

PROJECT = Path(__file__).parents[2]


def stands() -> dict[Path, int]:
    """The project's own files where a run might write, and when each was last written."""
    folders = [PROJECT, PROJECT / "recipes", PROJECT / "benchmarks", PROJECT / "examples"]
    return {path: path.stat().st_mtime_ns for folder in folders for path in folder.iterdir() if path.is_file()}


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda golden: golden.recipe)
def test_a_golden_recipe_reads_an_excerpt_of_its_real_data(golden: Golden, tmp_path: Path) -> None:
    """Every record of it: into the shape that the recipe names, without a model."""
    shared("data", golden.folder)
    found = prepare(golden.small(shared("data"), tmp_path))
    sizes = {split: len(examples) for split, examples in found.examples.items()}
    assert {*sizes} == {"train", "validation", "test"} and min(sizes.values()) > 0
    assert sum(sizes.values()) >= 30 and found.ledger.quarantined <= sum(sizes.values()) / 50


def test_every_recipe_is_golden_or_the_quickstart() -> None:
    assert {path.stem for path in (PROJECT / "recipes").glob("*.yaml")} == {each.recipe for each in GOLDEN} | {
        "quickstart"
    }


@pytest.mark.slow
@pytest.mark.parametrize("golden", [each for each in GOLDEN if not each.long], ids=lambda golden: golden.recipe)
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
