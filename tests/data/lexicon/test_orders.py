"""Sentences in another order stay sentences; where signs are not sure nothing moves."""

import pytest

from affina.data.lexicon.orders import Form, variants
from affina.data.lexicon.words import edited

ALL: tuple[Form, ...] = ("clauses", "adverbs", "questions")


def ways(text: str, language: str, forms: tuple[Form, ...] = ALL) -> set[str]:
    return {edited(text, edits) for edits in variants(text, language, forms)}


@pytest.mark.parametrize(
    ("language", "text", "expected"),
    [
        ("en", "If my card is lost, what should I do?", "What should I do if my card is lost?"),
        ("en", "I was charged twice, although I paid once.", "Although I paid once, I was charged twice."),
        ("en", "The app closes, when I log in.", "When I log in, the app closes."),
        ("it", "Quando piove, resto a casa.", "Resto a casa, quando piove."),
        ("it", "Non posso pagare, se sono via.", "Se sono via, non posso pagare."),
        ("en", "I paid it yesterday.", "Yesterday I paid it."),
        ("it", "Ho pagato ieri.", "Ieri ho pagato."),
        ("en", "How do I get it?", "How can I get it?"),
        ("it", "Come posso pagare la bolletta?", "In che modo posso pagare la bolletta?"),
        ("it", "Posso pagare a rate?", "È possibile pagare a rate?"),
        ("en", "Wait. If it rains, I stay. Then go.", "Wait. I stay if it rains. Then go."),
    ],
)
def test_a_sentence_is_said_in_another_order(language: str, text: str, expected: str) -> None:
    assert ways(text, language) == {expected}


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "I do not know if it works."),  # an indirect question: no comma before it
        ("en", "If it rains, then I stay."),
        ("en", "Rome fell, when the Goths came."),  # a name keeps its capital, and it may be any word
        ("en", "If it rains, I stay, and you go."),
        ("en", "If it rains, I stay (or go)."),
        ("en", "Did I pay it yesterday?"),
        ("en", "He said that I paid it yesterday."),
        ("it", "Non so se piove."),
        ("it", "Come posso?"),
        ("en", ""),
        ("en", "?!\n\n..."),
    ],
)
def test_where_the_signs_are_not_sure_nothing_moves(language: str, text: str) -> None:
    assert ways(text, language) == set()
