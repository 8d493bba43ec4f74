"""A text that went to another language and back is kept where it came back differing and near enough."""

from collections.abc import Callable
from pathlib import Path

import pytest
from sacrebleu.metrics.chrf import CHRF
from speakers import Speaker

from affina.core.errors import Refused
from affina.core.example import Example, Labelled
from affina.core.kinds import Desk, Model, transforms
from affina.core.say import Silent
from affina.data.ledger import Ledger
from affina.evaluation.open import open_model

ROWS: list[Example] = [Labelled(id=f"a:{n}", text=f"il gatto dorme {n}", label="x", split="train") for n in range(4)]
THERE = {"il gatto dorme": "the cat sleeps"}
BACK = {"the cat sleeps": "il gatto sta dormendo"}


def rule(words: dict[str, str]) -> Callable[[str], str]:
    def says(text: str) -> str:
        for one, other in words.items():
            text = text.replace(one, other)
        return text

    return says


def returned(models: dict[str, Model], **fields: object) -> tuple[list[str], str]:
    desk = Desk(Ledger(), open=lambda reference: models[reference])
    part = transforms.build({"name": "back_translate", "there": "there", "back": "back", **fields})
    return [each.given for each in part.apply(ROWS, desk) if each.made], desk.notes[-1]


def test_what_came_back_otherwise_is_kept_and_the_round_trip_is_told() -> None:
    models: dict[str, Model] = {"there": Speaker(rule(THERE), False), "back": Speaker(rule(BACK), False)}
    found, note = returned(models)
    expected = [f"il gatto sta dormendo {n}" for n in range(4)]
    assert found == expected
    score = CHRF().sentence_score(expected[0], ["il gatto dorme 0"]).score
    assert f"kept 100%; mean chrF of the round trip {score:.1f}" in note


def test_what_came_back_the_same_or_broken_is_counted_and_left() -> None:
    same: dict[str, Model] = {"there": Speaker(rule({}), False), "back": Speaker(rule({}), False)}
    assert returned(same)[0] == [] and "unchanged 100%; mean chrF of the round trip 100.0" in returned(same)[1]
    broken: dict[str, Model] = {"there": Speaker(lambda text: "", False), "back": Speaker(lambda text: "x", False)}
    assert returned(broken)[0] == [] and "empty 100%" in returned(broken)[1]
    far: dict[str, Model] = {"there": Speaker(rule({}), False), "back": Speaker(lambda text: "ZZ QQ", False)}
    assert "chrF below 30 100%" in returned(far)[1]


def test_a_model_of_conversations_is_asked_for_the_language() -> None:
    there = Speaker(lambda prompt: rule(THERE)(prompt.rpartition("\n\n")[2].removesuffix("assistant: ")), True)
    found, _ = returned({"there": there, "back": Speaker(rule(BACK), False)}, language="Inglese")
    assert found[0] == "il gatto sta dormendo 0" and "Translate into Inglese" in there.asked[0][0]


def test_without_both_models_it_is_refused() -> None:
    part = transforms.build({"name": "back_translate", "there": "m"})
    with pytest.raises(Refused, match="no model `back`"):
        list(part.apply(ROWS, Desk(Ledger())))


def test_a_real_encoder_decoder_is_asked_through_the_desk(family: Callable[[str], Path], tmp_path: Path) -> None:
    """A random T5 says nonsense: what it says is counted, and nothing of it is kept."""

    def opened(reference: str) -> Model:
        return open_model(reference, tmp_path, True, Silent()).model

    base = str(family("t5"))
    desk = Desk(Ledger(), open=opened)
    part = transforms.build({"name": "back_translate", "there": base, "back": base})
    assert list(part.apply(ROWS[:1], desk)) == ROWS[:1]
    assert "of 1 rewritten texts" in desk.notes[0]
