"""CONTRIBUTING.md's example is executed as it stands there: a part added in five minutes."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import yaml

import affina
from affina.cli.main import VERBS
from affina.core.answers import Answers
from affina.core.kinds import metrics
from affina.core.recipe import Recipe

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)
    assert found, f"CONTRIBUTING.md has no {language} block"
    return found[1]


def test_the_example_part_is_listed_described_and_used_by_its_recipe(add_part: Any) -> None:
    assert "as `affina/evaluation/metrics/brevity.py`" in TEXT
    add_part(metrics, "brevity", block("python"))
    assert affina.list("metrics")["metrics"]["brevity"].startswith("The share of items")
    assert affina.describe("brevity")["fields"][0]["doc"] == "Words an answer may have beyond the expected one."
    plain = {
        "name": "example",
        "model": {"base": "folder"},
        "data": {"read": ["a.csv"]},
        **yaml.safe_load(block("yaml")),
    }
    assert [metric.name for metric in Recipe.build(plain).evaluate.metrics] == ["loss", "brevity"]


def test_the_example_part_computes_what_it_says(add_part: Any) -> None:
    add_part(metrics, "brevity", block("python"))
    answers = Answers(
        ids=("1", "2", "3"),
        nats_N=np.zeros(3),
        tokens_N=np.ones(3),
        expected=("two words", "one", "one"),
        said=("two words", "one more", "one and more"),
    )
    # 0, 1 and 2 words too many: one of three within 0, two of three within 1.
    assert metrics.build("brevity").value(answers) == 1 / 3
    assert metrics.build({"name": "brevity", "slack": 1}).value(answers) == 2 / 3


def test_every_command_named_exists() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert set(re.findall(r"`affina (\w+)", TEXT)) <= {*VERBS}
    assert set(re.findall(r"make ([a-z-]+)", TEXT)) <= set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
