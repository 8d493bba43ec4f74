"""A judge is asked in both orders: what it prefers for its place counts for nobody; what cannot be read is counted."""

from pathlib import Path

import numpy as np
import pytest
from tiny import written
from tiny_models import Scripted

from affina.core.errors import Refused
from affina.core.kinds import Model, tasks
from affina.core.task import Hall, Tested
from affina.evaluation.judging import Asked, points, preferred
from affina.evaluation.tasked import measured

OTHERS = ["short", "a rather longer answer", "mine", "odd"]


def answers(prompt: str, name: str) -> str:
    return prompt.partition(f"[{name}]\n")[2].partition("\n[End of ")[0]


def longer(prompt: str) -> str:
    """Prefers the longer answer, the first of equals; says nothing sensible of an odd one."""
    first, second = answers(prompt, "Answer A"), answers(prompt, "Answer B")
    if "odd" in (first, second):
        return "who knows"
    return "It says more. [[A]]" if len(first) >= len(second) else "[[B]] It says more."


def asked(folder: Path, judge: Model, says: str = "mine", **settings: str) -> Tested:
    written(folder, "bank.jsonl", [{"question": f"q{n}", "answer": other} for n, other in enumerate(OTHERS)])
    task = tasks.build({"name": "judged", "data": "bank.jsonl", "judge": "the-judge", **settings})

    def opened(reference: str) -> Model:
        assert reference == "the-judge"
        return judge

    return task.ask(Scripted(lambda prompt: says), Hall(folder=folder, open=opened))


def test_a_preference_counts_only_where_it_survives_the_swap(tmp_path: Path) -> None:
    judge = Scripted(longer)
    found = asked(tmp_path, judge)
    # "mine" loses to "short" and the longer one in both orders; of equals the first is preferred: swayed, a tie; the
    # odd one's verdicts cannot be read
    assert found.columns["preference"].tolist()[:3] == [0, 0, 0.5] and np.isnan(found.columns["preference"][3])
    assert found.columns["lost"].tolist()[:3] == [1, 1, 0]
    assert found.columns["swayed"].tolist()[:3] == [0, 0, 1]
    assert found.columns["first_place"].tolist()[:3] == [0.5, 0.5, 1.0]
    assert found.columns["unread"].tolist() == [0, 0, 0, 1]
    assert found.notes == ("1 of 4 verdicts of the judge could not be read",) and judge.calls == 1
    task = tasks.build({"name": "judged", "data": "bank.jsonl", "judge": "x"})
    numbers = measured(found, task, 0.05, 0)
    assert numbers["preference"].value == pytest.approx(1 / 6) and numbers["preference"].n == 3
    assert numbers["first_place"].value == pytest.approx(2 / 3) and numbers["unread"].value == 0.25


def test_points_are_read_from_one_to_ten(tmp_path: Path) -> None:
    judge = Scripted(lambda prompt: f"so so [[{len(answers(prompt, 'Answer'))}]]")
    found = asked(tmp_path, judge, says="seven77", asks="points")
    assert found.columns["points"].tolist() == [7, 7, 7, 7] and found.columns["unread"].sum() == 0
    mute = asked(tmp_path, Scripted(lambda prompt: ""), asks="points")
    assert mute.columns["unread"].tolist() == [1, 1, 1, 1]


@pytest.mark.parametrize(
    ("said", "verdict"),
    [
        ("[[A]]", "first"),
        ("I think [[A]] no, [[ b ]]", "second"),
        ("**tie**", "neither"),
        ("B.", "second"),
        ("A or B", None),
        ("", None),
    ],
)
def test_the_last_verdict_in_brackets_or_a_bare_one_is_read(said: str, verdict: str | None) -> None:
    assert preferred(said) == verdict


@pytest.mark.parametrize(
    ("said", "number"),
    [("[[7]]", 7), ("7/10", 7), ("[[3]] or rather [[4.5]]", 4.5), ("[[11]]", None), ("2 of 5", None)],
)
def test_points_outside_the_scale_are_no_points(said: str, number: float | None) -> None:
    assert points(said) == number


def test_both_tied_is_no_sway_and_one_sided_is() -> None:
    assert not Asked("neither", "neither").swayed and Asked("first", "neither").swayed
    assert Asked("first", "second").won and Asked("second", "first").lost and not Asked(None, "first").swayed


def test_a_pair_longer_than_the_judge_takes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="judging 'q0': an item is too long for the model"):
        asked(tmp_path, Scripted(longer, max_tokens=64))
