from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from affina.core.errors import Refused
from affina.core.example import Chat, Example, Labelled, Message, Question, Tagged, Text
from affina.core.kinds import Desk, Model, Row, Scored, transforms
from affina.data.ledger import Ledger
from affina.engine.toy import Toy

MAIL, OTHER = "mario.rossi@example.com", "anna@example.org"


def redacted(examples: list[Example], desk: Desk | None = None, **fields: object) -> list[Example]:
    return list(transforms.build({"name": "redact", **fields}).apply(examples, desk or Desk(Ledger())))


def test_each_kind_has_its_placeholder_and_the_note_repeats_nothing() -> None:
    desk = Desk(Ledger())
    text = f"{MAIL}, {OTHER}, tel. 333 123 4567, IT60X0542811101000000123456, 4111 1111 1111 1111"
    (left, same) = redacted([Text(id="a:1", text=text), Text(id="a:2", text="nothing here")], desk)
    assert left.given == "[EMAIL], [EMAIL], tel. [PHONE], [IBAN], [CARD]" and same.given == "nothing here"
    assert desk.notes == ["redact: 1 of 2 examples changed: email 2, phone 1, iban 1, card 1"]


def test_numbers_are_consistent_within_an_example_or_all_data() -> None:
    examples: list[Example] = [
        Text(id="a:1", text=f"{MAIL} {OTHER} {MAIL.upper()} tel +39 333 1234567"),
        Text(id="a:2", text=f"{OTHER} {MAIL} tel +39333 123 45 67"),
    ]
    assert [each.given for each in redacted(examples, number="example")] == [
        "[EMAIL_1] [EMAIL_2] [EMAIL_1] tel [PHONE_1]",
        "[EMAIL_1] [EMAIL_2] tel [PHONE_1]",
    ]
    assert [each.given for each in redacted(examples, number="data")] == [
        "[EMAIL_1] [EMAIL_2] [EMAIL_1] tel [PHONE_1]",
        "[EMAIL_2] [EMAIL_1] tel [PHONE_1]",
    ]


def test_only_what_is_asked_for_is_looked_for() -> None:
    text = f"{MAIL} 203.0.113.42"
    assert redacted([Text(id="a:1", text=text)], kinds=["ip"])[0].given == f"{MAIL} [IP]"


def test_words_keep_their_tags_and_answers_what_they_quote() -> None:
    words = ("Mario", "scrive", "a", MAIL, "o", "al", "333", "123", "4567", ".")
    tags = ("B-PER", "O", "O", "O", "O", "O", "B-TEL", "I-TEL", "I-TEL", "O")
    (sentence,) = redacted([Tagged(id="a:1", words=words, tags=tags)])
    assert isinstance(sentence, Tagged) and sentence.tags == tags
    assert sentence.words == ("Mario", "scrive", "a", "[EMAIL]", "o", "al", "[PHONE]", "[PHONE]", "[PHONE]", ".")
    context = f"Write to {MAIL} or call +39 333 1234567 before noon."
    answers = tuple((text, context.index(text)) for text in (MAIL, "before noon", "333 1234567 before"))
    (question,) = redacted([Question(id="a:2", question=f"Who is {MAIL}?", context=context, answers=answers)])
    assert isinstance(question, Question)
    assert (
        question.question == "Who is [EMAIL]?" and question.context == "Write to [EMAIL] or call [PHONE] before noon."
    )
    assert [text for text, _ in question.answers] == ["[EMAIL]", "before noon", "[PHONE] before"]
    assert all(question.context[start:].startswith(text) for text, start in question.answers)


def test_answers_choices_and_tool_calls_are_redacted_alike_labels_and_facts_are_not() -> None:
    call = {"function": {"name": "send", "arguments": {"to": MAIL, "phone": 3331234567}}}
    turns = (Message("user", MAIL), Message("assistant", MAIL, {"tool_calls": [call]}))
    (chat, labelled) = redacted(
        [
            Chat(id="a:1", messages=turns, options=(MAIL, "none")),
            Labelled(id="a:2", text=MAIL, label=MAIL, facts={"owner": MAIL}),
        ]
    )
    assert isinstance(chat, Chat)
    assert [turn.content for turn in chat.messages] == ["[EMAIL]", "[EMAIL]"] and chat.options == ("[EMAIL]", "none")
    assert chat.messages[1].extra["tool_calls"][0]["function"]["arguments"] == {"to": "[EMAIL]", "phone": "[PHONE]"}
    assert (labelled.given, labelled.target, labelled.facts["owner"]) == ("[EMAIL]", MAIL, MAIL)


class Tagger(Toy):
    """Says B-PER of each word with a capital letter but the first, I-PER after such a word."""

    def score(self, rows: Sequence[Row]) -> list[Scored]:
        scored = []
        for _ in rows:
            words = self.heard.pop(0)
            places_SL = np.zeros((len(words), 3))
            for n, word in enumerate(words):
                person = word[0].isupper() and n > 0
                places_SL[n, 0 if person and not words[n - 1][0].isupper() else 1 if person else 2] = 1
            scored.append(Scored(np.zeros(0), places_SL=places_SL))
        return scored

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[tuple[str, ...]] = []
        toy = self

        class Heard:
            def rows(self, examples: Sequence[Any]) -> list[Row]:
                toy.heard += [each.words for each in examples]
                return [
                    Row(
                        "", np.zeros(len(each.words), np.int32), np.ones(len(each.words), np.float32),
                        said=np.arange(len(each.words), dtype=np.int32),
                    )
                    for each in examples
                ]  # fmt: skip

        self.renderer: Any = Heard()


def opened(reference: str) -> Model:
    assert reference == "people"
    return Tagger()


def test_names_are_found_by_the_model_that_is_given() -> None:
    desk = Desk(Ledger(), open=opened)
    examples: list[Example] = [
        Text(id="a:1", text=f"Ieri ho visto Anna Bianchi con Luca ({MAIL})."),
        Tagged(id="a:2", words=("Oggi", "chiama", "Anna", "Verdi"), tags=("O", "O", "B-X", "I-X")),
    ]
    left = redacted(examples, desk, names="people", tags=["O", "B-PER", "I-PER"], number="data")
    assert left[0].given == "Ieri ho visto [NAME_1] con [NAME_2] ([EMAIL_1])."
    assert left[1].given == "Oggi chiama [NAME_3] [NAME_3]"
    assert desk.notes == ["redact: 2 of 2 examples changed: name 3, email 1"]


def test_a_model_that_does_not_tag_people_is_refused() -> None:
    desk = Desk(Ledger(), open=opened)
    with pytest.raises(Refused, match="no tag is of people"):
        redacted([Text(id="a:1", text="x")], desk, names="people", tags=["O", "B-LOC"])
    with pytest.raises(Refused, match="does not give these tags"):
        redacted([Text(id="a:1", text="x y")], desk, names="people", tags=["O", "B-PER"])
    with pytest.raises(ValueError, match="go together"):
        transforms.build({"name": "redact", "names": "people"})
    with pytest.raises(Refused, match="no country is called 'ITA'"):
        redacted([Text(id="a:1", text="x")], regions=["ITA"])
