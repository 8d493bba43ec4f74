"""`compare --on TASKS`: paired by item, p corrected over all tasks, slices that got worse, what cannot be paired."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from endpoints import serving
from scipy import stats
from tiny import chat_base, words_base, written

import affina
from affina.cli.compare import show
from affina.cli.console import Screen
from affina.cli.main import main
from affina.core.errors import Refused
from affina.core.gate import Gate
from affina.core.kinds import Model
from affina.core.run import Run
from affina.core.say import Silent
from affina.core.task import Hall, Statistic, Task, Tested
from affina.engine.toy import Toy
from affina.evaluation.on_tasks import Both, told
from affina.evaluation.open import Opened, open_model
from affina.evaluation.put import OwnSplits, one_split
from affina.evaluation.statistics import agresti_min, detectable, mcnemar, wilson
from affina.evaluation.task_slices import judged, parted, sliceable


class Given(Task):
    """Columns that stand already."""

    def ask(self, model: Model, hall: Hall) -> Tested:
        raise AssertionError("nothing is asked here")

    def statistics(self) -> Mapping[str, Statistic]:
        return {
            "spread": Statistic(lambda columns: float(columns["right"].std())),
            "accuracy": Statistic.mean("right"),
            "free": Statistic(lambda columns: float(columns["right"].max())),
        }


class Right(Given):
    """Accuracy alone."""

    def statistics(self) -> Mapping[str, Statistic]:
        return {"accuracy": Statistic.mean("right")}


def given(right: Sequence[float], **slices: Sequence[str]) -> Tested:
    ids = tuple(f"i{n}" for n in range(len(right)))
    return Tested(ids, {"right": np.array(right, dtype=np.float64)}, slices={k: tuple(v) for k, v in slices.items()})


def test_p_is_corrected_over_the_statistics_of_all_tasks_together() -> None:
    # First task: 10 gained, none lost. Second: 1 gained, 8 lost. Third: nothing moved.
    first = Both(Right(), given([0] * 10 + [1] * 10), given([1] * 20))
    second = Both(Right(), given([1] * 8 + [0] * 12), given([0] * 8 + [1] + [0] * 11))
    third = Both(Right(), given([1, 0] * 10), given([1, 0] * 10))
    found = told({"first": first, "second": second, "third": third}, Gate(), 0)
    one, two, three = (found[name]["statistics"]["accuracy"] for name in ("first", "second", "third"))
    p = [stats.binomtest(10, 10).pvalue, stats.binomtest(1, 9).pvalue, 1.0]
    assert [each["difference"]["p"] for each in (one, two, three)] == pytest.approx(p)
    # Holm, 1979: the smallest of three three times, the next twice, the largest once.
    corrected = [each["p_adjusted"] for each in (one, two, three)]
    assert corrected == pytest.approx([3 * p[0], 2 * p[1], 1.0])
    assert [each["found"] for each in (one, two, three)] == ["better", "no difference shown", "no difference shown"]
    assert p[1] < 0.05 < corrected[1], "by itself the second would have been called worse"
    low, high, se = agresti_min(10, 0, 20, 0.05)
    assert (one["a"]["value"], one["b"]["value"], one["difference"]["value"]) == (0.5, 1.0, 0.5)
    assert (one["difference"]["low"], one["difference"]["high"]) == (float(low), float(high))
    assert one["difference"]["detectable"] == pytest.approx(detectable(float(se), 0.05, 0.8))
    assert (one["a"]["low"], one["a"]["high"]) == tuple(map(float, wilson(10, 20, 0.05)))


def test_slices_that_got_worse_come_first_corrected_over_the_slices_of_all_tasks() -> None:
    regions = ["north"] * 12 + ["south"] * 12 + ["west"] * 12 + ["lone"]
    a, b = [1] * 12 + [0] * 12 + [1] * 13, [0] * 12 + [1] * 10 + [0] * 2 + [1] * 13
    other = Both(Right(), given([1] * 8, half="aabbaabb"), given([1] * 8, half="aabbaabb"))
    found = told({"it": Both(Right(), given(a, region=regions), given(b, region=regions)), "other": other}, Gate(), 0)
    slices = found["it"]["slices"]
    assert [(each["group"], each["found"]) for each in slices] == [
        ("north", "worse"), ("west", "no difference shown"), ("south", "better"),
    ]  # fmt: skip
    worst = slices[0]
    assert (worst["a"]["value"], worst["b"]["value"], worst["difference"]["n"]) == (1.0, 0.0, 12)
    assert (worst["b"]["low"], worst["b"]["high"]) == tuple(map(float, wilson(0, 12, 0.05)))
    # Of the other task's slices of four items no exact test finds anything: three slices are tested.
    assert worst["p_adjusted"] == pytest.approx(3 * mcnemar(0, 12))
    assert slices[2]["p_adjusted"] == pytest.approx(2 * mcnemar(10, 0))
    assert {(each["found"], each["p_adjusted"]) for each in found["other"]["slices"]} == {("too few items", None)}


def test_slices_have_the_statistic_that_decides_and_the_means_of_columns() -> None:
    assert [*sliceable(Given())] == ["spread", "accuracy"]
    halves = given([1, 0] * 8, half=["a", "b"] * 8, all=["x"] * 16)
    found = parted(Given(), halves, halves, Gate(), 0)
    assert {(each.statistic, each.by, each.group) for each in found} == {
        (name, "half", group) for name in ("spread", "accuracy") for group in "ab"
    }


def test_the_second_models_items_may_stand_in_another_order() -> None:
    a = given([1] * 8 + [0] * 8, half=["a"] * 8 + ["b"] * 8)
    b = Tested(a.ids[::-1], {"right": a.columns["right"][::-1]}, slices={"half": ("b",) * 8 + ("a",) * 8})
    assert all(each.difference.value == 0 for each in parted(Right(), a, b, Gate(), 0))
    assert [each["found"] for each in judged({"": parted(Right(), a, b, Gate(), 0)}, Gate(), ("a", "b"))[""]] == [
        "no difference shown"
    ] * 2


def test_other_items_and_one_item() -> None:
    with pytest.raises(Refused, match=r"the task it cannot be compared: .*not put to the same items: 2 and 1 items"):
        told({"it": Both(Right(), given([1, 0]), given([1]))}, Gate(), 0)
    alone = told({"it": Both(Right(), given([1], by=["x"]), given([0], by=["x"]))}, Gate(), 0)["it"]
    assert (alone["items"], alone["slices"]) == (1, [])
    moved = alone["statistics"]["accuracy"]
    assert moved["difference"]["value"] == -1 and moved["found"] == "no difference shown"
    assert moved["difference"]["high"] > 0


# ── two models ──
@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return chat_base(tmp_path_factory.mktemp("other"), seed=5)


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of two tasks on fourteen rows."""
    folder = tmp_path_factory.mktemp("bank")
    rows = [
        {
            "question": f"where is parcel {n}?",
            "options": ["here", "at sea"],
            "answer": n % 2,
            "who": "<b>" if n % 2 else "a",
        }
        for n in range(14)
    ]
    written(folder, "bank.jsonl", rows)
    (folder / "choice.yaml").write_text("name: multiple_choice\ndata: bank.jsonl\nby: who\n", encoding="utf-8")
    (folder / "match.yaml").write_text(
        "name: exact_match\ndata: bank.jsonl\nanswer: who\nmax_tokens: 4\n", encoding="utf-8"
    )
    return folder


def test_two_bases_are_put_to_the_same_tasks(bank: Path, chat_model: Path, other: Path, capsys: Any) -> None:
    on = [str(bank / "choice.yaml"), str(bank / "match.yaml")]
    asked = [str(chat_model), str(other), "--root", str(bank), *(word for each in on for word in ("--on", each))]
    assert main(["compare", *asked, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [*found["on"]] == ["choice", "match"] and found["on"]["choice"]["items"] == 14
    alone = [affina.evaluate(str(each), on=on, root=bank)["on"] for each in (chat_model, other)]
    for label, each in found["on"].items():
        for name, one in each["statistics"].items():
            assert one["a"] == alone[0][label]["metrics"][name] and one["b"] == alone[1][label]["metrics"][name]
            assert one["difference"]["value"] == pytest.approx(one["b"]["value"] - one["a"]["value"])
    assert found["on"]["choice"]["statistics"]["nats"]["difference"]["value"] != 0
    assert {each["by"] for each in found["on"]["choice"]["slices"]} >= {"who"}
    show(found, Screen())
    shown = capsys.readouterr().out
    assert f"choice: {chat_model} and {other} on the same 14 items" in shown and "accuracy_per_token" in shown
    assert "who = <b>" in shown and "statistics are better" in shown and "corrected together (Holm)" in shown


def test_a_model_beside_itself_differs_in_nothing(bank: Path, chat_model: Path) -> None:
    on = affina.Items([str(bank), str(bank / "choice.yaml")])
    found = affina.compare(str(chat_model), str(chat_model), on=on, root=bank)["on"]
    assert [*found] == ["choice", "match", "choice-2"]
    assert {one["difference"]["value"] for each in found.values() for one in each["statistics"].values()} == {0}
    assert {one["p_adjusted"] for each in found.values() for one in each["statistics"].values()} == {1.0}


def test_what_cannot_be_compared_is_said_in_a_sentence(bank: Path, chat_model: Path, tmp_path: Path) -> None:
    model, task, rows = str(chat_model), str(bank / "choice.yaml"), str(bank / "bank.jsonl")
    for on, complaint in (
        ([task, rows], "on tasks, or on one file of examples: .*bank.jsonl is no task"),
        ([rows, rows], "compare on one at a time"),
        ("knowlege", "no task and no file is called 'knowlege'. did you mean 'knowledge'"),
        (str(tmp_path / "none.yaml"), "none.yaml is not there"),
    ):
        with pytest.raises(Refused, match=complaint):
            affina.compare(model, model, on=on, root=tmp_path)
    with pytest.raises(Refused, match="whom"):
        affina.compare(model, model, on=affina.Items(task, by=("whom",)), root=tmp_path)
    (tmp_path / "own.py").write_text("", encoding="utf-8")
    with pytest.raises(Refused, match="add --trust"):
        affina.compare(model, model, on=str(tmp_path / "own.py"), root=tmp_path)


def test_a_task_that_one_model_cannot_be_asked_is_refused_before_the_other_is(
    bank: Path, chat_model: Path, tmp_path: Path
) -> None:
    t5 = str(words_base(tmp_path / "t5", "t5"))
    with pytest.raises(Refused, match="cannot be put to the task choice: it reads a source"):
        affina.compare(str(chat_model), t5, on=str(bank / "choice.yaml"), root=tmp_path)
    with serving(open_model(str(chat_model), tmp_path, offline=True, say=Silent()).model) as served:
        there = f"{served.url}#tiny"
        with pytest.raises(Refused, match="to the task choice: the task compares log-probabilities: only"):
            affina.compare(str(chat_model), there, on=str(bank), root=tmp_path)
        assert not [path for path, _ in served.asked if "completions" in path]
        found = affina.compare(str(chat_model), there, on=str(bank / "match.yaml"), root=tmp_path)["on"]["match"]
        assert found["statistics"]["exact_match"]["difference"]["value"] == 0


def test_a_task_about_a_runs_own_rows_is_not_put_to_two_runs_of_other_data(tmp_path: Path) -> None:
    def opened(name: str, digest: str) -> Opened:
        (tmp_path / name).mkdir()
        run = Run(tmp_path / name)
        run.write("lock.json", {"data": {"a.csv": digest}, "recipe": {"data": {}, "train": {"seed": 0}}})
        return Opened(name, Toy(), run)

    one, two = opened("one", "1"), opened("two", "2")
    with pytest.raises(Refused, match="the two runs were not trained on the same data and split"):
        OwnSplits(one, two)["train"]
    base = Opened("base", Toy(), None)
    assert [*OwnSplits(base, base)] == []
    one_split(one, opened("three", "1"))
    one_split(base, two)
