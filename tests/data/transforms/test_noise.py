"""Slips happen to so many letters, of the kinds asked for, and never where something must stay."""

from itertools import pairwise

import pytest
from shared_data import shared

from affina.core.example import Example, Labelled, Question, Tagged
from affina.core.kinds import Desk, readers, transforms
from affina.data.ledger import Ledger
from affina.data.lexicon.slips import CONFUSIONS, neighbours


def noisy(text: str, seed: int = 0, **fields: object) -> list[str]:
    part = transforms.build({"name": "noise", "rate": 1e-9, **fields})
    row = Labelled(id="a:1", text=text, label="x", split="train")
    return [each.given for each in part.apply([row], Desk(Ledger(), seed)) if each.made]


def test_each_kind_does_what_its_name_says() -> None:
    text = "abcdefgh"
    assert all(len(each) == 7 for each in noisy(text, kinds=["drop"], count=9))
    assert all(
        len(each) == 9 and any(a == b for a, b in pairwise(each)) for each in noisy(text, kinds=["duplicate"], count=9)
    )
    assert all(sorted(each) == sorted(text) and each != text for each in noisy(text, kinds=["swap"], count=9))
    for each in noisy(text, kinds=["keyboard"], count=9):
        ((right, wrong),) = [(a, b) for a, b in zip(text, each, strict=True) if a != b]
        assert wrong in neighbours("it")[right]
    for each in noisy(text, kinds=["insert"], count=9):
        put = [at for at in range(9) if each[:at] + each[at + 1 :] == text]
        assert any({*each[max(0, at - 1) : at + 2]} & {*neighbours("it")[each[at]]} for at in put)
    for each in noisy("corner", kinds=["ocr"], count=9):
        assert any(
            each == "corner"[:at] + wrong + "corner"[at + len(right) :]
            for right, found in CONFUSIONS.items()
            for wrong in found
            for at in range(6)
            if "corner".startswith(right, at)
        )


def test_the_share_of_letters_that_go_wrong_is_the_rate() -> None:
    # drops among 10 000 letters at 0.1: 1000 ± 4·(10 000·0.1·0.9)^½ = ± 120
    (found,) = noisy("a" * 10_000, kinds=["drop"], rate=0.1)
    assert 880 <= 10_000 - len(found) <= 1120
    assert len(noisy("abc", kinds=["drop"], rate=1e-6)[0]) == 2, "one at least"


@pytest.mark.parametrize("text", ["12 34", "", "!?", "http://x.it/abc", "\x00", "@anna"])
def test_where_nothing_may_go_wrong_nothing_does(text: str) -> None:
    assert noisy(text, rate=1.0) == []


def test_digits_go_wrong_only_when_asked() -> None:
    assert all(any(digit in each for digit in "0123456789") for each in noisy("12", digits=True, kinds=["keyboard"]))
    assert noisy("Ill", kinds=["ocr"], rate=1.0) and not any(
        character.isdigit() for each in noisy("IlSBZO", kinds=["ocr"], rate=1.0, count=20) for character in each
    )


def test_capitals_stay_capitals() -> None:
    assert all(each.isupper() for each in noisy("QWERTY", kinds=["keyboard", "insert"], rate=1.0, count=9))


def test_strange_writing_does_no_harm() -> None:
    for text in ("日本語のテキスト", "e\u0301a\u0300", "👩‍👩‍👧 família", "a\ud800b", "x" * 200_000):
        assert len(noisy(text, rate=0.5)) == 1


def test_entities_and_answers_of_real_rows_stay() -> None:
    path = shared("data", "wnut17", "emerging.dev.conll")
    part = transforms.build({"name": "noise", "rate": 0.3})
    rows: list[Example] = []
    for record in list(readers.build("conll").records(path))[:100]:
        words, tags = (tuple(record.values[name]) for name in [*record.values][:2])
        rows.append(Tagged(id=record.where, words=words, tags=tags, split="train"))
    by_id = {row.id: row for row in rows}
    made = [each for each in part.apply(rows, Desk(Ledger())) if isinstance(each, Tagged) and each.made]
    assert len(made) > 90
    for each in made:
        own = by_id[each.origin]
        assert isinstance(own, Tagged) and each.tags == own.tags
        assert all(a == b for a, b, tag in zip(each.words, own.words, own.tags, strict=True) if tag != "O")


def test_an_answer_moves_with_its_context() -> None:
    context = "Lo disse Anna a Roma."
    row = Question(id="a:1", question="Chi lo disse?", context=context, answers=(("Anna", 9),), split="train")
    part = transforms.build({"name": "noise", "rate": 1.0, "kinds": ["duplicate"]})
    made = list(part.apply([row], Desk(Ledger())))[1]
    assert isinstance(made, Question) and made.context == "LLoo ddiissssee Anna aa RRoommaa."
    assert made.answers == (("Anna", made.context.index("Anna")),)
