from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shared_data import shared

from affina.data.spans import LONGEST, flattened, located, spans

ENGLISH = (
    "This agreement, effective the 1st day of January, 2001, is made by Pharmaceutical Product Development, Inc. under "
    "the Securities Exchange Act of 1934. The Company shall pay $10,000.00, or one hundred percent (100%) of the base "
    "salary, within ten (10) business\n   days under Section 6(e). “Covered Period” means eighteen months."
)
ITALIAN = (
    "Entro il 31 dicembre 2021 la Presidenza del Consiglio dei Ministri e AgID, ai sensi del decreto legislativo 7 "
    "marzo 2005, n. 82 e del Regolamento (UE) 2016/679, versano 4,5 milioni di euro, il 25%, entro trenta giorni. "
    "La «quota di riserva» vale per il 2022, si veda https://www.example.it/2020/SPID."
)


def found(text: str) -> list[tuple[str, str]]:
    return [(span.kind, " ".join(text[span.start : span.stop].split())) for span in spans(text)]


def test_english_answers_are_found_by_rule() -> None:
    assert found(ENGLISH) == [
        ("date", "1st day of January, 2001"),
        ("name", "Pharmaceutical Product Development"),
        ("name", "Securities Exchange Act of 1934"),
        ("party", "Company"),
        ("amount", "$10,000.00"),
        ("percent", "one hundred percent (100%)"),
        ("duration", "ten (10) business days"),
        ("law", "Section 6(e)"),
        ("term", "Covered Period"),
        ("duration", "eighteen months"),
    ]


def test_italian_answers_are_found_by_rule_and_nothing_inside_an_address() -> None:
    assert found(ITALIAN) == [
        ("date", "31 dicembre 2021"),
        ("name", "Presidenza del Consiglio dei Ministri"),
        ("name", "AgID"),
        ("law", "decreto legislativo 7 marzo 2005, n. 82"),
        ("law", "Regolamento (UE) 2016/679"),
        ("amount", "4,5 milioni di euro"),
        ("percent", "25%"),
        ("duration", "trenta giorni"),
        ("term", "quota di riserva"),
        ("year", "2022"),
    ]


def test_what_stands_twice_answers_nothing() -> None:
    assert found("It opened in 1987. It closed in 1990.") == [("year", "1987"), ("year", "1990")]
    assert found("It opened in 1987 and closed in 1987.") == []


@pytest.mark.parametrize(
    ("answer", "text", "stretch"),
    [
        ("the harbour office.", "It is the Harbour\n  Office, they say", "the Harbour\n  Office"),
        ("“Reserve Part”", "called the 'reserve part' now", "reserve part"),
        ("l'età", "Qui l’ETÀ conta", "l’ETÀ"),
        ("2019-2020", "in 2019–2020.", "2019–2020"),
        ("ﬁve", "just five days", "five"),
        ("STRASSE", "die Straße dort", "Straße"),
    ],
)
def test_an_answer_is_located_whatever_case_spacing_and_marks(answer: str, text: str, stretch: str) -> None:
    place = located(answer, text)
    assert place is not None and text[place[0] : place[1]] == stretch


@pytest.mark.parametrize(("answer", "text"), [("ten", "often"), ("x", "x and x"), ("", "x"), ("…", "x…"), ("a", "")])
def test_part_of_a_word_nothing_and_what_stands_twice_are_not_located(answer: str, text: str) -> None:
    assert located(answer, text) is None


@given(st.text(max_size=80))
def test_any_text_is_searched_without_an_error_and_what_is_found_is_there(text: str) -> None:
    for span in spans(text):
        assert 0 <= span.start < span.stop <= len(text)
        assert located(text[span.start : span.stop], text) is not None
    assert flattened(flattened(text)) == flattened(text)


@pytest.mark.parametrize("folder", ["piano_triennale_ict_it", "sec_contracts"])
def test_in_real_documents_answers_are_short_apart_and_unique(folder: str) -> None:
    for path in sorted(shared("data", folder).glob("[a-z]*.[rt]*"))[:10]:
        text = path.read_text(encoding="utf-8")[:3000]
        held = spans(text)
        assert all(one.stop <= two.start for one, two in pairwise(held))
        for span in held:
            assert 1 <= len(text[span.start : span.stop].split()) <= LONGEST
            place = located(text[span.start : span.stop], text)
            assert place is not None and span.start <= place[0] < place[1] <= span.stop  # marks at its ends aside
