"""Italian synonyms agree with what stands beside them; what is not sure is left."""

from pathlib import Path

import pytest
from lexica import folder

from affina.core.kinds import Desk
from affina.data.ledger import Ledger
from affina.data.lexicon.languages import Lexicon, Wanted, lexicon
from affina.data.lexicon.words import edited


@pytest.fixture(scope="module")
def italian(tmp_path_factory: pytest.TempPathFactory) -> Lexicon:
    fetch = folder(tmp_path_factory.mktemp("lexica") / "all")
    return lexicon("it", Wanted(("noun", "adjective", "adverb"), 0.2), Desk(Ledger(), fetch=fetch))


def ways(lexicon: Lexicon, text: str) -> set[str]:
    return {edited(text, choice.edits) for slot in lexicon.slots(text) for choice in slot.choices}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("La bambina legge", {"La ragazzina legge"}),
        ("una bambina", {"una ragazzina"}),
        ("legge un libro", {"legge un volume"}),
        ("lo studente", {"l'allievo", "lo scolaro"}),
        ("Lo studente", {"L'allievo", "Lo scolaro"}),
        ("gli studenti", {"gli allievi", "gli scolari"}),
        ("l'allievo", {"lo studente", "lo scolaro"}),
        ("dell’allievo", {"dello studente", "dello scolaro"}),
        ("uno studente", {"un allievo", "uno scolaro"}),
        ("quell'allievo", {"quello studente", "quello scolaro"}),
        ("quegli studenti", {"quegli allievi", "quegli scolari"}),
        ("nel libro", {"nel volume"}),
        ("col libro", set()),
        ("nella zona", {"nell'area", "nel territorio"}),
        ("nell'area", {"nella zona", "nel territorio"}),
        ("una zona", {"un'area", "un territorio"}),
        ("delle zone", {"delle aree", "dei territori"}),
        ("una vasta zona", {"una vasta area", "un vasto territorio"}),
        ("la mia zona piccola", {"la mia area piccola", "il mio territorio piccolo"}),
        ("un bel libro", {"un bel volume"}),
        ("una bella zona", {"una bella area", "un bel territorio"}),
        ("un gran libro", {"un gran volume"}),
        ("sul braccio", {"sull'arto"}),
    ],
)
def test_articles_prepositions_and_adjectives_agree_with_the_new_noun(
    italian: Lexicon, text: str, expected: set[str]
) -> None:
    assert {each for each in ways(italian, text) if "ampi" not in each} == expected


@pytest.mark.parametrize(
    "text",
    [
        "la porta",  # an article and a noun, or a pronoun and a verb
        "Bambina", "BAMBINA", "in zona", "la bambina Anna", "il libro Cuore", "due studenti", "il clero", "",
        "co' studenti", "l' ", "\x00 la \ud800 il",
    ],
)  # fmt: skip
def test_what_is_not_surely_a_noun_that_can_change_is_left(italian: Lexicon, text: str) -> None:
    assert ways(italian, text) == set()


def test_a_noun_after_what_is_no_pronoun_may_also_be_a_verb(italian: Lexicon) -> None:
    assert ways(italian, "della porta") == {"dell'uscio"}


def test_another_gender_comes_only_where_nothing_else_can_agree(italian: Lexicon) -> None:
    assert "Vedo il territorio da qui" in ways(italian, "Vedo la zona da qui")
    for bound in ("La zona è piccola", "Vedo la zona e la guardo", "Vedo la zona portata via", "Tutta la zona"):
        assert not any("territorio" in each for each in ways(italian, bound)), bound
    assert any("territorio" in each for each in ways(italian, "Vedo la zona. Lei è piccola")), "another sentence"


def test_in_an_endless_sentence_nothing_changes_its_gender(italian: Lexicon) -> None:
    endless = "Vedo la zona " + "e qui " * 150
    assert any("area" in each for each in ways(italian, endless))
    assert not any("territorio" in each for each in ways(italian, endless))


def test_a_noun_that_changes_its_gender_with_its_number_agrees_in_each(italian: Lexicon) -> None:
    # il braccio, le braccia: the plural is feminine, and its synonym is masculine
    assert ways(italian, "Alza il braccio") == {"Alza l'arto"}
    assert ways(italian, "Alza le braccia") == {"Alza gli arti"}


def test_adjectives_keep_gender_and_number_and_govern_nothing(italian: Lexicon) -> None:
    assert ways(italian, "La bambina contenta ride") >= {"La bambina lieta ride", "La bambina felice ride"}
    assert ways(italian, "è contento") == {"è lieto", "è felice"}
    assert ways(italian, "è contento di te") == set(), "*lieto* may govern otherwise"
    assert ways(italian, "è felice") == set(), "*felice* does not tell the gender that *lieto* needs"
    assert ways(italian, "la bambina felice") >= {"la bambina lieta", "la bambina contenta"}


def test_an_adverb_becomes_only_what_is_nothing_but_an_adverb(italian: Lexicon) -> None:
    assert ways(italian, "Parla chiaramente oggi") == {"Parla evidentemente oggi"}, "*certo* is a function word"
    assert ways(italian, "ad evidentemente") == set(), "ad chiaramente sounds wrong"


def test_rare_words_and_phrases_of_words_are_not_put_in(italian: Lexicon) -> None:
    assert not any("omaso" in each or "donna" in each for each in ways(italian, "la bambina legge il libro"))


def test_after_ed_and_an_elision_the_first_letter_stays(italian: Lexicon) -> None:
    assert ways(italian, "ed un libro") == {"ed un volume"}
    assert ways(italian, "ad una zona") == {"ad un'area", "ad un territorio"}
    assert ways(italian, "ed il libro") == {"ed il volume"}
    assert ways(italian, "ed il braccio") == set(), "ed l'arto sounds wrong"


def test_a_thesaurus_that_is_absent_or_none_is_refused_in_a_sentence(tmp_path: Path) -> None:
    from affina.core.errors import Refused

    fetch = folder(tmp_path / "all")
    for name, content in (
        ("absent.dat", None),
        ("empty.dat", b""),
        ("bad.dat", b"UTF-8\nword\n"),
        ("x.dat", b"\xff\xfe"),
    ):
        if content is not None:
            (tmp_path / name).write_bytes(content)
        with pytest.raises(Refused, match=name):
            lexicon("it", Wanted(("noun",), None, tmp_path / name), Desk(Ledger(), fetch=fetch))
