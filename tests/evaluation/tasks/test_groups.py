"""Metrics by group by hand, and their gaps as fairlearn defines them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from spoken import Chooser, Labeller, lines

from affina.core.errors import Refused
from affina.core.example import Labelled
from affina.core.kinds import tasks
from affina.core.task import Hall
from affina.evaluation.tasked import differing, measured, parts

LABELS = ("no", "yes")
# (group, right, said): a has tpr 3/4, fpr 1/2, selected 4/6, accuracy 4/6; b has tpr 1/2, fpr 0, selected 1/4, 3/4.
ROWS = [
    *[("a", "yes", "yes")] * 3, ("a", "yes", "no"), ("a", "no", "yes"), ("a", "no", "no"),
    ("b", "yes", "yes"), ("b", "yes", "no"), ("b", "no", "no"), ("b", "no", "no"),
]  # fmt: skip


def examples(rows: Any = ROWS) -> list[Labelled]:
    """A text with a + is called yes."""
    return [
        Labelled(
            id=f"f:{n}",
            text=f"text {n} {'+' if said == 'yes' else '-'}",
            label=right,
            labels=LABELS,
            facts={"who": who},
        )
        for n, (who, right, said) in enumerate(rows)
    ]


def hall(rows: Any = ROWS) -> Hall:
    return Hall(splits={"test": examples(rows)}, labels=LABELS)


def task_of(**settings: Any) -> Any:
    return tasks.build({"name": "groups", "by": "who", "positive": "yes", **settings})


def test_rates_and_gaps_by_hand() -> None:
    found = task_of().ask(Labeller(labels=2), hall())
    values = {name: each.value(found.columns) for name, each in task_of().statistics().items()}
    assert values == pytest.approx(
        {
            "parity_gap": 4 / 6 - 1 / 4, "tpr_gap": 1 / 4, "fpr_gap": 1 / 2, "equalised_odds_gap": 1 / 2,
            "accuracy_gap": 3 / 4 - 4 / 6, "worst_accuracy": 4 / 6, "accuracy": 0.7, "selected": 0.5,
            "tpr": 4 / 6, "fpr": 1 / 4,
        }
    )  # fmt: skip
    groups = {group: part.columns for _, group, part in parts(found)}
    assert np.nanmean(groups["a"]["tpr"]) == 3 / 4 and np.nanmean(groups["b"]["fpr"]) == 0
    assert "fewer than 30 rows are of a, b" in found.notes[-1]


def test_a_rate_that_no_row_of_a_group_speaks_of_is_left_out() -> None:
    """b has no row that should be yes: the odds are apart by their false positives alone."""
    rows = [each for each in ROWS if each[:2] != ("b", "yes")]
    found = task_of().ask(Labeller(labels=2), hall(rows))
    values = {name: each.value for name, each in task_of().statistics().items()}
    assert np.isnan(values["tpr_gap"](found.columns)) and values["equalised_odds_gap"](found.columns) == 0.5


def test_without_a_positive_label_accuracy_is_compared() -> None:
    task = task_of(positive="")
    found = measured(task.ask(Labeller(labels=2), hall()), task, 0.05, 0)
    assert [*found] == ["accuracy_gap", "worst_accuracy", "accuracy"]
    assert found["worst_accuracy"].low < found["worst_accuracy"].value == 4 / 6 < found["worst_accuracy"].high


def test_amplification_has_a_paired_interval() -> None:
    rows = [(who, right, right) for who, right, _ in ROWS]
    base, tuned = (task_of().ask(Labeller(labels=2), hall(each)) for each in (rows, ROWS))
    name = "equalised_odds_gap"
    found = differing(base, tuned, {name: task_of().statistics()[name]}, (0.05, 0.8, 0))[name]
    assert found.value == 0.5 and found.better == -0.5 and found.low <= 0.5 <= found.high


def test_rows_of_a_file_are_asked_under_the_labels_of_the_head(tmp_path: Path) -> None:
    rows = [{"text": each.text, "label": each.label, "who": each.facts["who"]} for each in examples()]
    name = lines(tmp_path / "own.jsonl", rows)
    found = task_of(data=name).ask(Labeller(labels=2), Hall(folder=tmp_path, labels=LABELS))
    np.testing.assert_array_equal(found.columns["tpr"], task_of().ask(Labeller(labels=2), hall()).columns["tpr"])


def test_what_cannot_be_grouped_is_refused_in_a_sentence() -> None:
    model = Labeller(labels=2)
    with pytest.raises(Refused, match=r"no rows.*the model is none of a run"):
        task_of().ask(model, Hall())
    with pytest.raises(Refused, match=r"the row has no region.*put region under data.keep"):
        task_of(by="region").ask(model, hall())
    with pytest.raises(Refused, match="all 6 rows are of the group 'a'"):
        task_of().ask(model, hall(ROWS[:6]))
    with pytest.raises(Refused, match="no label is called 'maybe'"):
        task_of(positive="maybe").ask(model, hall())
    with pytest.raises(Refused, match="no head of the 3 labels"):
        task_of().ask(model, Hall(splits={"test": examples()}, labels=("maybe", *LABELS)))


def test_a_model_of_words_says_the_labels() -> None:
    """It finds yes likely behind a text with a +, and no behind the others."""
    model = Chooser(lambda before, said: ("+" in before) == (said == "yes"))
    found = task_of().ask(model, Hall(splits={"test": examples()}))
    expected = task_of().ask(Labeller(labels=2), hall())
    for name in ("accuracy", "selected", "tpr", "fpr"):
        np.testing.assert_array_equal(found.columns[name], expected.columns[name])
    assert "cross_entropy" in found.notes[0]
