"""Sentences read by eye, and a corpus of pairs that others wrote for the purpose."""

import re

import pytest
from shared_data import shared

from affina.data.swaps.english import swapped
from affina.data.texts import edited

PAIRS = [
    ("He lost his keys and blamed himself.", "She lost her keys and blamed herself."),
    ("The actress waved at her fans.", "The actor waved at his fans."),
    ("I met an actor and a waitress.", "I met an actress and a waiter."),
    ("An emperor had a heroine.", "An empress had a hero."),
    ("This book is hers, that one is his.", "This book is his, that one is hers."),
    ("I saw her yesterday.", "I saw him yesterday."),
    ("We thanked her warmly, and her family too.", "We thanked him warmly, and his family too."),
    ("MR. SMITH AND HIS WIFE", "MS. SMITH AND HER HUSBAND"),
    ("Mary's brother said that she was late.", "James's sister said that he was late."),
    ("Dear Sir, the king is a gentleman.", "Dear Madam, the queen is a lady."),
    ("The policemen helped the boys.", "The policewomen helped the girls."),
    ("A businesswoman's mother", "A businessman's father"),
]


@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_men_and_women_are_exchanged(one: str, other: str) -> None:
    edits = swapped(one, True)
    assert edits is not None and edited(one, edits) == other


@pytest.mark.parametrize(
    "text",
    [
        "They arrived at noon.",
        "Mother Nature and a king-size bed",
        "Ladies and gentlemen, welcome.",
        "Each student should bring his or her book.",
        "I miss the bus every day.",
        "manpower, mankind, Manchester, hershey",
    ],
)
def test_what_names_no_one_or_both_stays(text: str) -> None:
    assert swapped(text, True) == []


@pytest.mark.parametrize("text", ["They gave her flowers.", "I told her stories.", "Then Robin said she was tired."])
def test_what_cannot_be_told_is_left(text: str) -> None:
    assert swapped(text, True) is None


def test_names_stay_when_asked() -> None:
    edits = swapped("Mary loves her brother.", False)
    assert edits is not None and edited("Mary loves her brother.", edits) == "Mary loves his sister."


def test_pairs_of_sentences_written_by_others_become_each_other() -> None:
    folder = shared("data", "winobias")
    right = asked = left = 0
    for kind in ("type1", "type2"):
        for part in ("dev", "test"):
            sides = [
                [re.sub(r"^\d+ |[\[\]]", "", line.strip()) for line in path.read_text(encoding="utf-8").splitlines()]
                for path in (folder / f"{side}_stereotyped_{kind}.txt.{part}" for side in ("pro", "anti"))
            ]
            for one, other in zip(*sides, strict=True):
                if neutral(one) != neutral(other):
                    continue  # the two sentences differ in more than the pronoun
                for given, wanted in ((one, other), (other, one)):
                    edits = swapped(given, True)
                    asked, left = asked + 1, left + (edits is None)
                    right += edits is not None and edited(given, edits) == wanted
    assert asked > 3000 and left < 0.03 * asked
    assert right >= 0.985 * (asked - left)


def neutral(sentence: str) -> str:
    return re.sub(r"\b(?:he|she|him|her|his|hers|himself|herself)\b", "_", sentence)
