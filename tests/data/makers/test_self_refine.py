from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from tiny_models import Parrot, text_of

from affina.core.errors import Refused
from affina.core.kinds import Made, Record, Row, Sampled, Sampling, Scored, Workshop, makers

GOOD = {"first try": -2.0, "second try": 1.0, "third try": 0.5, "no end": 9.0}
"""log p(yes) - log p(no) of each answer, in nats."""


class Writer(Parrot):
    """Writes the answers given, one after the other; its judgement of an answer is in GOOD."""

    def __init__(self, *answers: str) -> None:
        super().__init__()
        self.answers, self.heard = answers, list[str]()

    def sample(self, prompts: Sequence[Sequence[int]], how: Sampling) -> list[Sampled]:
        found = []
        for tokens in prompts:
            text = text_of(tokens)
            self.heard.append(text)
            after = max((place + 1 for place, each in enumerate(self.answers) if each and each in text), default=0)
            said = "say more" if "what is wrong" in text else self.answers[min(after, len(self.answers) - 1)]
            found.append(Sampled(said, (), stopped=said != "no end"))
        return found

    def score(self, rows: Sequence[Row]) -> list[Scored]:
        found = []
        for row in rows:
            text = text_of(row.tokens.tolist())
            nats = next(each for answer, each in GOOD.items() if f"Answer: {answer}" in text)
            found.append(Scored(np.array([nats if text.endswith("Yes") else 0.0])))
        return found


def refined(model: Writer, *rows: Any, critic: Writer | None = None, **settings: Any) -> list[Made]:
    part = makers.find("self_refine").model_validate({"least": -99.0, **settings})
    records = [Record(row, "a.jsonl", line) for line, row in enumerate(rows or ("Say something about it",), 1)]
    workshop = Workshop(model, critic or model)
    material = part.material(records)
    return [each for about in part.rounds(material, workshop) for each in part.round(about, [], workshop)]


def test_the_best_answer_by_the_critic_is_kept_and_writing_ends_when_it_gets_worse() -> None:
    (made,) = refined(Writer("first try", "second try", "third try", "never"), rewrites=3)
    assert made.row == {"prompt": "Say something about it", "completion": "second try"}
    assert (made.origin["turn"], made.origin["scores"]) == (1, [-2.0, 1.0, 0.5])
    assert made.origin["request"] == "a.jsonl:1"


def test_a_draft_that_nothing_betters_stays() -> None:
    (made,) = refined(Writer("second try", "first try", "third try"))
    assert made.row["completion"] == "second try" and made.origin["scores"] == [1.0, -2.0]


def test_the_critic_speaks_and_scores_and_the_writer_reads_what_it_said() -> None:
    writer, critic = Writer("first try", "second try"), Writer("x")
    refined(writer, critic=critic, rewrites=1)
    assert all("what is wrong" in text for text in critic.heard) and len(critic.heard) == 1
    assert not any("what is wrong" in text for text in writer.heard)
    assert "say more" in writer.heard[-1] and "first try" in writer.heard[-1]


def test_an_answer_that_does_not_end_is_never_kept_however_good_it_is_found() -> None:
    (made,) = refined(Writer("first try", "no end"), rewrites=1)
    assert made.row["completion"] == "first try"
    (made,) = refined(Writer("no end"), rewrites=1)
    assert made.rejected == "the answer did not come to an end"


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        ("", "the answer is empty"),
        ("Say something, about it!", "the answer repeats the request"),
        ("it goes on and " * 30, "the answer goes round in circles"),
        ("Here it is. Write the answer again with this put right.", "the answer repeats the prompt"),
    ],
)
def test_answers_that_say_nothing_are_rejected(answer: str, problem: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(GOOD, answer.strip(), 1.0)
    (made,) = refined(Writer(answer), rewrites=1)
    assert made.rejected == problem


def test_an_answer_must_reach_the_score_that_is_asked_for() -> None:
    answers = ("first try", "second try")
    assert refined(Writer(*answers), rewrites=1, least=1.0)[0].rejected == ""
    assert refined(Writer(*answers), rewrites=1, least=1.5)[0].rejected == "no answer is good enough for the critic"
    assert refined(Writer(*answers), rewrites=1, least=1.0)[0].passed[-1] == "score"


def test_by_default_an_answer_must_be_good_rather_than_not() -> None:
    part = makers.build("self_refine")
    for answer, kept in (("first try", False), ("third try", True)):
        model = Writer(answer)
        (request,) = part.material([Record("Say something about it", "a.jsonl", 1)])
        (made,) = part.round([request], [], Workshop(model, model))
        assert bool(made.rejected) != kept, GOOD[answer]


def test_a_right_answer_can_be_the_judge() -> None:
    row = {"prompt": "Say something about it", "completion": "the third try"}
    (made,) = refined(Writer("first try", "third try"), row, judge="right", rewrites=1)
    # ROUGE-L with `the third try`: one word of two and three in common, then two: 2·1/5 and 2·2/5
    assert made.origin["scores"] == [0.4, 0.8] and made.row["completion"] == "third try"
    with pytest.raises(Refused, match="right answers"):
        refined(Writer("x"), judge="right")


def test_only_single_requests_are_answered() -> None:
    turns = [{"role": role, "content": role} for role in ("user", "assistant", "user", "assistant")]
    with pytest.raises(Refused, match="no row is one question"):
        refined(Writer("x"), *({"messages": turns} for _ in range(3)))
