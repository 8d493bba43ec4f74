"""What a model was asked to say otherwise is kept where it says something else, in proportion, and near in meaning."""

from collections.abc import Callable
from pathlib import Path

import pytest
from speakers import Speaker

from affina.core.errors import Refused
from affina.core.example import Example, Labelled, Question, Tagged
from affina.core.kinds import Desk, transforms
from affina.core.say import Silent
from affina.data.ledger import Ledger
from affina.evaluation.open import open_model

ROWS: list[Example] = [Labelled(id=f"a:{n}", text=f"please pay bill {n}", label="pay", split="train") for n in range(8)]


def reworded(
    says: Callable[[str], str], rows: list[Example] = ROWS, **fields: object
) -> tuple[list[Example], str, Speaker]:
    model = Speaker(lambda prompt: says(prompt.rpartition("\n\n")[2].removesuffix("assistant: ")), shares=True)
    desk = Desk(Ledger(), open=lambda reference: model)
    out = list(transforms.build({"name": "paraphrase", "model": "m", **fields}).apply(rows, desk))
    return [each for each in out if each.made], desk.notes[-1], model


def test_other_words_are_kept_with_what_the_example_teaches() -> None:
    made, note, model = reworded(lambda text: f'"the bill {text[-1]} is to be paid"')
    assert [each.given for each in made] == [f"the bill {n} is to be paid" for n in range(8)], "without the quotes"
    assert all(isinstance(each, Labelled) and each.label == "pay" for each in made)
    assert note.endswith("of 8 rewritten texts: kept 100%")
    assert "please pay bill 3" in model.asked[3][0] and "in the same language" in model.asked[3][0]


def test_what_says_the_same_or_nothing_or_too_much_is_counted_and_left() -> None:
    said = {"0": "PLEASE, pay bill 0!", "1": "", "2": "pay " * 40, "3": "bill 3 must be paid"}
    made, note, _ = reworded(lambda text: said[text[-1]], ROWS[:4])
    assert [each.given for each in made] == ["bill 3 must be paid"]
    for reason in ("unchanged 25%", "nothing whole 25%", "much longer or shorter 25%", "kept 25%"):
        assert reason in note


def test_an_answer_that_does_not_end_and_a_text_too_long_to_ask_are_left() -> None:
    rows = [*ROWS[:1], Labelled(id="b:1", text="pay " * 2000, label="pay", split="train")]
    made, note, model = reworded(lambda text: "the bill is to be p…", rows)
    assert made == [] and "nothing whole 100%" in note
    assert len(model.asked) == 1, "the toy takes 4096 bytes"


def test_a_model_of_vectors_can_refuse_another_meaning() -> None:
    # the toy's vectors count bytes: other letters altogether have a cosine near nothing
    made, note, _ = reworded(lambda text: "ZZZZ QQQQ VVVV", ROWS[:1], alike="v", least=0.5)
    assert made == [] and "another meaning 100%" in note


def test_a_share_of_the_texts_is_asked_for_and_texts_with_places_are_left() -> None:
    made, _, model = reworded(lambda text: f"{text} now", rate=0.5)
    assert 0 < len(made) == len(model.asked) < 8
    tagged = Tagged(id="t:1", words=("Anna", "pays"), tags=("B-PER", "O"), split="train")
    asked = Question(id="q:1", question="Who pays?", context="Anna.", answers=(("Anna", 0),), split="train")
    found, _, _ = reworded(lambda text: f"{text} now", [tagged, asked])
    assert len(found) == 1 and isinstance(found[0], Question)
    assert (found[0].question, found[0].context, found[0].answers) == ("Who pays? now", "Anna.", asked.answers)


def test_without_a_model_or_a_place_for_the_text_it_is_refused() -> None:
    with pytest.raises(Refused, match="has no model"):
        list(transforms.build("paraphrase").apply(ROWS, Desk(Ledger())))
    with pytest.raises(ValueError, match=r"no \{text\}"):
        transforms.build({"name": "paraphrase", "prompt": "Rewrite."})


def test_a_real_model_is_asked_through_the_desk(chat_model: Path, tmp_path: Path) -> None:
    def opened(reference: str) -> object:
        return open_model(reference, tmp_path, True, Silent()).model

    desk = Desk(Ledger(), open=opened)  # type: ignore[arg-type]
    part = transforms.build({"name": "paraphrase", "model": str(chat_model), "longest": 50.0, "count": 2})
    once = [each.given for each in part.apply(ROWS[:2], desk) if each.made]
    assert once == [each.given for each in part.apply(ROWS[:2], desk) if each.made], "drawn by the seed"
    assert "rewritten texts" in desk.notes[0]
