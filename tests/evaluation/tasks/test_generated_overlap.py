"""Generated overlap: shares and longest runs against a plain count of words."""

from random import Random

import pytest
from known_models import Says, chat, texts

from affina.core.errors import Refused
from affina.core.kinds import tasks
from affina.core.task import Hall
from affina.data.shared_runs import words
from affina.engine.toy import Toy
from affina.evaluation.tasks.generated_overlap import longest

TRAIN = ["the old clock in the hall strikes nine when it is ten", "a green boat lies on the sand"]
TEST = [chat("a:1", "what about the clock", "it is slow", split="test")]


def asked_of(said: str, n: int = 3) -> dict[str, float]:
    task = tasks.build({"name": "generated_overlap", "n": n})
    tested = task.ask(Says(lambda prompt: said), Hall(splits={"train": texts(*TRAIN), "test": TEST}))
    return {name: each.value(tested.columns) for name, each in task.statistics().items()}


def test_runs_are_counted_by_words_whatever_their_case_and_punctuation() -> None:
    found = asked_of("The OLD clock, in a green boat!")
    # runs of three: the old clock, old clock in, clock in a, in a green, a green boat → 3 of 5 stand there
    assert found["overlap"] == pytest.approx(3 / 5) and found["longest"] == 4


def test_a_run_does_not_go_from_one_training_text_to_the_next() -> None:
    assert asked_of("it is ten a green boat")["longest"] == 3


def test_the_right_answers_stand_beside_what_is_generated() -> None:
    found = asked_of("nothing of that at all")
    assert found["overlap"] == 0 and found["longest"] == 0
    assert found["expected_longest"] == 2 and found["expected_overlap"] == 0  # "it is" of "it is slow"


def test_an_answer_shorter_than_a_run_says_nothing_of_the_share() -> None:
    found = asked_of("a green", n=8)
    assert found["overlap"] != found["overlap"] and found["longest"] == 2


def test_the_longest_run_is_that_of_a_plain_search() -> None:
    draws = Random(0)
    pool = [" ".join(draws.choice("abc") for _ in range(30)) for _ in range(4)]
    said = [" ".join(draws.choice("abc") for _ in range(12)) for _ in range(20)]
    plain = []
    for each in said:
        parts = each.split()
        runs = {" ".join(parts[a:b]) for a in range(12) for b in range(a + 1, 13)}
        plain.append(max(len(run.split()) for run in runs if any(run in text for text in pool)))
    assert longest([words(each) for each in said], [words(each) for each in pool]).tolist() == plain


def test_raw_texts_are_gone_on_with_and_a_model_without_a_run_is_refused() -> None:
    rows = {"train": texts(*TRAIN), "test": texts("a green boat lies on the grass", split="test")}
    task = tasks.build({"name": "generated_overlap", "n": 2, "prefix": 12})
    tested = task.ask(Says(lambda prompt: " lies on the sand"), Hall(splits=rows))
    assert tested.shown[0]["asked"] == "a green boat" and tested.columns["overlap"].tolist() == [1]
    with pytest.raises(Refused, match="ask a run"):
        task.ask(Toy(), Hall())
