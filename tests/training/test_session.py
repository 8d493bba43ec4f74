"""A session says what will move, and opens only what the tuning's own formula counts."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import Heard, session

from affina.core.errors import Failed
from affina.core.recipe import Recipe
from affina.core.say import Silent


@pytest.mark.parametrize("sections", [{"tuning": "full"}, {"tuning": {"name": "lora", "rank": 64}}])
def test_the_megabytes_announced_are_those_of_the_file(
    sections: dict[str, Any], tmp_path: Path, chat_model: Path
) -> None:
    opened, heard = session(tmp_path, chat_model, **sections), Heard()
    opened.begin(heard)
    opened.engine.save(tmp_path / "saved")
    count = sum(each.numel() for each in opened.engine.trainable().values())
    size = (tmp_path / "saved" / "trained.safetensors").stat().st_size
    assert abs(size - 4 * count) / size < 0.02
    said = re.search(r"moves ([\d,]+) of [\d,]+ numbers \([\d.]+ %\), ([\d.]+) MB on disk", heard.lines[-1])
    assert said
    assert int(said[1].replace(",", "")) == count
    assert float(said[2]) == pytest.approx(size / 1e6, abs=0.06)  # one decimal is shown


def test_lora_counts_by_its_papers_formula(tmp_path: Path, chat_model: Path) -> None:
    """rank · (in + out) per matrix: q and o 64→64, k and v 64→32, gate and up 64→128, down 128→64, in 2 layers."""
    opened = session(tmp_path, chat_model)
    expected = 4 * 2 * (2 * (64 + 64) + 2 * (64 + 32) + 3 * (64 + 128))
    assert sum(each.numel() for each in opened.engine.trainable().values()) == expected


def test_a_tuning_that_moves_more_than_its_formula_says_is_not_trained(
    tmp_path: Path, chat_model: Path, add_part: Any
) -> None:
    from affina.core.kinds import tunings

    source = '''
"""Trains the last norm and counts nothing."""

from typing import ClassVar

from affina.core.kinds import Tuning


class Stray(Tuning):
    learning_rate: ClassVar[float] = 1e-3

    def apply(self, model):
        model.model.norm.weight.requires_grad_(True)

    def count(self, model):
        return 0

    def write(self, model, folder, base):
        raise NotImplementedError
'''
    add_part(tunings, "stray", source)
    with pytest.raises(Failed, match="tuning stray moves 64 numbers where its formula says 0"):
        session(tmp_path, chat_model, tuning="stray")


def test_a_run_begun_has_its_recipe_ledger_and_lock(tmp_path: Path, chat_model: Path) -> None:
    opened = session(tmp_path, chat_model, data={"licence": {"tickets.csv": "CC-BY-4.0"}})
    opened.begin(Silent())
    ledger, lock = opened.run.read("ledger.json"), opened.run.read("lock.json")
    assert ledger["read"] == 90 == sum(ledger["used"].values())
    assert lock == opened.plan.lock and lock["licences"] == {"tickets.csv": "CC-BY-4.0"}
    assert "licence" not in lock["recipe"]["data"], "a run with another licence is no other run"
    kept = Recipe.load(opened.run.folder / "recipe.yaml")
    assert (kept.folder / kept.data.read[0]).resolve() == tmp_path / "tickets.csv"
    assert (kept.folder / kept.model.base).resolve() == chat_model
    assert kept.data.licence == {kept.data.read[0]: "CC-BY-4.0"}
    named = {"data.read": ["tickets.csv"], "data.licence": lock["licences"]}
    back = kept.change({**named, "model.base": str(chat_model)})
    assert back.dump() == opened.material.recipe.dump()


def test_answers_may_be_as_long_as_the_longest_right_one_and_a_little(tmp_path: Path, chat_model: Path) -> None:
    opened = session(tmp_path, chat_model)
    longest = max(row.targets for row in opened.material.renderer.rows(opened.expanded("test")))
    assert opened.sampling.max_tokens == longest + 8
    assert opened.sampling.temperature == 0


def test_the_base_is_frozen_in_its_own_precision_and_what_trains_is_float32(tmp_path: Path, chat_model: Path) -> None:
    opened = session(tmp_path, chat_model, train={"compute": {"precision": "bf16"}})
    assert {each.dtype for each in opened.engine.trainable().values()} == {torch.float32}
    assert opened.engine.frozen()["model.model.embed_tokens.weight"].dtype == torch.bfloat16
