"""Labels in words or by a head: scikit-learn's numbers, and label sets that differ refused."""

from pathlib import Path

import numpy as np
import pytest
from sklearn import metrics as reference
from tiny import written
from tiny_models import Guessing

from affina.core.errors import Refused
from affina.core.kinds import Row, Scored, tasks
from affina.core.task import Hall, Task, Tested
from affina.engine.toy import Toy
from affina.evaluation.tasked import differences, measured

LABELS = ("bad", "fine", "good")


def bank(folder: Path, n: int = 60, **settings: object) -> Task:
    draws = np.random.default_rng(1)
    labels = [LABELS[place] for place in draws.choice(3, n, p=[0.5, 0.3, 0.2])]
    written(folder, "bank.jsonl", [{"text": f"{label} {draws.integers(1000)}", "label": label} for label in labels])
    return tasks.build({"name": "classification", "data": "bank.jsonl", **settings})


def noisy(before: str, said: str) -> float:
    """Mostly right; the same for the same text."""
    draws = np.random.default_rng(sum(map(ord, before + said.strip())))
    text = before.partition("user: ")[2]
    return float(draws.gamma(2.0) * (0.4 if text.startswith(said.strip().removeprefix("it is ")) else 1.0))


def asked(folder: Path, **settings: object) -> tuple[Tested, Task]:
    task = bank(folder, **settings)
    return task.ask(Guessing(noisy), Hall(folder=folder)), task


def test_numbers_are_scikit_learns_and_those_of_the_metrics(tmp_path: Path) -> None:
    found, task = asked(tmp_path)
    numbers = measured(found, task, 0.05, 0)
    target = [LABELS.index(str(each["expected"])) for each in found.shown]
    given = [LABELS.index(str(each["said"])) for each in found.shown]
    assert 0.4 < numbers["accuracy"].value < 1
    assert numbers["accuracy"].value == pytest.approx(reference.accuracy_score(target, given))
    assert numbers["f1"].value == pytest.approx(reference.f1_score(target, given, average="macro"))
    assert numbers["mcc"].value == pytest.approx(reference.matthews_corrcoef(target, given))
    for name in ("accuracy", "f1", "mcc", "ece", "brier", "nats"):
        assert numbers[name].low < numbers[name].value < numbers[name].high
    assert set(found.slices["label"]) == set(LABELS)


def test_brier_is_the_squared_distance_halved_for_two(tmp_path: Path) -> None:
    rows = [{"text": "a", "label": "no"}, {"text": "b", "label": "yes"}]
    written(tmp_path, "bank.jsonl", rows)
    task = tasks.build({"name": "classification", "data": "bank.jsonl"})
    # a nat against two: the shares are 1 / (1 + e⁻¹) and the rest
    found = task.ask(Guessing(lambda before, said: 1.0 if "yes" in said else 2.0), Hall(folder=tmp_path))
    chance = 1 / (1 + np.exp(-1))
    # both items are given yes, with that confidence: one is right
    assert measured(found, task, 0.05, 0)["ece"].value == pytest.approx(abs(0.5 - chance))
    assert found.columns["brier"] == pytest.approx([chance**2, (1 - chance) ** 2])
    assert found.columns["nats"] == pytest.approx([-np.log(1 - chance), -np.log(chance)])


def test_a_label_is_called_by_its_words(tmp_path: Path) -> None:
    words = {label: f"it is {label}" for label in LABELS}
    seen: set[str] = set()

    def nats(before: str, said: str) -> float:
        seen.add(said)
        return noisy(before, said)

    bank(tmp_path, words=words).ask(Guessing(nats), Hall(folder=tmp_path))
    assert {each.removesuffix("\x00") for each in seen} == set(words.values())


class Headed(Toy):
    """A head of labels that says the first."""

    def score(self, rows: list[Row]) -> list[Scored]:  # type: ignore[override]
        return [Scored(np.zeros(0), np.array([2.0, 1.0, 0.0])) for _ in rows]


def test_a_head_gives_its_own_labels_in_its_own_order(tmp_path: Path) -> None:
    order = ("good", "bad", "fine")
    found = bank(tmp_path).ask(Headed(), Hall(folder=tmp_path, labels=order))
    right = [each["expected"] == "good" for each in found.shown]
    assert found.columns["right"].astype(bool).tolist() == right and any(right)
    place = right.index(True)
    assert found.columns["nats"][place] == pytest.approx(-np.log(np.exp(2) / (np.exp(2) + np.exp(1) + 1)))


def test_models_with_labels_in_another_order_are_compared_class_by_class(tmp_path: Path) -> None:
    task = bank(tmp_path)
    one = task.ask(Headed(), Hall(folder=tmp_path, labels=("good", "bad", "fine")))
    two = task.ask(Guessing(lambda before, said: float("good" not in said)), Hall(folder=tmp_path))
    assert one.columns["right"].tolist() == two.columns["right"].tolist()
    found = differences(one, two, task, 0.05, 0.8, 0)
    assert found["f1"].value == found["mcc"].value == 0 and found["f1"].p == found["mcc"].p == 1


def test_label_sets_that_differ_and_too_few_labels_are_refused(tmp_path: Path) -> None:
    hall = Hall(folder=tmp_path)
    with pytest.raises(Refused, match=r"the label '.*' is none of the 2 known ones: the task has bad, fine"):
        bank(tmp_path, labels=["bad", "fine"]).ask(Guessing(noisy), hall)
    with pytest.raises(
        Refused, match=r"bank\.jsonl:\d+: the label .* is none of the 2 known ones: the model has a head of bad, x"
    ):
        bank(tmp_path).ask(Headed(), Hall(folder=tmp_path, labels=("bad", "x")))
    with pytest.raises(Refused, match="the model's head have other labels: bad, fine, good and a, b"):
        bank(tmp_path, labels=LABELS).ask(Headed(), Hall(folder=tmp_path, labels=("a", "b")))
    with pytest.raises(Refused, match="two labels are called alike"):
        bank(tmp_path, words={"bad": "x", "fine": "x"}).ask(Guessing(noisy), hall)
    with pytest.raises(Refused, match="`words` names odd, which is no label"):
        bank(tmp_path, words={"odd": "x"}).ask(Guessing(noisy), hall)
    written(tmp_path, "bank.jsonl", [{"text": "a", "label": "only"}] * 2)
    with pytest.raises(Refused, match="needs two labels: there is only 'only'"):
        tasks.build({"name": "classification", "data": "bank.jsonl"}).ask(Guessing(noisy), hall)
