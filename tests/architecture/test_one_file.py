"""A new objective, metric, transform or proof is one file and no other edit: it is found, explained and used."""

import json
from typing import Any

import numpy as np
import pytest
import yaml

import affina
from affina.core.answers import Answers
from affina.core.example import Text
from affina.core.kinds import SHELVES
from affina.core.recipe import Recipe

HEAD = '''"""Added while running."""

from typing import ClassVar

from affina.core.kinds import {kind}


class Added({kind}):
    """A part nobody knew of."""

    strength: float = 1.5
    """How much of it."""

'''
SOURCES = {
    "objectives": HEAD.format(kind="Objective")
    + """
    consumes: ClassVar = ()

    def loss(self, forward, batch):
        raise NotImplementedError
""",
    "metrics": HEAD.format(kind="Metric")
    + """
    reads: ClassVar[str] = "nats"

    def value(self, answers):
        return self.strength * float(answers.nats_N.max())
""",
    "transforms": HEAD.format(kind="Transform")
    + """
    def apply(self, examples, desk):
        return list(examples)[: int(self.strength)]
""",
    "proofs": HEAD.format(kind="Proof")
    + """
    def examine(self, bench):
        raise NotImplementedError
""",
}
PLACES: dict[str, tuple[str, Any]] = {
    "objectives": ("objective", {"name": "novel", "strength": 2.5}),
    "metrics": ("evaluate", {"metrics": [{"name": "novel", "strength": 2.5}], "gate": {"novel": "better than base"}}),
    "transforms": ("data", {"read": ["a.txt"], "transforms": ["split", {"name": "novel", "strength": 2.5}]}),
}


@pytest.mark.parametrize("shelf", SOURCES)
def test_one_file_is_listed_and_described(shelf: str, add_part: Any) -> None:
    add_part(SHELVES[shelf], "novel", SOURCES[shelf])
    assert affina.list(shelf)[shelf]["novel"] == "A part nobody knew of."
    described = affina.describe("novel")
    assert described["shelf"] == shelf
    assert described["fields"] == [
        {"name": "strength", "type": "float", "default": 1.5, "required": False, "limits": "", "doc": "How much of it."}
    ]


@pytest.mark.parametrize("shelf", PLACES)
def test_one_file_is_in_the_schema_and_usable_in_a_recipe(shelf: str, add_part: Any) -> None:
    add_part(SHELVES[shelf], "novel", SOURCES[shelf])
    assert '"const": "novel"' in json.dumps(affina.schema())
    section, given = PLACES[shelf]
    plain = {"name": "trial", "model": {"base": "folder"}, "data": {"read": ["a.txt"]}, section: given}
    recipe = Recipe.build(plain)
    assert "novel" in recipe.dump()
    assert Recipe.build(yaml.safe_load(recipe.dump())).resolved() == recipe.resolved()


def test_an_added_transform_and_metric_do_what_they_say(add_part: Any) -> None:
    for shelf in ("transforms", "metrics"):
        add_part(SHELVES[shelf], "novel", SOURCES[shelf])
    two = [Text(id=f"a.txt:{line}", text="word") for line in (1, 2)]
    assert SHELVES["transforms"].build("novel").apply(two, None) == two[:1]
    answers = Answers(ids=("1", "2"), nats_N=np.array([1.0, 4.0]), tokens_N=np.ones(2))
    assert SHELVES["metrics"].build("novel").value(answers) == 6.0  # 1.5 * 4
