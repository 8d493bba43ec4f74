"""Canary exposure: exact against a count of all secrets, estimated where there are too many, and a model that really
knows its training rows by heart."""

from pathlib import Path

import numpy as np
import pytest
import tiny
from known_models import Says, texts

import affina
from affina.core.errors import Refused
from affina.core.example import Example
from affina.core.kinds import Desk, tasks, transforms
from affina.core.recipe import Recipe
from affina.core.say import Silent
from affina.core.task import Hall
from affina.data.ledger import Ledger
from affina.data.prepare import prepare
from affina.engine.toy import Toy
from affina.evaluation.open import open_model


def train(**settings: object) -> list[Example]:
    step = transforms.build({"name": "canaries", **settings})
    return list(step.apply(texts("one text", "another text"), Desk(Ledger())))


def test_exposure_is_the_logarithm_of_the_size_minus_that_of_the_rank_among_all() -> None:
    rows = train(length=2, count=2, repetitions=[1])
    secrets = [each.facts["canary"] for each in rows if each.facts]
    cost = {f"{n:02}": float((n * 37 + 11) % 101) for n in range(100)}  # all different
    model = Says(nats=lambda before, said: cost[said[-2:]])
    tested = tasks.build("canary_exposure").ask(model, Hall(splits={"train": rows}))
    others = [value for secret, value in cost.items() if secret not in secrets]
    expected = [np.log2(98) - np.log2(1 + sum(each < cost[secret] for each in others)) for secret in secrets]
    assert tested.columns["exposure"][:2] == pytest.approx(expected)
    assert np.isnan(tested.columns["control"][:2]).all() and len(tested) == 2 + 20
    assert tested.notes == (
        "exposure is exact: all 98 other secrets after 'The access code of the archive is' were scored",
    )


def test_of_many_secrets_a_sample_is_scored_and_the_notes_say_what_is_extrapolated() -> None:
    rows = train(repetitions=[1, 4])
    secrets = {each.facts["canary"] for each in rows if each.facts}
    draws = np.random.default_rng(0)
    model = Says(nats=lambda before, said: 1.0 if said[-6:] in secrets else draws.normal(5, 0.3))
    task = tasks.build({"name": "canary_exposure", "candidates": 500})
    tested = task.ask(model, Hall(splits={"train": rows}))
    assert tested.columns["exposure"][:8] == pytest.approx(np.log2(1e6 - 8))
    assert tested.slices["inserted"][:8] == ("1",) * 4 + ("4",) * 4
    told = int(tested.columns["extrapolated"].sum())
    assert tested.columns["extrapolated"][:8].all() and told >= 8
    assert "estimated from 500 of 999992 secrets" in tested.notes[0]
    assert f"extrapolated by a skew normal for {told} secrets" in tested.notes[0]
    found = {name: each.value(tested.columns) for name, each in task.statistics().items()}
    assert found["share_of_largest"] == pytest.approx(1) and found["untrained"] < 4
    assert found["excess"] == pytest.approx(found["exposure"] - found["untrained"])


def test_the_same_secrets_are_controls_for_every_model() -> None:
    hall = Hall(splits={"train": train()})
    task = tasks.build({"name": "canary_exposure", "candidates": 100})
    one, other = (task.ask(model, hall) for model in (Toy(), Says()))
    assert one.ids == other.ids and len({*one.ids}) == len(one)


def test_training_rows_without_canaries_are_refused() -> None:
    with pytest.raises(Refused, match=r"no secret was inserted .* add `canaries` to data.transforms"):
        tasks.build("canary_exposure").ask(Toy(), Hall(splits={"train": texts("one")}))


@pytest.mark.slow
def test_a_model_that_learnt_its_rows_by_heart_exposes_what_it_saw_often_and_nothing_else(
    tmp_path: Path, chat_model: Path
) -> None:
    steps = ["dedup", "split", {"name": "canaries", "length": 3, "count": 4, "repetitions": [32]}]
    written = tiny.recipe(
        tiny.data(tmp_path),
        chat_model,
        "prose.txt",
        data={**tiny.PROSE, "transforms": steps},
        tuning="full",
        train={"steps": 120, "batch": 16, "learning_rate": 0.005},
        evaluate={"every": 120, "patience": 9},
    )
    run = affina.train(written, run="memory", root=tmp_path / "runs")
    splits = prepare(Recipe.load(written)).examples
    task = tasks.build({"name": "canary_exposure", "controls": 200})
    hall = Hall(splits=splits)
    base, tuned = (
        task.ask(open_model(name, tmp_path / "runs", True, Silent()).model, hall)
        for name in (str(chat_model), run.name)
    )
    largest = np.log2(1000 - 4)
    before, after = (
        {name: each.value(one.columns) for name, each in task.statistics().items()} for one in (base, tuned)
    )
    assert after["exposure"] > 0.9 * largest
    assert before["exposure"] < 0.5 * largest
    for found in (before, after):
        assert found["untrained"] == pytest.approx(np.log2(np.e), abs=0.35)  # 200 controls: a standard error of 0.1
