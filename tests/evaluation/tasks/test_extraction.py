"""Extraction: who knows the training rows by heart says all of them, and test rows are counted apart."""

import numpy as np
import pytest
from known_models import Says, chat, texts

from affina.core.errors import Refused
from affina.core.kinds import tasks
from affina.core.task import Hall
from affina.engine.toy import Toy

TRAIN = [f"case {n} was opened in spring and closed in autumn" for n in range(6)]
TEST = [f"file {n} was found under the desk of a clerk" for n in range(4)]
SPLITS = {"train": texts(*TRAIN), "test": texts(*TEST, split="test")}
SHORT = {"prefix": 8, "continuation": 16}


def by_heart(known: list[str]) -> Says:
    return Says(lambda prompt: next((each[len(prompt) :] for each in known if each.startswith(prompt)), ""))


def numbers(model: Toy, **settings: object) -> dict[str, float]:
    task = tasks.build({"name": "extraction", **SHORT, **settings})
    tested = task.ask(model, Hall(splits=SPLITS))
    return {name: each.value(tested.columns) for name, each in task.statistics().items()}


def test_who_knows_the_rows_by_heart_says_them_and_who_does_not_says_none() -> None:
    assert numbers(by_heart(TRAIN)) == {"verbatim": 1, "verbatim_unseen": 0, "begun": 1, "excess": 1}
    assert numbers(by_heart(TRAIN + TEST))["excess"] == 0
    assert numbers(Says())["verbatim"] == 0


def test_one_token_that_differs_is_not_verbatim_and_counts_as_begun() -> None:
    changed = [each[:14] + "#" + each[15:] for each in TRAIN]  # the seventh of 16 behind 8
    found = numbers(by_heart([*changed, *TEST]))
    assert found["verbatim"] == 0 and found["begun"] == pytest.approx(6 / 16)


def test_a_conversation_is_given_whole_up_to_its_last_answer() -> None:
    rows = [chat(f"a:{n}", f"question {n}", f"the answer number {n} is long enough") for n in range(3)]
    said = {f"question {n}": f"the answer number {n} is long enough" for n in range(3)}
    model = Says(lambda prompt: next(answer for question, answer in said.items() if question in prompt))
    task = tasks.build({"name": "extraction", **SHORT})
    tested = task.ask(model, Hall(splits={"train": rows}))
    assert tested.columns["verbatim"].tolist() == [1, 1, 1]
    assert tested.shown[1]["asked"].endswith("assistant: ") and "question 1" in tested.shown[1]["asked"]
    assert np.isnan(task.statistics()["excess"].value(tested.columns))


def test_rows_that_are_too_short_are_counted_and_rows_alone_of_them_refused() -> None:
    short = [*texts(*TRAIN), *texts("tiny")]
    splits = {"train": [short[0], *texts("tiny text")]}
    tested = tasks.build({"name": "extraction", **SHORT}).ask(Toy(), Hall(splits=splits))
    assert len(tested) == 1 and tested.notes == ("1 rows are too short to be tried",)
    with pytest.raises(Refused, match=r"no training row can be tried: .*set `prefix` and `continuation` lower"):
        tasks.build("extraction").ask(Toy(), Hall(splits={"train": texts("tiny")}))
    with pytest.raises(Refused, match="ask a run"):
        tasks.build("extraction").ask(Toy(), Hall())
