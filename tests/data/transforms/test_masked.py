"""Words hidden and filled in: whole words alone, never what must stay; the examples keep what they teach."""

from pathlib import Path

import pytest
from speakers import Speaker
from tiny import SENTENCES, words_base

from affina.core.errors import Refused
from affina.core.example import Example, Labelled, Question, Tagged
from affina.core.kinds import Desk, Model, transforms
from affina.core.say import Silent
from affina.data.ledger import Ledger
from affina.data.rows import Renderer
from affina.evaluation.open import open_model

TEXT = SENTENCES[0]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return words_base(tmp_path_factory.mktemp("masked"), "bert")


def filled(base: Path, word: str, rows: list[Example], **fields: object) -> tuple[list[Example], str]:
    """The variants where the model always says the last token of a text that ends in the word."""
    renderer = Renderer.open(base)
    token = renderer.vocabulary.encode([f"a {word}"])[0].ids[-1]
    model = Speaker(lambda prompt: "", False, renderer, [token])
    desk = Desk(Ledger(), open=lambda reference: model)
    out = list(transforms.build({"name": "masked", "model": "m", **fields}).apply(rows, desk))
    return [each for each in out if each.made], desk.notes[-1]


def a_whole_word(base: Path) -> str:
    """A word that is one token."""
    encode, words = Renderer.open(base).vocabulary.encode, {word for text in SENTENCES for word in text.split()}
    return next(
        word
        for word in sorted(words)
        if word.isalpha() and len(word) > 3 and len(encode([f"a {word}"])[0].ids) == len(encode(["a b"])[0].ids)
    )


def test_some_words_become_what_the_model_says(base: Path) -> None:
    word = a_whole_word(base)
    row = Labelled(id="a:1", text="kestrel walrus ostrich falcon", label="x", split="train")
    found, note = filled(base, word, [row], rate=0.5)
    (made,) = found
    assert isinstance(made, Labelled) and made.label == "x"
    assert sum(each == word for each in made.text.split()) == 2, "half of four words"
    assert note.endswith("0 of 2 hidden words stayed as they were")


def test_a_word_said_again_a_piece_and_a_sign_change_nothing(base: Path) -> None:
    word = a_whole_word(base)
    row = Labelled(id="a:1", text=f"{word} {word}", label="x", split="train")
    found, note = filled(base, word, [row], rate=1.0)
    assert found == [] and note.endswith("2 of 2 hidden words stayed as they were")
    for sign in ("!", "é"):
        assert filled(base, sign, [row], rate=1.0)[0] == []


def test_entities_answers_names_and_function_words_are_never_hidden(base: Path) -> None:
    word = a_whole_word(base)
    tagged = Tagged(id="t:1", words=("walrus", "ostrich"), tags=("B-X", "O"), split="train")
    question = Question(
        id="q:1", question="With which?", context="Anna ostrich", answers=(("ostrich", 5),), split="train"
    )
    found, _ = filled(base, word, [tagged, question], rate=1.0)
    assert [each.given for each in found] == [f"walrus {word}"]


def test_a_base_without_masks_and_no_base_are_refused(chat_model: Path) -> None:
    row = Labelled(id="a:1", text=TEXT, label="x", split="train")
    with pytest.raises(Refused, match="has no model"):
        list(transforms.build("masked").apply([row], Desk(Ledger())))
    model = Speaker(lambda prompt: "", True, Renderer.open(chat_model))
    with pytest.raises(Refused, match="names no mask token"):
        list(transforms.build({"name": "masked", "model": "m"}).apply([row], Desk(Ledger(), open=lambda name: model)))


def test_a_real_masked_model_is_asked_through_the_desk(base: Path, tmp_path: Path) -> None:
    def opened(reference: str) -> Model:
        return open_model(reference, tmp_path, True, Silent()).model

    rows: list[Example] = [
        Labelled(id=f"a:{n}", text=text, label="x", split="train") for n, text in enumerate(SENTENCES[:20])
    ]
    part = transforms.build({"name": "masked", "model": str(base), "rate": 0.5, "count": 2})
    desk = Desk(Ledger(), open=opened)
    once = [each.given for each in part.apply(rows, desk)]
    assert once == [each.given for each in part.apply(rows, Desk(Ledger(), open=opened))]
    assert "hidden words stayed" in desk.notes[0]
