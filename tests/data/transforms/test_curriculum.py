import random

import numpy as np
import pytest
from reconciled import applied, applied_with

from affina.core.errors import Refused
from affina.core.example import Chat, Example, Labelled, Message, Text
from affina.core.kinds import Model, objectives, transforms
from affina.core.recipe import Recipe
from affina.data.transforms import curriculum
from affina.engine.toy import Toy


def rows(lengths: list[int], split: str = "train") -> list[Example]:
    return [
        Labelled(
            id=f"{split}:{n}",
            split=split,
            text=" ".join(["word"] * length),
            label="x",
            facts={"grade": f"{length / 2}"},
        )
        for n, length in enumerate(lengths)
    ]


def lengths(examples: list[Example]) -> list[int]:
    return [len(each.given.split()) for each in examples if each.split == "train"]


def test_short_rows_come_first_equals_keep_their_order_and_others_are_untouched() -> None:
    given = [*rows([5, 1, 3, 1, 4]), *rows([9, 2], "test")]
    left, reasons, notes = applied("curriculum", given)
    assert [each.id for each in left] == ["test:0", "test:1", "train:1", "train:3", "train:2", "train:4", "train:0"]
    assert reasons == {} and notes == ["curriculum: easiest first; words 1 to 5, half under 3"]
    assert lengths(applied("curriculum", given, hardest_first=True)[0]) == [5, 4, 3, 1, 1]


def test_a_column_of_numbers_can_tell() -> None:
    assert lengths(applied("curriculum", rows([5, 1, 3]), by="fact", fact="grade")[0]) == [1, 3, 5]
    assert transforms.build({"name": "curriculum", "by": "fact", "fact": "grade"}).reads() == ("grade",)
    with pytest.raises(Refused, match=r"train:0.*'' in column 'level' is no number"):
        applied("curriculum", rows([1]), by="fact", fact="level")


def test_a_models_loss_can_tell() -> None:
    toy = Toy()
    seen = Chat(id="x", messages=(Message("user", "q"), Message("assistant", "abababab")))
    batch = toy.layout(toy.renderer.rows([seen]))
    toy.learn([batch], objectives.build("cross_entropy"), 1)

    def opened(reference: str) -> Model:
        assert reference == "small"
        return toy

    given: list[Example] = [
        Chat(id="a:1", split="train", messages=(Message("user", "q"), Message("assistant", "zqzqzqzq"))),
        Chat(id="a:2", split="train", messages=(Message("user", "q"), Message("assistant", "abababab"))),
        Labelled(id="a:3", split="train", text="q", label="abab"),
    ]
    left, _, notes = applied_with(opened, "curriculum", given, by="loss", model="small")
    assert [each.id for each in left][-1] == "a:1" and "nats per token" in notes[0]
    rows_of = toy.renderer.rows([given[0]])
    (scored,) = toy.score(rows_of)
    assert curriculum.losses(toy, [given[0]]) == pytest.approx([-scored.logprobs_S.mean()])
    with pytest.raises(Refused, match="no probabilities of words"):
        curriculum.losses(toy, [Text(id="a:4", text="")])


def test_settings_that_belong_together_are_asked_for_together() -> None:
    for fields in ({"by": "fact"}, {"by": "loss"}, {"fact": "grade"}, {"by": "length", "model": "x"}):
        with pytest.raises(ValueError, match="goes with"):
            transforms.build({"name": "curriculum", **fields})
    with pytest.raises(Refused, match="put `split` before `curriculum`"):
        applied("curriculum", rows([1], ""))


def test_more_rows_than_memory_holds_are_put_in_order_in_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    given = rows([random.Random(0).randrange(1, 30) for _ in range(50)])
    whole = applied("curriculum", given)[0]
    monkeypatch.setattr(curriculum, "HELD", 7)
    assert applied("curriculum", given)[0] == whole


def test_a_regime_that_shuffles_is_refused() -> None:
    plain = {
        "name": "x", "model": {"base": "b"},
        "data": {"read": "a.csv", "transforms": ["split", "curriculum"]},
    }  # fmt: skip
    with pytest.raises(Refused, match="Set regime: ordered"):
        Recipe.build(plain)
    assert Recipe.build({**plain, "regime": "ordered"}).regime.name == "ordered"
    assert np.array_equal(lengths(applied("curriculum", rows([2, 1]))[0]), [1, 2])
