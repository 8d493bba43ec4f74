"""Perturbed: flips counted by hand both ways, what must stay stays, and right answers never change."""

from pathlib import Path

import numpy as np
import pytest
from known_models import Says, asked, chat

from affina.core.errors import Refused
from affina.core.example import Example, Labelled, Tagged
from affina.core.kinds import Model, tasks
from affina.core.task import Hall
from affina.engine.toy import Bytes, Toy

LABELS = ("animal", "thing")


def rows(*pairs: tuple[str, str]) -> list[Example]:
    return [Labelled(id=f"a:{n}", text=text, label=label, labels=LABELS) for n, (text, label) in enumerate(pairs)]


ROWS = rows(
    ("a cat sleeps.", "animal"), ("A CAT SLEEPS", "animal"), ("a stone lies", "thing"), ("a cat of stone", "thing")
)
SMALL_CAT = Says(labels=lambda text: (1.0, 0.0) if "cat" in text else (0.0, 1.0))
"""Finds an animal where the word stands in small letters."""


def test_flips_are_counted_in_both_directions() -> None:
    task = tasks.build({"name": "perturbed", "changes": ["upper", "lower", "unpunctuated"]})
    tested = task.ask(SMALL_CAT, Hall(splits={"test": ROWS}))
    columns = tested.columns
    assert columns["clean"].tolist() == [1, 0, 1, 0]
    # upper: the cat is lost in the first, the second stays as it is, the third right, the stone cat is won
    np.testing.assert_array_equal(columns["upper"], [0, np.nan, 1, 1])
    np.testing.assert_array_equal(columns["upper_lost"], [1, np.nan, 0, 0])
    np.testing.assert_array_equal(columns["upper_won"], [0, np.nan, 0, 1])
    np.testing.assert_array_equal(columns["lower"], [np.nan, 1, np.nan, np.nan])
    np.testing.assert_array_equal(columns["unpunctuated_flips"], [0, np.nan, np.nan, np.nan])
    assert task.statistics()["upper_flips"].value(columns) == pytest.approx(2 / 3)
    np.testing.assert_array_equal(columns["perturbed"], [0.5, 1, 1, 1])
    assert tested.notes[0].startswith("upper: 66.7% of 3 items flip (95 %: ")
    assert tested.notes[0].endswith("1 from right to wrong and 1 from wrong to right")
    assert tested.shown[0]["upper"] == "thing"


def test_typos_are_those_of_the_data_engine_and_the_same_for_every_model() -> None:
    texts = rows(*((f"the number {n} of a long and winding story", "thing") for n in range(20)))
    seen: list[str] = []

    def heard(text: str) -> tuple[float, float]:
        seen.append(text)
        return 0.0, 1.0

    task = tasks.build({"name": "perturbed", "changes": ["typos"], "rate": 0.2})
    for _ in range(2):
        task.ask(Says(labels=heard), Hall(splits={"test": texts}))
    clean, typed, again = seen[1:21], seen[22:42], seen[64:]  # each time one row is asked for its labels first
    assert typed == again and all(one != other for one, other in zip(clean, typed, strict=True))
    assert all(str(n) in text for n, text in enumerate(typed))  # digits stay


def test_addresses_and_right_answers_stay_whatever_changes() -> None:
    row = chat("a:1", "Write to Ann@Example.org, please.", "Done, Sir.")
    heard: list[str] = []

    def say(prompt: str) -> str:
        heard.append(asked(prompt))
        return "Done, Sir."

    tested = tasks.build("perturbed").ask(Says(say), Hall(splits={"test": [row]}))
    assert "WRITE TO Ann@Example.org, PLEASE." in heard and "Write to Ann@Example.org please" in heard
    assert [tested.columns[each][0] for each in ("typos", "upper", "lower", "unpunctuated")] == [1, 1, 1, 1]


def test_a_given_model_says_items_in_other_words() -> None:
    def opened(reference: str) -> Model:
        assert reference == "rewriter"
        return Says(lambda prompt: "a stone animal rests" if "cat sleeps" in prompt else "")

    task = tasks.build({"name": "perturbed", "changes": ["paraphrase"], "model": "rewriter"})
    tested = task.ask(SMALL_CAT, Hall(splits={"test": ROWS[:1] + ROWS[2:]}, open=opened))
    np.testing.assert_array_equal(tested.columns["paraphrase_lost"], [1, np.nan, np.nan])
    with pytest.raises(ValueError, match="`paraphrase` needs `model`"):
        tasks.build({"name": "perturbed", "changes": ["paraphrase"]})


def test_files_are_read_and_what_cannot_be_right_as_a_whole_is_refused(tmp_path: Path) -> None:
    lines = "".join(
        f"{text},{label}\n"
        for text, label in [
            (f"a {what} lies on shelf {n}", label)
            for n in range(6)
            for what, label in (("cat", "animal"), ("stone", "thing"))
        ]
    )
    (tmp_path / "rows.csv").write_text(f"text,label\n{lines}", encoding="utf-8")
    task = tasks.build({"name": "perturbed", "read": ["rows.csv"], "changes": ["upper"]})
    tested = task.ask(SMALL_CAT, Hall(folder=tmp_path))
    assert tested.columns["upper_lost"].sum() == 6 and len(tested) == 12
    wider = Hall(folder=tmp_path, labels=("animal", "plant", "thing"))  # the model knows a label that no row has
    with_plants = Says(labels=lambda text: (1.0, 0.0, 0.0) if "cat" in text else (0.0, 0.0, 1.0))
    assert task.ask(with_plants, wider).columns["clean"].tolist() == [1] * 12
    tagged = Tagged(id="a:1", words=("a",), tags=("O",), labels=("O",))
    for splits, complaint in (({"test": [tagged]}, "tagged examples are not asked"), ({}, "no items to change")):
        with pytest.raises(Refused, match=complaint):
            tasks.build("perturbed").ask(Toy(), Hall(splits=splits))


def test_a_change_that_makes_an_item_too_long_for_the_model_says_nothing() -> None:
    model = Says(labels=lambda text: (0.0, 1.0))
    model.renderer = Bytes(max_tokens=81)
    task = tasks.build({"name": "perturbed", "changes": ["upper", "unpunctuated"]})
    tested = task.ask(model, Hall(splits={"test": rows(("stone", "thing"))}))
    assert tested.columns["upper"].tolist() == [1]
    capitals = rows(("ŉ" * 30, "thing"))  # two bytes each, three as capitals
    np.testing.assert_array_equal(task.ask(model, Hall(splits={"test": capitals})).columns["upper"], [np.nan])
