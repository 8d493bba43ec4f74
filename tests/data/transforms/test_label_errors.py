import json
from pathlib import Path

import numpy as np
import pytest
from reconciled import applied, applied_with
from shared_data import shared

from affina.core.errors import Refused
from affina.core.example import Example, Labelled, Text
from affina.core.kinds import readers
from affina.engine.toy import Toy

WORDS = {"card": "card lost stolen new pin", "loan": "loan rate money month bank"}


def rows(split: str = "", wrong: int = 1) -> list[Example]:
    made: list[Example] = []
    for label, words in WORDS.items():
        for n in range(12):
            told = " ".join(words.split()[at % 5] for at in range(n, n + 4))
            other = "loan" if label == "card" else "card"
            made.append(
                Labelled(
                    id=f"{split}:{label}{n}",
                    split=split,
                    text=f"{told} {split}{n}",
                    label=other if n < wrong else label,
                )
            )
    return made


def test_wrong_labels_are_named_and_nothing_is_dropped(tmp_path: Path) -> None:
    given = rows()
    left, reasons, notes = applied("label_errors", given, folder=tmp_path, write="suspects.json")
    assert left == given and reasons == {}
    listed = json.loads((tmp_path / "suspects.json").read_text(encoding="utf-8"))
    assert {each["id"] for each in listed} == {":card0", ":loan0"}
    assert {(each["label"], each["probably"]) for each in listed} == {("loan", "card"), ("card", "loan")}
    assert (
        notes[0].startswith("label_errors: 2 of 24 labels are suspected")
        and ":card0 ('loan', probably 'card')" in notes[0]
    )
    assert (tmp_path / "suspects.json").stat().st_mode & 0o777 == 0o600, "texts may be personal"


def test_suspects_are_dropped_when_asked_and_only_from_training() -> None:
    given = [*rows("train"), *rows("test")]
    left, reasons, _ = applied("label_errors", given, drop=True)
    gone = {each.id for each in given} - {each.id for each in left}
    assert gone == {"train:card0", "train:loan0"}
    assert reasons == {
        "its label is suspected: 'loan', probably 'card'": 1,
        "its label is suspected: 'card', probably 'loan'": 1,
    }
    assert "4 of 48 labels" in applied("label_errors", given)[2][0]


def test_classes_too_small_are_not_judged() -> None:
    few: list[Example] = [Labelled(id=f"a:{n}", text=f"odd thing {n}", label="odd") for n in range(3)]
    assert "3 rows are of classes too small" in applied("label_errors", [*rows(), *few])[2][0]
    assert applied("label_errors", few)[2] == [
        "label_errors: 0 of 0 labels are suspected, about 0.0% of all; 3 rows are of classes too small to judge"
    ]


def test_a_model_can_embed_and_what_has_no_class_is_refused() -> None:
    _, _, notes = applied_with(lambda reference: Toy(), "label_errors", rows(), model="small")
    assert ":card0" in notes[0] and ":loan0" in notes[0]
    with pytest.raises(Refused, match="cannot judge text examples"):
        applied("label_errors", [Text(id="a:1", text="x")])


@pytest.mark.slow
def test_flipped_labels_of_real_intents_are_found(tmp_path: Path) -> None:
    path = shared("data", "banking77", "train.csv")
    draws = np.random.default_rng(0)
    records = [record.values for record in readers.build("csv").records(path)]
    labels = sorted({row["category"] for row in records})
    given: list[Example] = []
    flipped: set[str] = set()
    for n, row in enumerate(records):
        label = row["category"]
        if draws.random() < 0.05:
            label = str(draws.choice([each for each in labels if each != label]))
            flipped.add(f"a:{n}")
        given.append(Labelled(id=f"a:{n}", split="train", text=row["text"], label=label))
    applied("label_errors", given, folder=tmp_path, write="found.json")
    ranked = [each["id"] for each in json.loads((tmp_path / "found.json").read_text(encoding="utf-8"))]
    right = np.cumsum([id in flipped for id in ranked])
    at = {k: right[k - 1] / k for k in (50, 100, 200, 400)}
    recall = right[-1] / len(flipped)
    # many of the others are wrong in the data as published
    assert recall >= 0.8 and at[50] >= 0.9 and at[100] >= 0.9 and at[200] >= 0.85 and at[400] >= 0.7
