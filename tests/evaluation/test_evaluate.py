"""`evaluate` and `compare` give the numbers the run was judged by, and refuse what would not be a fair comparison."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tiny import KINDS, data, recipe

import affina
from affina.core.errors import Refused
from affina.core.run import Run


@pytest.mark.parametrize("kind", KINDS)
def test_evaluating_a_run_gives_the_tuned_numbers_it_shows(kind: str, finished: Callable[[str], Run]) -> None:
    run = finished(kind)
    found, shown = affina.evaluate(kind, root=run.folder.parent), run.show()["metrics"]
    assert found["items"] == len(run.read("tuned.json")["ids"])
    assert set(found["metrics"]) == set(shown)
    for name, one in found["metrics"].items():
        assert one["value"] == pytest.approx(shown[name]["tuned"], rel=1e-9)
        assert [one["low"], one["high"]] == pytest.approx(shown[name]["tuned_interval"], rel=1e-6)


@pytest.mark.parametrize("kind", ["words", "labels", "chats", "prose", "full"])
def test_comparing_base_and_run_gives_the_difference_it_shows(
    kind: str, finished: Callable[[str], Run], chat_model: Path
) -> None:
    run = finished(kind)
    found, shown = affina.compare(str(chat_model), kind, root=run.folder.parent), run.show()
    for name, one in found["metrics"].items():
        expected = shown["metrics"][name]
        assert (one["a"], one["b"]) == pytest.approx((expected["base"], expected["tuned"]), rel=1e-9)
        for key in ("value", "low", "high"):
            value, shown_value = one["difference"][key], expected["difference"][key]
            assert value == (shown_value if shown_value is None else pytest.approx(shown_value, rel=1e-6))
    assert found["verdict"]["decision"] == shown["verdict"]["decision"]


def test_turned_round_the_difference_changes_sign(finished: Callable[[str], Run], chat_model: Path) -> None:
    root = finished("labels").folder.parent
    forth = affina.compare(str(chat_model), "labels", root=root)["metrics"]["accuracy"]["difference"]
    back = affina.compare("labels", str(chat_model), root=root)["metrics"]["accuracy"]["difference"]
    assert back["value"] == pytest.approx(-forth["value"])
    assert (back["low"], back["high"]) == pytest.approx((-forth["high"], -forth["low"]))


@pytest.mark.parametrize(("precision", "close"), [("float32", 1e-9), ("bf16", 1e-3)])
def test_a_base_is_asked_with_the_runs_own_template_and_precision(
    precision: str, close: float, tmp_path: Path, chat_model: Path
) -> None:
    """In bf16 a run's base is the adapter at zero, whose sums are float32: apart from the bare base by rounding."""
    path = recipe(
        data(tmp_path), chat_model, data={"template": "plain"}, train={"compute": {"precision": precision}, "steps": 4}
    )
    run = affina.train(path, root=tmp_path / "runs")
    found, shown = affina.compare(str(chat_model), "tiny", root=tmp_path / "runs"), run.show()["metrics"]
    assert found["metrics"]["loss"]["a"] == pytest.approx(shown["loss"]["base"], rel=close)
    assert found["metrics"]["loss"]["b"] == pytest.approx(shown["loss"]["tuned"], rel=1e-9)


def test_both_are_measured_on_a_given_file(finished: Callable[[str], Run], chat_model: Path, tmp_path: Path) -> None:
    lines = ["text,label,who", *(f"money back please number {n} is wrong,refund,me" for n in range(4))]
    lines += [f"when does number {n} arrive,shipping,you" for n in range(4)]
    (tmp_path / "new.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    root = finished("labels").folder.parent
    found = affina.compare(str(chat_model), "labels", on=str(tmp_path / "new.csv"), root=root)
    assert found["items"] == 8
    assert found["metrics"]["accuracy"]["b"] == 1.0
    alone = affina.evaluate("labels", on=str(tmp_path / "new.csv"), root=root, wanted=affina.Wanted(by=("who",)))
    assert alone["metrics"]["accuracy"]["value"] == 1.0
    assert alone["classes"]["refund"]["items"] == 4 and alone["classes"]["refund"]["recall"]["value"] == 1.0
    assert np.array(alone["confusion"]["counts"]).trace() == 8
    assert alone["slices"]["who"]["you"]["metrics"]["accuracy"]["n"] == 4
    assert sum(one["n"] for one in alone["calibration"]) == 8
    assert 1 <= alone["latency"]["items"] <= 8 and 0 < alone["latency"]["p50_s"] <= alone["latency"]["p95_s"]
    (tmp_path / "task.yaml").write_text("name: classification\ndata: new.csv\n", encoding="utf-8")
    put = affina.evaluate("labels", on=str(tmp_path / "task.yaml"), root=root)["on"]["task"]
    assert put["metrics"]["accuracy"] == alone["metrics"]["accuracy"]
    assert put["metrics"]["f1"]["value"] == alone["metrics"]["f1"]["value"]


def test_a_base_alone_is_measured_on_a_file(chat_model: Path, tmp_path: Path) -> None:
    data(tmp_path)
    found = affina.evaluate(str(chat_model), on=str(tmp_path / "chats.jsonl"), root=tmp_path)
    assert set(found["metrics"]) == {"loss", "perplexity"}
    assert found["items"] == 60
    with pytest.raises(Refused, match=r"is a base: it has no test split. give the items with --on FILE"):
        affina.evaluate(str(chat_model), root=tmp_path)


def test_a_label_the_run_never_saw_is_named_with_its_row(finished: Callable[[str], Run], tmp_path: Path) -> None:
    (tmp_path / "new.csv").write_text("text,label\nmoney back for tea,refund\nsing me a song,music\n", encoding="utf-8")
    with pytest.raises(Refused, match=r"new\.csv:3: the right answer 'music' is none of the 3 known ones"):
        affina.evaluate("labels", on=str(tmp_path / "new.csv"), root=finished("labels").folder.parent)


def test_two_runs_are_compared_only_on_the_same_split(tmp_path: Path, chat_model: Path) -> None:
    path, root = recipe(data(tmp_path), chat_model, train={"steps": 2}), tmp_path / "runs"
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        changes = {"train.seed": seed, "train.learning_rate": 0.01 if name != "b" else 0.02}
        affina.train(affina.Recipe.load(path, changes), run=name, root=root)
    assert affina.compare("a", "b", root=root)["items"] == 18
    with pytest.raises(Refused, match=r"not trained on the same data and split: .* give items neither has seen"):
        affina.compare("a", "c", root=root)
    with pytest.raises(Refused, match="neither model is a run"):
        affina.compare(str(chat_model), str(chat_model), root=root)


def test_a_metric_the_files_task_cannot_compute_is_refused(finished: Callable[[str], Run], tmp_path: Path) -> None:
    data(tmp_path)
    with pytest.raises(Refused):
        affina.evaluate("words", on=str(tmp_path / "chats.jsonl"), root=finished("words").folder.parent)
