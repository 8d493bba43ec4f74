"""Articles by sound and agreement, against the rows of the paradigm that every grammar prints."""

import pytest

from affina.data.lexicon.italian_articles import FP, FS, MP, MS, READINGS, Agreement, said, sound

PARADIGM = {
    # before:     libro              studente             amico                zaino
    ("il", MS): ("il libro", "lo studente", "l'amico", "lo zaino"),
    ("il", MP): ("i libri", "gli studenti", "gli amici", "gli zaini"),
    ("un", MS): ("un libro", "uno studente", "un amico", "uno zaino"),
    ("del", MS): ("del libro", "dello studente", "dell'amico", "dello zaino"),
    ("nel", MS): ("nel libro", "nello studente", "nell'amico", "nello zaino"),
    ("al", MP): ("ai libri", "agli studenti", "agli amici", "agli zaini"),
    ("dal", MP): ("dai libri", "dagli studenti", "dagli amici", "dagli zaini"),
    ("sul", MS): ("sul libro", "sullo studente", "sull'amico", "sullo zaino"),
    ("quel", MS): ("quel libro", "quello studente", "quell'amico", "quello zaino"),
    ("quel", MP): ("quei libri", "quegli studenti", "quegli amici", "quegli zaini"),
    ("bel", MS): ("bel libro", "bello studente", "bell'amico", "bello zaino"),
    ("bel", MP): ("bei libri", "begli studenti", "begli amici", "begli zaini"),
    ("nessun", MS): ("nessun libro", "nessuno studente", "nessun amico", "nessuno zaino"),
    # before:     casa               strega               anima                zia
    ("il", FS): ("la casa", "la strega", "l'anima", "la zia"),
    ("il", FP): ("le case", "le streghe", "le anime", "le zie"),
    ("un", FS): ("una casa", "una strega", "un'anima", "una zia"),
    ("del", FS): ("della casa", "della strega", "dell'anima", "della zia"),
    ("quel", FS): ("quella casa", "quella strega", "quell'anima", "quella zia"),
    ("nel", FP): ("nelle case", "nelle streghe", "nelle anime", "nelle zie"),
}


@pytest.mark.parametrize(("family", "agreement"), PARADIGM)
def test_articles_are_those_of_the_paradigm(family: str, agreement: Agreement) -> None:
    for phrase in PARADIGM[family, agreement]:
        article, noun = phrase.replace("'", "' ").split()
        assert said(family, agreement, noun) == article
        assert (family, agreement) in READINGS[article]


@pytest.mark.parametrize(
    ("word", "heard"),
    [
        ("hotel", "vowel"), ("uomo", "vowel"), ("età", "vowel"), ("gnomo", "impure"), ("psicologo", "impure"),
        ("xilofono", "unknown"), ("scoglio", "impure"), ("sale", "plain"), ("zio", "impure"), ("pneumatico", "impure"),
        ("iato", "unknown"), ("whisky", "unknown"), ("jazz", "unknown"), ("", "unknown"), ("3", "unknown"),
    ],
)  # fmt: skip
def test_the_sound_of_a_word_is_known_or_said_to_be_unknown(word: str, heard: str) -> None:
    assert sound(word) == heard


def test_where_usage_wavers_no_article_is_said() -> None:
    assert said("il", MS, "iato") is None
    assert said("un", MP, "libri") is None, "un has no plural"
    assert said("questo", MS, "iato") == "questo", "one form for every sound"
