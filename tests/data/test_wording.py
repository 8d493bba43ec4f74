import pytest

from affina.data.wording import FITTING, OPENINGS, flaw, invents, language

SENTENCE = "The council of Ferrara opened its new archive in 1987 and closed the old one in the following spring."
MIDDLE = {"en": "the council of Ferrara opened", "it": "il comune di Ferrara"}
ITALIAN = "Il comune di Ferrara ha aperto il nuovo archivio nel 1987 e ha chiuso quello vecchio in primavera."

SENTENCES = {"en": SENTENCE, "it": ITALIAN}


@pytest.mark.parametrize(
    ("question", "problem"),
    [
        ("In what year did the council of Ferrara open its new archive?", ""),
        ("When did the council open its new archive?", ""),
        ("In what year did the council of Ferrara open its new archive", "it is not one question"),
        ("When did the council open? Where is the new archive?", "it is not one question"),
        ("When did it open?", "it is too short to ask for anything"),
        ("What is it that they did there?", "it is too short to ask for anything"),
        ("In quale anno il comune di Ferrara ha aperto l'archivio?", "it is not in the passage's language"),
        ("Did the council of Ferrara open its new archive?", "it does not ask for a passage: no asking word"),
        ("Why did the council of Ferrara open its new archive?", "it does not ask for a passage: no asking word"),
        ("Who opened the new archive of the council of Ferrara?", "it asks for another kind of answer"),
        ("How many archives did the council of Ferrara open?", "it asks for another kind of answer"),
        ("What year has the passage for the archive?", "it speaks of the passage, not of what the passage says"),
        ("When did the council open its new archive, in 1987?", "it gives the answer away"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_question_is_said(question: str, problem: str) -> None:
    assert flaw(question, "1987", "year", SENTENCE, "en") == problem


def test_italian_questions_are_judged_alike() -> None:
    assert flaw("In quale anno il comune di Ferrara ha aperto il nuovo archivio?", "1987", "year", ITALIAN, "it") == ""
    assert (
        flaw("Chi ha aperto il nuovo archivio del comune?", "1987", "year", ITALIAN, "it")
        == "it asks for another kind of answer"
    )
    assert (
        flaw("When did the council open the new archive?", "1987", "year", ITALIAN, "it")
        == "it is not in the passage's language"
    )


@pytest.mark.parametrize(
    ("question", "invented"),
    [
        ("In what year did the council of Ferrara open its new archive?", False),
        ("When did the council open its new archive?", False),
        ("When did the council of Ferrara sell its wooden barges?", True),  # words of its own
        ("When did archive new the of council open Ferrara its?", True),  # the sentence's, in no order
    ],
)
def test_a_question_that_says_more_than_its_sentence_is_told(question: str, invented: bool) -> None:
    assert invents(question, SENTENCE) is invented


def test_a_sentence_with_a_question_mark_is_copied() -> None:
    said = "What the council of Ferrara opened was its new archive."
    assert flaw(f"{said[:-1]}?", "1987", "year", f"{said} It was 1987.", "en") == "it is copied from the passage"


def test_languages_are_told_by_their_function_words() -> None:
    assert (language(SENTENCE), language(ITALIAN), language("1987 xyz"), language("")) == ("en", "it", "", "")


def test_every_kind_that_can_be_fitted_can_be_begun_in_both_languages() -> None:
    for tongue, openings in OPENINGS.items():
        assert openings.keys() == FITTING.keys()
        for kind, begun in openings.items():
            for opening in begun:
                question = f"{opening} {MIDDLE[tongue]} archive?"
                found = flaw(question, "1987", kind, SENTENCES[tongue], tongue)
                assert found != "it asks for another kind of answer", (kind, opening)
