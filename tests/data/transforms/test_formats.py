from collections import Counter
from collections.abc import Sequence
from math import exp, isclose, log

import numpy as np
import pytest

from affina.core.errors import Refused
from affina.core.example import Chat, Example, Labelled, Message, Question, Rated, Text
from affina.core.kinds import Desk, Row, Scored, transforms
from affina.data.ledger import Ledger
from affina.engine.toy import Toy

LABELS = ("cash", "card")


def rows(count: int, split: str = "train") -> list[Example]:
    return [
        Labelled(id=f"a:{split}{n}", text=f"ticket number {n} of {split}", label=LABELS[n % 2], split=split)
        for n in range(count)
    ]


def put(examples: Sequence[Example], desk: Desk | None = None, **settings: object) -> list[Example]:
    part = transforms.build({"name": "formats", **settings})
    return list(part.apply(examples, desk or Desk(Ledger())))


def asked(example: Example) -> str:
    assert isinstance(example, Chat)
    return example.messages[-2].content


class Fond(Toy):
    """Finds answers likelier by one nat a token wherever the row's text holds a word."""

    def __init__(self, word: str) -> None:
        super().__init__()
        self.word = word.encode()

    def score(self, rows: Sequence[Row]) -> list[Scored]:
        held = [self.word in bytes(token for token in row.tokens if token < 256) for row in rows]
        return [Scored(np.full(row.targets, -1.0 if has else -2.0)) for row, has in zip(rows, held, strict=True)]


def test_a_mix_gives_each_format_its_share_and_leaves_texts_answers_and_ids_alone() -> None:
    examples = rows(400)
    desk = Desk(Ledger(), seed=1)
    made = put(examples, desk, formats=["A {text} of {labels}", "B {text}", "C\n{text}"])
    assert [each.id for each in made] == [each.id for each in examples]
    assert [each.target for each in made] == [each.target for each in examples]
    assert all(each.text in asked(one) for each, one in zip(examples, made, strict=True) if isinstance(each, Labelled))
    shares = Counter(asked(each)[0] for each in made)
    assert set(shares) == {*"ABC"} and min(shares.values()) > 400 / 3 - 4 * (400 * 2 / 9) ** 0.5  # 4 standard errors
    assert asked(made[0]) in {
        "A ticket number 0 of train of card, cash",
        "B ticket number 0 of train",
        "C\nticket number 0 of train",
    }
    assert all(each.options == ("card", "cash") for each in made if isinstance(each, Chat))
    (note,) = desk.notes
    assert sum(int(part.split()[-2]) for part in note.removeprefix("formats: ").split(", ")[:3]) == 400


def test_the_draw_follows_from_seed_and_content_not_from_the_order() -> None:
    examples = rows(50)
    forms = {each.id: asked(each) for each in put(examples, Desk(Ledger(), 3))}
    assert forms == {each.id: asked(each) for each in put(examples[::-1], Desk(Ledger(), 3))}
    assert forms != {each.id: asked(each) for each in put(examples, Desk(Ledger(), 4))}


def test_every_kind_of_row_has_formats_in_the_library() -> None:
    question = Question(id="a:1", question="How long?", context="It takes two days.", answers=(("two days", 9),))
    silent = Question(id="a:2", question="Why?", context="It takes two days.", answers=())
    texts = {asked(put([question], Desk(Ledger(), seed))[0]) for seed in range(40)}
    assert len(texts) == 4 and all("How long?" in text and "It takes two days." in text for text in texts)
    said = {put([silent], Desk(Ledger(), seed))[0].target for seed in range(40)}
    assert said == {"The text does not say.", "Il testo non lo dice."}
    chat = Chat(id="a:3", messages=(Message("system", "Be brief"), Message("user", "Add 1"), Message("assistant", "2")))
    made = [put([chat], Desk(Ledger(), seed))[0] for seed in range(40)]
    assert len({asked(each) for each in made}) == 4
    assert all(isinstance(each, Chat) and each.messages[0] == chat.messages[0] for each in made)


def test_several_turns_go_through_as_they_are() -> None:
    turns = tuple(Message(("user", "assistant")[n % 2], f"turn {n}") for n in range(4))
    desk = Desk(Ledger())
    chat = Chat(id="a:1", messages=turns)
    assert put([chat], desk) == [chat]
    assert desk.notes == ["formats: as it is 1 rows"]


def test_the_best_is_what_the_model_finds_likeliest_on_validation_rows() -> None:
    examples = [*rows(20), *rows(10, "validation"), *rows(10, "test")]
    opened: list[str] = []

    def open(reference: str) -> Fond:
        opened.append(reference)
        return Fond("B validation")  # of the three formats one writes this, and only on validation rows

    desk = Desk(Ledger(), open=open)
    forms = ["A {text}", "B {text}", "C {text}"]
    turned = [
        Chat(
            id=each.id, split=each.split, messages=(Message("user", each.given.split()[-1]), Message("assistant", "y"))
        )
        for each in examples
    ]
    made = put(
        turned, desk, formats=[each.replace("text", "instruction") for each in forms], choose="best", model="base"
    )
    assert opened == ["base"]
    assert {asked(each)[0] for each in made} == {"B"}
    # two targets a row, the byte y and the stop: 2 nats where the word stands and 4 where not, on every row alike
    assert desk.notes[0] == "formats: B {instruction} kept: 2.000 nats a row on 10 validation rows"
    assert desk.notes[1].startswith(
        "formats: A {instruction} left out: 4.000 nats a row on 10 validation rows, +2.000 ± 0.000"
    )


def test_a_label_is_judged_among_the_labels() -> None:
    examples = [*rows(4), *rows(6, "validation")]
    desk = Desk(Ledger(), open=lambda reference: Fond("cash\u0000"))
    put(examples, desk, formats=["A {text}", "B {text} {labels}"], choose="best", model="base")
    # both labels are 4 bytes and a stop at 2 nats each: one of two at equal odds, ln 2
    assert isclose(log(2), 0.693, abs_tol=5e-4) and isclose(exp(-log(2)), 0.5)
    assert all("0.693 nats a row on 6 validation rows" in note for note in desk.notes[:2])


def test_the_best_few_are_mixed() -> None:
    examples = [*rows(60), *rows(10, "validation")]
    desk = Desk(Ledger(), open=lambda reference: Fond("never"))
    made = put(examples, desk, formats=["A {text}", "B {text}", "C {text}"], choose="best", best=2, model="base")
    assert {asked(each)[0] for each in made} == {"A", "B"}  # equal: the earlier ones


@pytest.mark.parametrize(
    ("settings", "examples", "said"),
    [
        ({"choose": "best"}, rows(3), "needs a model"),
        ({"choose": "best", "model": "base"}, rows(3), "there are none"),
        ({"formats": ["A {question}"]}, rows(3), "does not fit labelled examples"),
        ({"formats": ["format_answer_it"]}, rows(3), "does not fit labelled examples"),
        ({}, [Text(id="a:1", text="x")], "formats for text examples"),
        ({}, [Rated(id="a:1", text="x", value=1)], "formats for rated examples"),
        ({}, [*rows(1), Text(id="a:1", text="x")], "together"),
    ],
)
def test_what_cannot_be_formatted_is_refused(settings: dict[str, object], examples: list[Example], said: str) -> None:
    with pytest.raises(Refused, match=said):
        put(examples, **settings)


@pytest.mark.parametrize("formats", [["no_such_format"], ["A {text}", "A {text}"]])
def test_settings_that_mean_nothing_are_refused(formats: list[str]) -> None:
    with pytest.raises(ValueError, match="format"):
        transforms.build({"name": "formats", "formats": formats})


def test_braces_in_a_text_stay_as_they_are() -> None:
    odd: list[Example] = [
        Labelled(id="a:1", text="a {labels} in {braces}", label="x"),
        Labelled(id="a:2", text="b", label="y"),
    ]
    assert asked(put(odd, formats=["{text}!"])[0]) == "a {labels} in {braces}!"
