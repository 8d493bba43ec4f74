"""Classes, calibration and slices: scikit-learn's numbers with intervals, and nothing where nothing is known."""

import numpy as np
import pytest
from sklearn.calibration import calibration_curve
from sklearn.metrics import average_precision_score, confusion_matrix, precision_recall_fscore_support

from affina.core.answers import Answers
from affina.core.errors import Refused
from affina.core.example import Example, Labelled
from affina.core.gate import Gate
from affina.core.kinds import metrics
from affina.evaluation.detail import calibration, classes, slices
from affina.evaluation.measure import measure
from affina.evaluation.regressions import regressions
from affina.evaluation.slices import OTHERS, grouped, quarters
from affina.evaluation.statistics import wilson

LABELS = ("a", "b", "c", "never")


def answered(n: int = 200) -> tuple[Answers, list[Example]]:
    draws = np.random.default_rng(3)
    target_N = draws.integers(0, 3, n)
    weight_NL = draws.random((n, 4)) + 0.6 * np.eye(4)[target_N]
    chances_NL = weight_NL / weight_NL.sum(axis=1, keepdims=True)
    ids = tuple(f"f:{k}" for k in range(n))
    examples: list[Example] = [
        Labelled(id=id, text="x" * (k % 40), label=LABELS[target_N[k]], facts={"who": "one" if k % 4 else "two"})
        for k, id in enumerate(ids)
    ]
    nats_N = -np.log(chances_NL[np.arange(n), target_N])
    return Answers(ids, nats_N, np.ones(n), LABELS, target_N, chances_NL.argmax(axis=1), chances_NL), examples


def test_every_class_has_scikit_learns_numbers_and_wilsons_interval() -> None:
    answers, _ = answered()
    assert answers.target_N is not None and answers.predicted_N is not None
    found = classes(answers, 0.05, 0)
    of = precision_recall_fscore_support(answers.target_N, answers.predicted_N, labels=[0, 1, 2, 3], zero_division=0)
    for place, label in enumerate(LABELS[:3]):
        one = found["classes"][label]
        assert one["items"] == of[3][place]
        assert one["precision"]["value"] == pytest.approx(of[0][place])
        assert one["recall"]["value"] == pytest.approx(of[1][place])
        assert one["f1"]["value"] == pytest.approx(of[2][place])
        right = int(((answers.target_N == place) & (answers.predicted_N == place)).sum())
        assert (one["recall"]["low"], one["recall"]["high"]) == wilson(right, of[3][place], 0.05)
        assert one["f1"]["low"] < one["f1"]["value"] < one["f1"]["high"]
    assert found["classes"]["never"]["recall"] == {"value": None, "low": None, "high": None, "n": 0}
    table = confusion_matrix(answers.target_N, answers.predicted_N, labels=[0, 1, 2, 3])
    assert found["confusion"] == {"labels": list(LABELS), "counts": table.tolist()}


def test_the_calibration_curve_is_scikit_learns() -> None:
    answers, _ = answered()
    assert answers.target_N is not None and answers.chances_NL is not None
    curve = calibration(answers, 0.05)["calibration"]
    right_N = answers.chances_NL.argmax(axis=1) == answers.target_N
    shares, means = calibration_curve(right_N, answers.chances_NL.max(axis=1), n_bins=10)
    assert [one["accuracy"]["value"] for one in curve] == pytest.approx(shares.tolist())
    assert [one["confidence"] for one in curve] == pytest.approx(means.tolist())
    assert sum(one["n"] for one in curve) == 200
    assert all(one["accuracy"]["low"] <= one["accuracy"]["value"] <= one["accuracy"]["high"] for one in curve)


def test_a_slices_numbers_are_those_of_its_items_alone() -> None:
    answers, examples = answered()
    chosen = [metrics.build("accuracy"), metrics.build("f1")]
    found = slices(answers, examples, chosen, ("who",), (0.05, 0))["slices"]
    places = np.flatnonzero([example.facts["who"] == "two" for example in examples])
    alone = {name: one.as_dict() for name, one in measure(answers.take(places), chosen, 0.05, 0).items()}
    assert found["who"]["two"] == {"items": 50, "metrics": alone}
    lengths = found["length of what is given"]
    assert [one["items"] for one in lengths.values()] == [50, 50, 50, 50]
    assert list(lengths) == ["Q1 (0–9)", "Q2 (10–19)", "Q3 (20–29)", "Q4 (30–39)"]
    with pytest.raises(Refused, match="no example keeps the column 'what'"):
        slices(answers, examples, chosen, ("what",), (0.05, 0))


def test_the_rarer_class_of_all_items_is_looked_for_in_every_slice() -> None:
    """Of 60 items 15 are frauds, and 9 of the 12 in the slice "two": average precision is that of frauds there too."""
    draws, metric = np.random.default_rng(1), metrics.build("pr_auc")
    who = ["one"] * 48 + ["two"] * 12
    target_N = np.array([1] * 6 + [0] * 42 + [1] * 9 + [0] * 3)
    chance_N = np.clip(0.3 * target_N + 0.6 * draws.random(60), 0, 1)
    ids = tuple(f"f:{k}" for k in range(60))
    chances_NL = np.column_stack([1 - chance_N, chance_N])
    answers = Answers(ids, np.ones(60), np.ones(60), ("fine", "fraud"), target_N, chances_NL.argmax(1), chances_NL)
    asked: list[Example] = [
        Labelled(id=id, text="x", label="", facts={"who": each}) for id, each in zip(ids, who, strict=True)
    ]
    two = slices(answers, asked, [metric], ("who",), (0.05, 0))["slices"]["who"]["two"]["metrics"]["pr_auc"]
    assert two["value"] == pytest.approx(average_precision_score(target_N[48:], chance_N[48:]))
    (found,) = [each for each in regressions(answers, answers, metric, {"who": who}, Gate(), 0) if each.group == "two"]
    assert found.a == two["value"]


def test_what_has_no_class_has_no_classes() -> None:
    bare = Answers(("f:1",), np.ones(1), np.ones(1))
    assert classes(bare, 0.05, 0) == calibration(bare, 0.05) == {}
    whole = slices(bare, [Labelled(id="f:1", text="x", label="")], [metrics.build("loss")], (), (0.05, 0))
    assert whole == {"slices": {}}


def test_equal_lengths_stay_together_and_rare_groups_are_one() -> None:
    assert quarters([5, 5, 5, 5]) == ("Q1 (5–5)",) * 4 and quarters([]) == ()
    assert set(quarters([1, 1, 1, 9])) == {"Q1 (1–1)", "Q2 (9–9)"}
    many = [f"g{number}" for number in range(60)] + ["g0", "g1"]
    found = grouped(many)
    assert len(set(found)) == 50 and found.count(OTHERS) == 11 and found[0] == "g0"
    assert grouped(["a", "b"]) == ("a", "b")
