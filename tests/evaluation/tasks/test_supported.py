"""Supported: every sentence of an answer is a claim, and what is not supported is listed."""

import json
from pathlib import Path

import numpy as np
import pytest
from known_models import Says

from affina.core.errors import Refused
from affina.core.kinds import tasks
from affina.core.task import Hall

SOURCE = "The mill made 40 tons. Anna owns it."
ROWS = [
    {"id": "a", "source": SOURCE, "question": "What of the mill?"},
    {"id": "b", "source": SOURCE, "question": "And Anna?"},
    {"id": "c", "source": SOURCE, "question": "Nothing?"},
]
ANSWERS = {"mill?": "The mill made 40 tons. The mill made 50 tons.", "Anna?": "Anna owns it.", "Nothing?": " … "}


def entails(text: str) -> tuple[float, float, float]:
    source, _, claim = text.partition(" | ")
    return (0.0, 9.0, 0.0) if claim in source else (0.0, 0.0, 9.0)


JUDGE = Says(labels=entails)


def answer(prompt: str) -> str:
    return next(
        said for end, said in ANSWERS.items() if prompt.partition("assistant: ")[0].rstrip("\x00").endswith(end)
    )


@pytest.fixture
def hall(tmp_path: Path) -> Hall:
    (tmp_path / "own.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS), encoding="utf-8")
    return Hall(folder=tmp_path, open={"nli": JUDGE}.__getitem__)


def test_claims_are_judged_one_by_one_and_unsupported_ones_listed(hall: Hall) -> None:
    task = tasks.build({"name": "supported", "read": ["own.jsonl"], "entailment": "nli"})
    tested = task.ask(Says(answer), hall)
    np.testing.assert_array_equal(tested.columns["supported"], [0.5, 1, np.nan])
    np.testing.assert_array_equal(tested.columns["all_supported"], [0, 1, np.nan])
    np.testing.assert_array_equal(tested.columns["missing"], [1, 0, np.nan])
    np.testing.assert_array_equal(tested.columns["grounded"], [0.5, 1, np.nan])
    (listed,) = tested.shown[0]["unsupported"]
    assert listed["claim"] == "The mill made 50 tons." and listed["missing"] == ["50"]
    assert tested.notes == ("1 of 3 claims are not supported", "1 of 3 answers make no claim")


def test_the_model_is_shown_the_source_and_the_question(hall: Hall) -> None:
    heard: list[str] = []
    task = tasks.build({"name": "supported", "read": ["own.jsonl"], "entailment": "nli", "most": 1})
    task.ask(Says(lambda prompt: heard.append(prompt) or "Anna owns it."), hall)  # type: ignore[func-returns-value]
    assert SOURCE in heard[0] and "What of the mill?" in heard[0]


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"read": ["own.jsonl"]}, "has no model of entailment"),
        ({"entailment": "nli"}, "no items are given"),
        ({"read": ["own.jsonl"], "entailment": "nli", "labels": ["entailment", "contradiction"]}, "it has 3 labels"),
    ],
)
def test_what_is_not_given_is_named(hall: Hall, settings: dict[str, object], complaint: str) -> None:
    with pytest.raises(Refused, match=complaint):
        tasks.build({"name": "supported", **settings}).ask(Says(answer), hall)


@pytest.mark.parametrize("settings", [{"labels": ["yes", "no"]}, {"form": "{source}"}])
def test_settings_that_cannot_be_asked_are_refused(settings: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        tasks.build({"name": "supported", **settings})
