"""English synonyms keep number, degree, the form of the verb and the article's sound."""

import pytest
from lexica import folder

from affina.core.kinds import Desk
from affina.data.ledger import Ledger
from affina.data.lexicon.english_forms import article
from affina.data.lexicon.languages import Lexicon, Wanted, language_of, lexicon
from affina.data.lexicon.words import edited


@pytest.fixture(scope="module")
def english(tmp_path_factory: pytest.TempPathFactory) -> Lexicon:
    fetch = folder(tmp_path_factory.mktemp("lexica") / "all")
    return lexicon("en", Wanted(("noun", "adjective", "adverb", "verb"), 0.2), Desk(Ledger(), fetch=fetch))


def ways(lexicon: Lexicon, text: str) -> set[str]:
    return {edited(text, choice.edits) for slot in lexicon.slots(text) for choice in slot.choices}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("the house", {"the home"}),
        ("these houses", {"these homes"}),
        ("This house is mine", {"This home is mine"}),
        ("an hour", {"a span"}),
        ("A span of it", {"An hour of it"}),
        ("an old house", {"an old home", "an ancient house"}),
        ("a house", {"a home"}),
        ("my advice", {"my counsel"}),
        ("a counsel", set()),  # advice has no plural of its own, so *an advice* is wrong
        ("the house rules apply", set()),  # not the head of its phrase
        ("this houses", set()),
        ("house", set()),
        ("the House", set()),
        ("the house-boat", set()),
        ("he bought the car", {"he purchased the car"}),
        ("she buys a car", {"she purchases a car"}),
        ("buying it", set()),
        ("come quickly", {"come rapidly"}),
        ("", set()),
    ],
)
def test_words_are_exchanged_in_the_same_form(english: Lexicon, text: str, expected: set[str]) -> None:
    assert ways(english, text) == expected


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("hour", "an"), ("honest", "an"), ("house", "a"), ("union", "a"), ("unintended", "an"), ("user", "a"),
        ("umbrella", "an"), ("European", "a"), ("one", "a"), ("owl", "an"), ("ATM", None), ("été", None), ("3", None),
    ],
)  # fmt: skip
def test_the_article_is_chosen_by_sound(word: str, expected: str | None) -> None:
    assert article(word) == expected


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Come posso pagare la bolletta?", "it"), ("How can I pay the bill?", "en"), ("Wie geht es dir?", None),
        ("", None), ("12 345", None),
    ],
)  # fmt: skip
def test_the_language_is_told_by_its_commonest_words_or_not_at_all(text: str, language: str | None) -> None:
    assert language_of(text) == language
