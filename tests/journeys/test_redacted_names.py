"""Names are found by a model that was trained here to tag words, opened as a recipe's transform opens it."""

import random
from pathlib import Path

import pytest
from tiny import data, recipe

import affina
from affina.core.example import Example, Tagged, Text
from affina.core.kinds import Desk, transforms
from affina.core.say import Silent
from affina.data.ledger import Ledger
from affina.evaluation.open import open_model

pytestmark = pytest.mark.slow
NAMES = ("Anna", "Marco", "Lucia", "Paolo", "Elena", "Bruno")
PLACES = ("Rome", "Oslo", "Lima", "Paris")
ACTS = ("went to", "wrote from", "called", "came by bus to", "left")


def sentence(dice: random.Random) -> list[tuple[str, str]]:
    words = [(dice.choice(NAMES), "B-PER")]
    words += [(dice.choice(("Rossi", "Bianchi")), "I-PER")] if dice.random() < 0.5 else []
    words += [(word, "O") for word in dice.choice(ACTS).split()]
    return [*words, (dice.choice(PLACES), "B-LOC"), (f"{dice.randrange(99)}", "O"), (".", "O")]


def test_a_run_that_tags_people_redacts_them(tmp_path: Path, encoder_model: Path) -> None:
    dice = random.Random(0)
    blocks = ["".join(f"{word}\t{tag}\n" for word, tag in sentence(dice)) for _ in range(300)]
    data(tmp_path)
    (tmp_path / "people.conll").write_text("\n".join(blocks), encoding="utf-8")
    settings = {"steps": 120, "batch": 16, "learning_rate": 3e-3, "save_every": 40}
    path = recipe(
        tmp_path, encoder_model, "people.conll", objective="tag", tuning="full", train=settings,
        data={"read": ["people.conll"], "transforms": [{"name": "split", "near": 1.0}]}, evaluate={"every": 40},
    )  # fmt: skip
    run = affina.train(path, run="people", root=tmp_path / "runs")
    labels = run.read("lock.json")["labels"]

    desk = Desk(Ledger(), open=lambda reference: open_model(reference, tmp_path / "runs", True, Silent()).model)
    part = transforms.build({"name": "redact", "names": "people", "tags": labels[::-1]})
    given: list[Example] = [
        Text(id="a:1", text="Anna Rossi went to Oslo 12. Call +39 333 1234567."),
        Tagged(id="a:2", words=("Paolo", "left", "Lima", "7", "."), tags=("B-PER", "O", "B-LOC", "O", "O")),
    ]
    left = list(part.apply(given, desk))
    assert left[0].given == "[NAME] went to Oslo 12. Call [PHONE]."
    assert left[1].given == "[NAME] left Lima 7 ." and left[1].target == "B-PER O B-LOC O O"
    assert desk.notes == ["redact: 2 of 2 examples changed: name 2, phone 1"]
