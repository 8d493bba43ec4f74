"""Suites in a run: put to the base once and to the best checkpoint, paired, judged, shown; and the other standards."""

import importlib
import json
import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny import Heard, data, recipe

import affina
from affina.core.errors import Refused
from affina.core.gate import Gate
from affina.core.kinds import tasks
from affina.core.run import Run
from affina.core.say import Silent
from affina.evaluation.on_tasks import kept_by_both
from affina.evaluation.open import open_model, run_of
from affina.evaluation.suite import TUNED, restored
from affina.store.place import Place
from affina.training.material import FORGETTING, Material

TOLD = '''
"""Five sentences and where each stands."""

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from affina.core.task import Statistic, Task, Tested

ASKED = []


class Told(Task):
    """The first number of five embeddings; the last one says nothing."""

    costs: ClassVar[str] = "vectors"
    file: str = ""
    """Named, never read."""

    def ask(self, model, hall):
        ASKED.append((sorted(hall.splits), hall.seed))
        texts = ["the parcel is here", "a refund please", "close my account", "nobody asks why", "one two three"]
        tilt = model.embed(texts)[:, 0].astype(float)
        columns = {"tilt": np.array([*tilt[:4], np.nan]), "short": np.array([1.0, 0.0, 1.0, 0.0, 1.0])}
        ids = tuple(f"t{n}" for n in range(5))
        shown = tuple({"asked": text} for text in texts)
        return Tested(ids, columns, shown, {"half": ("<a>", "<a>", "b", "b", "b")}, ("<script>alert(1)</script>",))

    def statistics(self):
        return {
            "tilt": Statistic.mean("tilt", higher_is_better=False, unit="of 1"),
            "short": Statistic.mean("short", ideal=0.5),
        }
'''


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Any]]:
    """A task `told` on the shelf; yields what it was asked so far."""
    package, folder = importlib.import_module(tasks.package), tmp_path_factory.mktemp("shelf")
    (folder / "told.py").write_text(TOLD, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(package, "__path__", [*package.__path__, str(folder)])
        importlib.invalidate_caches()
        yield importlib.import_module(f"{tasks.package}.told").ASKED
    sys.modules.pop(f"{tasks.package}.told")
    vars(package).pop("told")


SECTIONS: dict[str, Any] = {
    "objective": "classify",
    "train": {"steps": 2, "learning_rate": 0.03},
    "evaluate": {"every": 2, "suites": ["told"], "gate": {"told.tilt": "not worse by 50 than base"}},
}


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory, encoder_model: Path, asked: list[Any]) -> Run:
    folder = tmp_path_factory.mktemp("suites")
    return affina.train(recipe(data(folder), encoder_model, **SECTIONS), run="first", root=folder / "runs")


def test_a_suite_is_measured_before_and_after_and_its_difference_is_paired_by_item(first: Run) -> None:
    kept = [restored(first.read(f"suites.{who}.json")["suites"]["told"]) for who in ("base", "tuned")]
    found = first.read("suites.json")["told"]
    tilt = found["statistics"]["tilt"]
    moved_N = kept[1].columns["tilt"][:4] - kept[0].columns["tilt"][:4]
    assert np.all(moved_N != 0) and np.isnan(kept[1].columns["tilt"][4])
    assert tilt["difference"]["value"] == pytest.approx(moved_N.mean(), rel=1e-12)
    assert tilt["base"]["value"] == pytest.approx(kept[0].columns["tilt"][:4].mean(), rel=1e-12)
    assert (found["items"], tilt["difference"]["n"], tilt["unit"]) == (5, 4, "of 1")
    assert found["statistics"]["short"]["difference"]["value"] == 0
    assert found["about"] == "The first number of five embeddings; the last one says nothing."
    assert set(found["seconds"]) == {"base", "tuned"} and found["task"] == "told"


def test_the_gate_may_rest_on_a_suite(first: Run) -> None:
    verdict = first.show()["verdict"]
    assert verdict["metric"] == "told.tilt"
    assert (verdict["decision"], len(verdict["reasons"])) == ("promote", 1)
    assert verdict["reasons"][0].endswith("not worse than the base by 50")


def test_the_report_holds_the_suite_and_escapes_what_it_says(first: Run) -> None:
    page, text = ((first.folder / f"report.{kind}").read_text(encoding="utf-8") for kind in ("html", "md"))
    assert "What else moved" in page and "&lt;script&gt;alert(1)" in page and "<script" not in page
    assert "## Suite told" in text and "&lt;script&gt;" in text and "<script" not in text
    summary = json.loads((first.folder / "report.json").read_text(encoding="utf-8"))
    assert set(summary["suites"]) == {"told"} and summary["slices"]
    assert "None of 4 slices is shown to be worse" in page and "| half = &lt;a&gt; tilt |" in text
    assert first.show()["suites"]["told"]["items"] == 5


def test_what_a_killed_run_has_measured_of_the_base_is_not_measured_again(first: Run, asked: list[Any]) -> None:
    before, outcome = len(asked), first.read("result.json")
    for name in ("result.json", "suites.json", "suites.tuned.json", "report.html"):
        (first.folder / name).unlink()
    first.mark("evaluating")
    again = affina.train(first.folder.parent.parent / "recipe.yaml", run="first", root=first.folder.parent)
    assert len(asked) == before + 1, "the tuned model alone"
    assert again.read("result.json") == outcome


def test_what_the_base_did_with_other_files_is_not_taken_over(
    tmp_path: Path, encoder_model: Path, asked: list[Any]
) -> None:
    """A pattern's files, and a run that is asked, change behind the same words; a long text names nothing."""
    folder, root = data(tmp_path), tmp_path / "runs"
    (folder / "some.txt").write_text("one")
    told = [{"name": "told", "file": each} for each in ("so*.txt", "judge", "x" * 300)]
    path = recipe(folder, encoder_model, **{**SECTIONS, "evaluate": {"every": 2, "suites": told}})

    def times(name: str) -> int:
        """How often a suite is asked: three of the tuned model, and three of the base where it is measured."""
        before = len(asked)
        affina.train(path, run=name, root=root)
        return len(asked) - before

    assert (times("first"), times("second")) == (6, 3)
    (folder / "some.txt").write_text("two")
    assert (times("third"), times("fourth")) == (6, 3)
    (root / "judge").mkdir()
    (root / "judge" / "lock.json").write_text("{}")
    assert times("fifth") == 6
    run = Run(root / "fifth")
    (folder / "some.txt").write_text("three")
    (run.folder / "result.json").unlink()
    run.mark("evaluating")
    assert times("fifth") == 6, "both models are asked the same files"


def test_another_run_takes_the_bases_suites_over_and_is_held_against_the_live_one(
    first: Run, asked: list[Any], encoder_model: Path
) -> None:
    """No parent: the base stands for it, and the reason says so."""
    root, heard, before = first.folder.parent, Heard(), len(asked)
    rules = {
        "accuracy": "not worse by 1 than live",
        "told.tilt": "not worse by 50 than live",
        "f1": "better than parent",
    }
    evaluate = {**SECTIONS["evaluate"], "gate": rules}
    path = recipe(root.parent, encoder_model, **{**SECTIONS, "evaluate": evaluate})
    name = affina.Recipe.load(path).name
    affina.release("first", affina.Wish(name, override="to have one"), Place(root))
    affina.promote(name, override="to have one", place=Place(root))
    again = affina.train(path, run="second", root=root, say=heard)
    assert "suites of the base: measured before, in run 'first'" in heard.lines
    assert len(asked) == before + 2, "the tuned model and the live one"
    reasons = again.show()["verdict"]["reasons"]
    assert f"not worse than {name}@1 (live) by 1" in reasons[0] and "(live)" in reasons[1]
    assert "the base, in the place of parent (model.base names no run)" in reasons[2]
    # The same recipe but for its gate, so the same model: nothing differs.
    assert again.read("live.json")["nats_N"] == pytest.approx(again.read("tuned.json")["nats_N"], rel=1e-6)


def test_the_suites_that_two_runs_kept_are_compared_where_both_were_asked_the_same(first: Run) -> None:
    root = first.folder.parent
    shutil.copytree(first.folder, root / "twin")
    found = affina.compare("first", "twin", root=root)
    told, values = found["suites"]["told"], first.read("suites.json")["told"]["statistics"]
    assert (told["items"], found["not_compared"]) == (5, [])
    assert told["statistics"]["tilt"]["a"] == values["tilt"]["tuned"]
    assert told["statistics"]["tilt"]["difference"]["value"] == 0
    (more,) = (each for each in told["slices"] if each["group"] == "<a>" and each["statistic"] == "short")
    assert (more["a"]["value"], more["b"]["value"], more["found"]) == (0.5, 0.5, "too few items")
    one, two = (open_model(name, root, True, Silent()) for name in ("first", "twin"))
    assert two.run is not None
    kept = two.run.read(TUNED)
    for asked, complaint in (
        ({}, "the two runs asked it with other settings or files"),
        ({**kept["asked"], "told": "x"}, "the two runs asked it with other settings or files. name its task with --on"),
    ):
        two.run.write(TUNED, {**kept, "asked": asked})
        (sentence,) = kept_by_both(one, two, Gate(), 0)[1]
        assert sentence.startswith(f"suite told is not compared: {complaint}")
    two.run.write(TUNED, {**kept, "suites": {"told": {**kept["suites"]["told"], "ids": ["t0", "t1", "t2", "t3", "x"]}}})
    assert "not put to the same items: 5 and 5 items, 4 of them shared" in kept_by_both(one, two, Gate(), 0)[1][0]
    two.run.write(TUNED, kept)
    release = replace(two, run=Run(first.folder / "nowhere"))
    assert kept_by_both(one, release, Gate(), 0)[1] == [
        "no suite is compared: nowhere kept no answers to any. name tasks with --on"
    ]
    assert kept_by_both(release, release, Gate(), 0) == ({}, [])
    assert kept_by_both(replace(one, run=None), two, Gate(), 0) == ({}, [])


def gathered(folder: Path, base: Path, **evaluate: Any) -> Material:
    return Material.gather(affina.Recipe.load(recipe(data(folder), base, evaluate=evaluate)), True, Silent())


def test_what_the_gate_names_is_measured_or_refused(tmp_path: Path, chat_model: Path, asked: list[Any]) -> None:
    with pytest.raises(
        Refused, match=r"told\.bits, which is not measured\. add told to evaluate\.suites \(they have told"
    ):
        gathered(tmp_path, chat_model, suites=["told"], gate={"told.bits": "better than base"})
    with pytest.raises(Refused, match=r"asks for told\.tilt, which is not measured\. add told to evaluate\.suites, or"):
        gathered(tmp_path, chat_model, gate={"told.tilt": "better than base"})
    with pytest.raises(Refused, match=r"no task is called 'tolt'\. did you mean 'told'"):
        gathered(tmp_path, chat_model, suites=["tolt"])


def test_two_suites_of_one_name_are_told_apart(tmp_path: Path, chat_model: Path, asked: list[Any]) -> None:
    found = gathered(tmp_path, chat_model, suites=["told", {"name": "told", "file": "x"}]).suites
    assert [*found] == ["told", "told_2"]


def test_a_model_that_ends_in_labels_forgets_no_words_and_says_so(tmp_path: Path, chat_model: Path) -> None:
    path = recipe(data(tmp_path), chat_model, objective="classify", evaluate={"suites": None})
    material = Material.gather(affina.Recipe.load(path), True, Silent())
    assert material.suites == {}
    assert material.unsuited == ["forgetting is not measured: neutral_text asks models that go on from a text in words"]


def test_forgetting_is_measured_where_a_recipe_names_no_suite(tmp_path: Path, chat_model: Path) -> None:
    assert [*gathered(tmp_path, chat_model, suites=None).suites] == [FORGETTING]


@pytest.mark.slow
def test_a_recipe_that_says_nothing_of_suites_reports_forgetting(tmp_path: Path, chat_model: Path) -> None:
    heard, evaluate = (
        Heard(),
        {"suites": None, "every": 2, "gate": {"neutral_text.nats_per_byte": "not worse by 9 than base"}},
    )
    path = recipe(data(tmp_path), chat_model, read="chats.jsonl", train={"steps": 2}, evaluate=evaluate)
    run = affina.train(path, root=tmp_path / "runs", say=heard)
    found = run.show()["suites"]["neutral_text"]
    assert found["items"] == 40 and found["statistics"]["nats_per_byte"]["difference"]["value"] != 0
    assert run.show()["verdict"]["decision"] == "promote"
    assert any(line.startswith("suite neutral_text: 40 items in") for line in heard.lines)


def test_a_run_is_found_by_its_name_its_folder_and_its_models_folder(first: Run) -> None:
    root = first.folder.parent
    assert run_of("first", root) == "first"
    assert run_of(str(first.folder), root) == str(first.folder)
    assert run_of(str(first.folder / "model"), Path("elsewhere")) == str(first.folder)
    assert run_of(str(root), root) is None and run_of("smollm2-135m-instruct", root) is None


@pytest.mark.slow
def test_a_run_trained_from_another_is_held_against_it(tmp_path: Path, finished: Any) -> None:
    parent = finished("full")
    gate = {"loss": "not worse by 100 than parent"}
    path = recipe(
        data(tmp_path), parent.folder / "model", read="chats.jsonl", train={"steps": 2}, evaluate={"gate": gate}
    )
    run = affina.train(path, run="child", root=tmp_path / "runs")
    assert "(parent)" in run.show()["verdict"]["reasons"][0]
    path = recipe(data(tmp_path), parent.folder / "model", train={"steps": 2}, evaluate={"gate": gate})
    same = affina.train(path, run="same", root=tmp_path / "runs")
    assert same.read("parent.json")["ids"] == same.read("tuned.json")["ids"]
