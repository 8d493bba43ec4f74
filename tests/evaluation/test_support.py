"""Support of claims: numbers and names by hand, passages by shared words, the best passage decides."""

import numpy as np
import pytest

from affina.core.errors import Refused
from affina.engine.toy import Toy
from affina.evaluation.support import Entailment, claims, evidence, names, numbers, supports

LABELS = ("contradiction", "entailment", "neutral")
FORM = "{source} | {claim}"


class Follows(Toy):
    """Entails what stands in the source word for word, contradicts what has a "not" more, else is neutral."""

    def __init__(self) -> None:
        super().__init__(max_tokens=16384, labels=3)

    def score(self, rows):  # type: ignore[no-untyped-def]
        from known_models import text_of

        from affina.core.kinds import Scored

        found = []
        for row in rows:
            source, _, claim = text_of(row.tokens.tolist()).partition(" | ")
            place = 1 if claim.rstrip(".") in source else 0 if " not " in claim else 2
            found.append(Scored(np.zeros(0), 5.0 * np.eye(3)[place]))
        return found


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("1,496.50 and 1.496,5", ["1496.5", "1496.5"]),
        ("$1,234,567 or 1.234.567 or 1234567", ["1234567"] * 3),
        ("12,5 % is 12.5%", ["12.5", "12.5"]),
        ("0.250 and 007", ["0.25", "7"]),
        ("in 2019 and 2018", ["2019", "2018"]),
        ("two of ten, due di dieci", ["2", "10", "2", "10"]),
        ("0.496", ["0.496"]),
        ("no number", []),
    ],
)
def test_numbers_are_compared_in_plain_form(text: str, plain: list[str]) -> None:
    assert [each for _, each in numbers(text)] == plain


def test_names_have_a_capital_letter_where_no_sentence_begins() -> None:
    assert names("The house of Anna Rossi in Rome. Rain falls on the DNA lab, I say.") == [
        "Anna",
        "Rossi",
        "Rome",
        "DNA",
    ]


def test_claims_are_the_sentences_of_an_answer() -> None:
    assert claims("Sales rose by 3.5 % in 2019. Dr. Hill left!\n\nIt rained") == [
        "Sales rose by 3.5 % in 2019.",
        "Dr. Hill left!",
        "It rained",
    ]
    assert claims(" … ") == []


def test_evidence_is_what_shares_most_words_with_the_claim() -> None:
    source = "Rain fell all day.\n\nThe mill belongs to Anna.\n\nThe mill is old."
    assert evidence(source, "Anna owns the mill", 2) == ["The mill belongs to Anna.", "The mill is old."]


def test_the_score_is_entailment_times_the_share_of_numbers_and_names_that_stand_in_the_source() -> None:
    source = "In 2019 the mill of Anna made 40 tons.\n\nIt never burnt."
    by = Entailment(Follows(), LABELS, FORM)
    asked = ["the mill of Anna made 40 tons", "the mill of Anna made 41 tons", "It did not burn", "Rome is near Berlin"]
    true, wrong, opposite, other = supports([(source, claim) for claim in asked], by, 2)
    sure = np.exp(5) / (np.exp(5) + 2)
    assert true.score == pytest.approx(sure) and true.missing == () and true.stated == 2
    assert wrong.missing == ("41",) and wrong.score == pytest.approx((1 - sure) / 2 / 2)
    assert opposite.contradicted == pytest.approx(sure) and opposite.entailed < 0.01
    assert other.missing == ("Berlin",)


def test_an_empty_source_supports_nothing_and_braces_in_texts_stay() -> None:
    by = Entailment(Follows(), LABELS, FORM)
    (empty,) = supports([("", "Anna made 40 tons")], by, 2)
    assert empty.score == 0 and empty.missing == ("40",)
    (braced,) = supports([("say {claim} now", "say {claim} now")], by, 2)
    assert braced.entailed > 0.9
    assert supports([], by, 2) == []


def test_a_model_with_another_head_is_refused() -> None:
    for model, complaint in ((Toy(), "no head of labels"), (Toy(labels=2), "it has 2 labels, and 3 are expected")):
        with pytest.raises(Refused, match=complaint):
            supports([("a source", "a claim")], Entailment(model, LABELS, FORM), 2)
