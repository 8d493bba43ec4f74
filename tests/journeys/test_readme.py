"""What the README shows of a recipe is a recipe."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from tiny import chat_base, recipe, tickets

import affina
from affina.core.recipe import Recipe

README = Path(__file__).parents[2] / "README.md"
BLOCKS = [yaml.safe_load(text) for text in re.findall(r"(?ms)^```yaml\n(.*?)^```$", README.read_text(encoding="utf-8"))]


@pytest.mark.parametrize("block", BLOCKS, ids=["+".join(each) for each in BLOCKS])
def test_every_part_of_a_recipe_in_the_readme_is_understood(block: dict[str, Any], tmp_path: Path) -> None:
    assert Recipe.load(recipe(tmp_path, "smollm2-135m-instruct", **block))


def test_the_readmes_evaluation_suits_answers_in_words(tmp_path: Path) -> None:
    (evaluate,) = (block for block in BLOCKS if "evaluate" in block)
    tickets(tmp_path)
    assert affina.check(recipe(tmp_path, chat_base(tmp_path / "base"), **evaluate), offline=True)["problems"] == []
