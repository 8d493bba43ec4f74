import random

import pytest
from shared_data import shared

from affina.core.errors import Refused
from affina.core.example import Chat, Example, Labelled, Message, Parallel, Tagged, Text
from affina.core.kinds import Desk, transforms
from affina.data.ledger import Ledger

ITALIAN = "La bambina legge un libro vicino alla finestra della cucina."
ENGLISH = "The girl is reading a book near the window of the kitchen."
FRENCH = "La petite fille lit un livre près de la fenêtre de la cuisine."


def identified(examples: list[Example], **fields: object) -> tuple[list[Example], Desk]:
    ledger = Ledger()
    for each in examples:
        ledger.read("a", each.id)
    desk = Desk(ledger)
    left = list(transforms.build({"name": "language", **fields}).apply(examples, desk))
    ledger.use("all", left)
    ledger.reconcile()
    return left, desk


def texts(*given: str) -> list[Example]:
    return [Text(id=f"a:{n}", text=text) for n, text in enumerate(given)]


def test_other_languages_are_dropped_with_their_name_and_what_is_undecided_stays() -> None:
    left, desk = identified(texts(ITALIAN, ENGLISH, FRENCH, "ok", "12345 67890 !!", ""), keep=["it", "en"])
    assert [each.id for each in left] == ["a:0", "a:1", "a:3", "a:4", "a:5"]
    assert desk.books.summary()["dropped"]["reasons"] == {"in another language: fr": 1}  # type: ignore[attr-defined]
    assert desk.notes == ["language: it 1, en 1, fr 1, undecided and kept 3 of 6 examples"]


def test_without_a_wish_languages_are_only_counted() -> None:
    left, desk = identified(texts(ITALIAN, FRENCH))
    assert len(left) == 2 and desk.notes == ["language: it 1, fr 1, undecided and kept 0 of 2 examples"]


def test_what_was_found_can_be_kept_among_the_facts() -> None:
    left, _ = identified(
        [Labelled(id="a:1", text=ITALIAN, label="x", facts={"day": "1"}), *texts("ok")], fact="language"
    )
    assert [dict(each.facts) for each in left] == [{"day": "1", "language": "it"}, {"language": ""}]


def test_every_kind_of_example_is_judged_by_its_texts_and_a_translation_by_what_is_read() -> None:
    examples: list[Example] = [
        Chat(id="a:1", messages=(Message("user", FRENCH), Message("assistant", FRENCH))),
        Parallel(id="a:2", source=FRENCH, result=ITALIAN),
        Parallel(id="a:3", source=ITALIAN, result=FRENCH),
        Tagged(id="a:4", words=tuple(FRENCH.split()), tags=("O",) * len(FRENCH.split())),
    ]
    assert [each.id for each in identified(examples, keep=["it"])[0]] == ["a:3"]


def test_addresses_and_accounts_say_nothing() -> None:
    left, _ = identified(
        texts("@federica_rossi https://example.com/the-best-news-of-the-day www.thenews.com"), fact="is"
    )
    assert left[0].facts["is"] == ""


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"keep": ["italian"]}, "none is called 'italian'"),
        ({"keep": ["it"], "among": ["xx", "it"]}, "none is called 'xx'"),
        ({"keep": ["it"], "among": ["en"]}, "keep names it, which among leaves out"),
    ],
)
def test_an_unknown_language_is_refused(fields: dict[str, object], sentence: str) -> None:
    with pytest.raises(Refused, match=sentence):
        identified(texts(ITALIAN), **fields)


@pytest.mark.parametrize(("file", "right"), [("eng-ita.ita", "it"), ("eng-ita.eng", "en"), ("eng-spa.spa", "es")])
def test_what_is_certain_of_real_short_sentences_is_right(file: str, right: str) -> None:
    lines = shared("data", "tatoeba_en_it_es", file).read_text(encoding="utf-8").splitlines()
    chosen = texts(*random.Random(0).sample(lines, 500))
    for among, decided in ([], 0.55), (["it", "en", "es"], 0.9):
        left, _ = identified(chosen, fact="is", among=among)
        certain = [each.facts["is"] for each in left if each.facts["is"]]
        assert certain.count(right) >= 0.99 * len(certain) and len(certain) >= decided * len(chosen)
