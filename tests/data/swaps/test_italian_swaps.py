"""Sentences written for this test and read by eye."""

import csv

import pytest
from shared_data import shared

from affina.data.swaps.italian import swapped
from affina.data.texts import edited

PAIRS = [
    ("La bambina legge un libro.", "Il bambino legge un libro."),
    ("Il ragazzo è stanco.", "La ragazza è stanca."),
    ("La ragazza alta e bella è arrivata ieri.", "Il ragazzo alto e bello è arrivato ieri."),
    ("L'attrice è stata premiata a Venezia.", "L'attore è stato premiato a Venezia."),
    ("Un'amica di Maria è andata al mare.", "Un amico di Marco è andato al mare."),
    ("Lo studente è preparato.", "La studentessa è preparata."),
    (
        "La dottoressa Rossi ha parlato con il professor Bianchi.",
        "Il dottor Rossi ha parlato con la professoressa Bianchi.",
    ),
    ("Mio fratello e mia sorella sono andati a scuola.", "Mia sorella e mio fratello sono andati a scuola."),
    ("Marco mangia una mela rossa.", "Maria mangia una mela rossa."),
    ("Lei è una maestra molto brava.", "Lui è un maestro molto bravo."),
    ("Tutti i ragazzi erano seduti.", "Tutte le ragazze erano sedute."),
    ("Dalle amiche di sua madre.", "Dagli amici di suo padre."),
    ("Le signore sono uscite.", "I signori sono usciti."),
    ("I miei nonni sono nati a Roma.", "Le mie nonne sono nate a Roma."),
    ("Quel vecchio pittore era povero.", "Quella vecchia pittrice era povera."),
    ("Quegli uomini sono pericolosi.", "Quelle donne sono pericolose."),
    ("Ha invitato una bella ragazza.", "Ha invitato un bel ragazzo."),
    ("L'uomo buono e la buona donna.", "La donna buona e il buon uomo."),
    ("I maggiori attori italiani.", "Le maggiori attrici italiane."),
    ("Una giovane donna entrò nella stanza.", "Un giovane uomo entrò nella stanza."),
    ("La nipote di Giovanni vive a Milano.", "Il nipote di Anna vive a Milano."),
    ("Il direttore ha detto che lui non sapeva nulla.", "La direttrice ha detto che lei non sapeva nulla."),
    ("È stata assunta una cameriera.", "È stato assunto un cameriere."),
    ("Nessuno ha visto Paolo.", "Nessuno ha visto Paola."),
    ("La mia ragazza si è arrabbiata.", "Il mio ragazzo si è arrabbiato."),
    ("Maria è una persona gentile.", "Marco è una persona gentile."),
    ("Lo psicologo dell'attore", "La psicologa dell'attrice"),
    ("SIGNORA, IL MARITO", "SIGNORE, LA MOGLIE"),
]


@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_men_and_women_are_exchanged_and_all_that_agrees_with_them(one: str, other: str) -> None:
    edits = swapped(one, True)
    assert edits is not None and edited(one, edits) == other


@pytest.mark.parametrize(
    "text",
    [
        "Il libro è rosso e la casa è nuova.",
        "Santa Maria Novella è una chiesa.",
        "L'insegnante di matematica è severa.",
        "La strada maestra, i conti, una casa amica e la vita.",
        "",
        "...",
    ],
)
def test_what_names_no_one_stays(text: str) -> None:
    assert swapped(text, True) in ([], None)
    assert not swapped(text, True)


@pytest.mark.parametrize(
    "text",
    [
        "La madre la chiamava ogni sera.",  # whom?
        "Ho visto la zia, le ho detto di venire.",
        "Lucia, stanca, si sedette.",
        "La donna che lavora qui è simpatica.",  # the adjective is far from its noun
        "Buongiorno, Lei è molto gentile.",  # a polite you
        "Anna e Maria sono stanche.",
        "Ha adottato quel ragazzo orfano.",  # an adjective that is not known
        "Rivide il padre, il quale tacque.",
        "Voglio aiutarla: la signora è sola.",
        "La moglie Manlia era romana.",  # a first name that is not known
    ],
)
def test_what_cannot_be_told_is_left(text: str) -> None:
    assert swapped(text, True) is None


def test_names_stay_when_asked() -> None:
    edits = swapped("Maria saluta il padre.", False)
    assert edits is not None and edited("Maria saluta il padre.", edits) == "Maria saluta la madre."


def test_templates_written_by_others_for_men_and_women_become_each_other() -> None:
    path = shared("data", "honest_it_en", "it_template.tsv")
    with path.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    texts = [row["template_masked"].replace("[M]", "X").replace("l' ", "l'") for row in rows]
    plain = {" ".join(text.split()).lower() for text in texts}
    # where the masked word has no article of its own the other template differs by the person alone
    free = {text for text in plain if not any(f" {each} x" in text for each in ARTICLES)}
    changed = [edited(text, edits).lower() for text in free if (edits := swapped(text, True))]
    assert len(changed) > 150
    assert sum(text in free for text in changed) >= 0.97 * len(changed)


ARTICLES = ("il", "la", "lo", "un", "una", "i", "le", "gli", "dei", "delle", "degli", "gran", "miglior", "migliori")
