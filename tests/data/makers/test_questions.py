from collections import Counter
from itertools import islice
from typing import Any

import pytest
from tiny_models import Scribe

from affina.core.errors import Refused
from affina.core.example import Example
from affina.core.kinds import Made, Record, Workshop, makers

ENGLISH = (
    "The Company shall pay the premiums for the health cover within ten (10) days of the end of the term. "
    "The last of the amber and barley under cedar went on 3 March 1950. It was the work of many hands."
)
ITALIAN = (
    "Entro dicembre 2021 le amministrazioni adottano il nuovo modello dei siti e lo pubblicano nel catalogo. "
    "La regione ne dà notizia ai comuni e alle scuole della città."
)
UNLEAD: dict[str, Any] = {"lead": None, "needed": -99.0}
"""Whatever the model finds of a question: what rules ask is looked at."""


def made(*texts: Any, workshop: Workshop | None = None, rounds: int = 9, **settings: Any) -> list[Made]:
    part = makers.find("questions").model_validate({"tokens": 500, **settings})
    workshop = workshop or Workshop(Scribe(), Scribe())
    material = part.material([Record(text, f"{place}.txt", 1) for place, text in enumerate(texts)])
    return [
        each for about in islice(part.rounds(material, workshop), rounds) for each in part.round(about, [], workshop)
    ]


def kept(found: list[Made]) -> dict[str, str]:
    return {each.row["question"]: each.row["answers"]["text"][0] for each in found if not each.rejected}


def test_rules_ask_in_the_passages_own_language_without_the_model_writing_anything() -> None:
    scribe = Scribe()
    found = made(ENGLISH, ITALIAN, workshop=Workshop(scribe, scribe), **UNLEAD)
    time, day = "Within what time of the end of the term shall the Company", "Entro quando le amministrazioni adottano"
    assert kept(found) == {
        "Who shall pay the premiums for the health cover within ten (10) days of the end of the term?": "Company",
        f"{time} pay the premiums for the health cover?": "ten (10) days",
        f"{day} il nuovo modello dei siti e lo pubblicano nel catalogo?": "dicembre 2021",
    }
    assert {each.origin["by"] for each in found if not each.rejected} == {"rule"}
    assert all("leads back" not in each.passed for each in found), "the lead was not asked for"


def test_the_model_may_ask_beside_the_rules_and_must_find_its_answer_again() -> None:
    found = made(ENGLISH, ask="both", **UNLEAD)
    writers = Counter(each.origin["by"] for each in found if not each.rejected)
    assert set(writers) == {"rule", "question_for_span_en@1"}
    assert "3 March 1950" in kept(found).values()

    class Forgetful(Scribe):
        def answer(self, text: str) -> str:
            return " 4 March 1950" if text.endswith("Answer:") else super().answer(text)

    lost = made(ENGLISH, workshop=Workshop(Scribe(), Forgetful()), ask="both", **UNLEAD)
    assert {each.origin["by"] for each in lost if not each.rejected} == {"rule"}
    assert "the model answers it otherwise" in {each.rejected for each in lost}


def test_where_the_best_question_for_an_answer_fails_the_next_is_kept() -> None:
    class Picky(Scribe):
        """Finds no answer to questions that begin as the best of each answer does."""

        def answer(self, text: str) -> str:
            return " nothing" if text.endswith("Answer:") and "On what date" in text else super().answer(text)

    found = made(ENGLISH, workshop=Workshop(Scribe(), Picky()), ask="model", tries=2, **UNLEAD)
    dated = {each.row["question"][:4]: each.rejected for each in found if "1950" in str(each.row.get("answers"))}
    assert dated == {"When": "", "On w": "the model answers it otherwise"}
    both = made(ENGLISH, ask="model", tries=2, **UNLEAD)
    reasons = sorted(each.rejected for each in both if "1950" in str(each.row.get("answers")))
    assert reasons == ["", "another question for the same answer is better"]


def test_a_free_answer_must_stand_in_the_passage_once() -> None:
    found = made(ENGLISH, ask="free", answers=1, tries=1, **UNLEAD)
    (row,) = (each.row for each in found if not each.rejected)
    assert row["question"] == "When the amber and barley under cedar went on?"
    (start,) = row["answers"]["answer_start"]
    assert row["context"][start:].startswith("3 March 1950")
    twice = made(f"{ENGLISH} Another day was 3 March 1950.", ask="free", answers=1, tries=1, **UNLEAD)
    assert "the answer does not stand in the passage, once" in {each.rejected for each in twice}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Ten words are too few for any question about them.", "the passage is too short"),
        ("a = 1; b[2] := {3}; %%% 4 + 5 * 6 / 7 - (8) ^ 9; " * 6, "the passage is no prose"),
        ("Der Fluss trägt Schiffe mit Holz nach Norden, wo Händler warten. " * 3, "the passage is in another language"),
        ("The barge carried wood and corn to a town where people wait. " * 3, "the passage has no answer by the rules"),
        (f"\ud800 {ENGLISH}", "the passage holds half a letter"),
    ],
)  # fmt: skip
def test_passages_that_nothing_is_asked_about_say_why(text: str, reason: str) -> None:
    assert {each.rejected for each in made(text)} == {reason}


def test_only_the_language_that_is_asked_for_is_read() -> None:
    found = made(ENGLISH, ITALIAN, language="it", **UNLEAD)
    assert [*kept(found).values()] == ["dicembre 2021"]
    assert "the passage is in another language" in {each.rejected for each in found}


def test_what_cannot_be_put_to_the_model_is_rejected_with_its_own_reason() -> None:
    def objection(example: Example) -> str:
        return "it spells out <|x|>" if "barley" in example.given else ""

    found = made(ENGLISH, workshop=Workshop(Scribe(), Scribe(), 0, objection))
    assert {each.rejected for each in found} == {"it spells out <|x|>"}


def test_a_question_whose_words_fit_another_sentence_better_is_rejected() -> None:
    other = "Nobody asks at what time of the end of the term the Company is to pay the premiums for the health cover."
    text = f"{ENGLISH} {other}"
    assert "another sentence has more of its words" not in {each.rejected for each in made(ENGLISH, **UNLEAD)}
    assert "another sentence has more of its words" in {each.rejected for each in made(text, **UNLEAD)}


def test_every_document_has_its_turn_before_any_has_two() -> None:
    texts = [
        " ".join(f"The barge number {n} of day {day} carried corn and wood." for n in range(60)) for day in range(3)
    ]
    part = makers.find("questions").model_validate({"tokens": 400})
    material = part.material([Record(text, f"{place}.txt", 1) for place, text in enumerate(texts)])
    rounds = list(part.rounds(material, Workshop(Scribe(), Scribe())))
    passages = [passage for about in rounds for passage in about]
    assert len({passage.document.id for passage in passages[:3]}) == 3
    spans = Counter((passage.document.id, passage.start) for passage in passages)
    assert set(spans.values()) == {1} and len(spans) > 20


def test_rows_of_columns_are_refused() -> None:
    rows = [Record({"text": f"text number {n}", "label": "xy"[n % 2]}, "a.csv", n) for n in range(9)]
    with pytest.raises(Refused, match="questions are made from texts"):
        makers.build("questions").material(rows)
