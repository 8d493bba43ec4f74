import pytest
from hypothesis import given
from hypothesis import strategies as st

from affina.data.frames import LONGEST, Place, framed
from affina.data.spans import spans


def asked(sentence: str, answer: str, tongue: str) -> list[str]:
    """The questions whose answer is that stretch, as `spans` finds it."""
    (span,) = (each for each in spans(sentence) if sentence[each.start : each.stop] == answer)
    return framed(Place.of(sentence, span.start, span.stop, span.kind), tongue)


@pytest.mark.parametrize(
    ("sentence", "answer", "question"),
    [
        (
            "The Company shall pay the premiums for the cover within ten (10) days of the end of the term.",
            "ten (10) days",
            "Within what time of the end of the term shall the Company pay the premiums for the cover?",
        ),
        (
            "The Company shall pay the premiums for the cover of the crew.",
            "Company",
            "Who shall pay the premiums for the cover of the crew?",
        ),
        (
            "“Covered Period” means the time that begins on the day of the sale and ends a year later.",
            "Covered Period",
            "Which term means the time that begins on the day of the sale and ends a year later?",
        ),
        (
            "It follows the Consolidated Omnibus Budget Reconciliation Act (“COBRA”).",
            "Consolidated Omnibus Budget Reconciliation Act",
            "Which name is abbreviated as COBRA?",
        ),
        (
            "The Company shall pay the Employee a lump sum of $10,000 in March.",
            "$10,000",
            "What amount shall the Company pay the Employee in March?",
        ),
        (
            "The Employee’s work for the Company was ended on July 15, 2014.",
            "July 15, 2014",
            "On what date was the Employee’s work for the Company ended?",
        ),
        (
            "The arbitration shall be administered by the American Arbitration Association.",
            "American Arbitration Association",
            "By whom shall the arbitration be administered?",
        ),
    ],
)
def test_english_sentences_become_the_questions_a_reader_would_ask(sentence: str, answer: str, question: str) -> None:
    assert asked(sentence, answer, "en") == [question]


@pytest.mark.parametrize(
    ("sentence", "answer", "question"),
    [
        (
            "**Entro dicembre 2021** - Le amministrazioni adottano il nuovo modello dei siti.",
            "dicembre 2021",
            "Entro quando le amministrazioni adottano il nuovo modello dei siti?",
        ),
        (
            "Dal 1 gennaio 2022, i comuni pubblicano il catalogo dei servizi.",
            "1 gennaio 2022",
            "Da quale data i comuni pubblicano il catalogo dei servizi?",
        ),
        (
            "Le regioni trasmettono i dati della spesa entro trenta giorni.",
            "trenta giorni",
            "Entro quanto tempo le regioni trasmettono i dati della spesa?",
        ),
        (
            "AGID pubblica le linee guida per i siti delle scuole.",
            "AGID",
            "Chi pubblica le linee guida per i siti delle scuole?",
        ),
        (
            "Si usa il Sistema Pubblico di Identità Digitale (SPID) per entrare.",
            "Sistema Pubblico di Identità Digitale",
            "Che cosa significa la sigla SPID?",
        ),
    ],
)
def test_italian_sentences_become_the_questions_a_reader_would_ask(sentence: str, answer: str, question: str) -> None:
    assert asked(sentence, answer, "it") == [question]


@pytest.mark.parametrize(
    "sentence",
    [
        "If the Company shall fail to act within ten days, the Employee may leave.",  # a condition is no statement
        "“Cause” means any of the following acts of the Employee in the course of work.",  # a list to come
        "The party that shall pay within ten days and may not appeal is the Company.",  # a second clause
        "The sum is owed within ten days.",  # nothing is left to ask by, but for two words
        "The Act (“COB”) was passed on May 3, 1990 by them and by others who are named below.",
    ],
)
def test_where_the_words_around_leave_a_doubt_nothing_is_asked(sentence: str) -> None:
    places = [Place.of(sentence, each.start, each.stop, each.kind) for each in spans(sentence) if each.kind != "party"]
    found = [question for place in places for question in framed(place, "en")]
    assert all(question == "Within what time is the sum owed?" for question in found), found


@given(st.text(max_size=60), st.text(min_size=1, max_size=20), st.text(max_size=60), st.sampled_from(["en", "it"]))
def test_any_sentence_is_read_without_an_error(before: str, answer: str, after: str, tongue: str) -> None:
    for kind in ("amount", "date", "duration", "law", "name", "party", "percent", "term", "year"):
        for question in framed(Place.of(before + answer + after, len(before), len(before + answer), kind), tongue):
            assert question.endswith("?") and len(question.split()) <= LONGEST
