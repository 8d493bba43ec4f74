"""A cell of the matrix is what a run came to: it works, or it is refused in affina's own words, or it fails aloud."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import affina
from affina.cli import matrix as printed
from affina.core.errors import Refused, Stopped
from affina.core.kinds import architectures, objectives, tokenizers
from affina.core.run import Run
from affina.core.say import Silent
from affina.evaluation.open import open_model
from affina.training import cells
from affina.training.reread import reread

# PEFT 0.21 asks transformers 5.23 under a name that it has renamed.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning"),
]


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("matrix")


def cell(out: Path, task: str, tuning: str) -> dict[str, Any]:
    (found,) = affina.matrix(task, tuning, "bert", out=out)["cells"]
    return dict(found)


def base(out: Path) -> Path:
    (found,) = (out / "bases" / "masked_lm" / "bert").glob("*/bert/model")
    return found


def run_of(out: Path, task: str, tuning: str) -> Run:
    found = min((out / "runs" / "bert" / task).glob(f"*/{tuning}"), key=lambda each: each.stat().st_ctime)
    return Run(found)


@pytest.mark.parametrize(("task", "tuning"), [("tag", "lora"), ("classify", "full"), ("masked_lm", "ia3")])
def test_a_cell_works_where_its_run_was_promoted_and_is_the_same_again(out: Path, task: str, tuning: str) -> None:
    found = cell(out, task, tuning)
    assert found["verdict"] == "works", found["sentence"]
    run = run_of(out, task, tuning)
    verdict = run.show()["verdict"]
    assert verdict["decision"] == "promote" and found["sentence"] == verdict["reasons"][0]
    assert reread(run) == ""


@pytest.mark.parametrize(
    ("task", "tuning", "said"),
    [
        ("cross_entropy", "lora", "needs a base that goes on from a text"),
        ("seq2seq", "full", "needs an encoder–decoder"),
        ("classify", "block_expansion", "the blocks of bert end in a norm"),
        ("classify", "prefix", "this encoder has no key cache"),
    ],
)
def test_a_cell_is_refused_in_the_words_that_training_says(out: Path, task: str, tuning: str, said: str) -> None:
    found = cell(out, task, tuning)
    assert found["verdict"] == "refused" and said in found["sentence"] and str(out) not in found["sentence"]
    recipe = cells.cell_recipe(task, tuning, base(out), out / "rows" / task / "1")
    with pytest.raises(Refused) as caught:
        affina.train(recipe, run="again", root=out / "again", offline=True)
    assert str(caught.value).split(":")[0] == found["sentence"].split(":")[0]


def test_files_that_are_not_what_the_run_answered_with_are_noticed(out: Path) -> None:
    cell(out, "tag", "lora")
    run = run_of(out, "tag", "lora")
    kept = run.read("tuned.json")
    try:
        run.write("tuned.json", {**kept, "nats_N": [each + 0.01 for each in kept["nats_N"]]})
        assert reread(run) == "opened again from its checkpoint, it answers otherwise: nats_N differ"
    finally:
        run.write("tuned.json", kept)
    head = run.folder / "model" / "head.safetensors"
    whole = head.read_bytes()
    try:
        head.write_bytes(whole[:-4] + np.float32(3).tobytes())
        assert "opened again from its files, it answers otherwise" in reread(run)
    finally:
        head.write_bytes(whole)


def test_an_error_that_nobody_meant_fails_at_once_and_is_seen(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tried = []

    def broken(*given: Any, **more: Any) -> Any:
        tried.append(given)
        raise IndexError("out of range")

    cell(out, "tag", "lora")
    real = affina.training.matrix.train
    monkeypatch.setattr(
        affina.training.matrix,
        "train",
        lambda recipe, **more: (broken if recipe.name == "bitfit" else real)(recipe, **more),
    )
    found = affina.matrix("tag", "bitfit", "bert", out=out)
    assert [each["sentence"] for each in found["cells"]] == ["IndexError: out of range"] and len(tried) == 1
    assert printed.exit_code(found) == 1
    assert "| bitfit | **fails** 1 |" in printed.markdown(found) and "1. IndexError: out of range" in printed.markdown(
        found
    )


def test_every_task_has_rows_and_every_architecture_a_way_of_dividing_text() -> None:
    for name in objectives.names():
        assert len(cells.task_rows(name, 3)) == 3
    assert {architectures.find(name).usual for name in architectures.names()} <= {*cells.VOCABULARIES}
    assert {*cells.VOCABULARIES} <= {*tokenizers.names()}


def test_a_stop_stops_the_table(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(recipe: Any, **more: Any) -> Any:
        if recipe.name == "bitfit":
            raise Stopped("stopped at step 3 of 40, saved")
        return real(recipe, **more)

    real = affina.training.matrix.train
    monkeypatch.setattr(affina.training.matrix, "train", stopped)
    with pytest.raises(Stopped):
        affina.matrix("tag", "bitfit", "bert", out=out)


def test_a_recipe_that_has_changed_is_run_anew(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = cell(out, "tag", "lora")
    monkeypatch.setattr(cells, "STEPS", cells.STEPS + 1)
    after = cell(out, "tag", "lora")
    assert after["verdict"] == before["verdict"] == "works"
    runs = [Run(each) for each in (out / "runs" / "bert" / "tag").glob("*/lora")]
    assert {cells.STEPS - 1, cells.STEPS} == {run.read("lock.json")["steps"] for run in runs}


def test_an_unknown_name_is_refused_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="did you mean 'lora'"):
        affina.matrix(tuning="lara", out=tmp_path)


def test_the_page_has_a_section_per_task_and_each_sentence_once() -> None:
    def one(tuning: str, family: str, verdict: str, sentence: str) -> dict[str, Any]:
        return {"task": "tag", "tuning": tuning, "architecture": family, "verdict": verdict, "sentence": sentence}

    made = [
        one("lora", "bert", "works", "better"),
        one("lora", "xlnet", "refused", "no. why"),
        one("full", "bert", "fails", "worse"),
        one("full", "xlnet", "refused", "no. why"),
    ]
    assert printed.section("tag", made).splitlines() == [
        "## tag",
        "",
        "| tuning | bert | xlnet |",
        "|---|---|---|",
        "| full | **fails** 1 | refused 2 |",
        "| lora | works | refused 2 |",
        "",
        "1. worse",
        "2. no. why",
    ]


def test_a_base_opens_as_any_run(out: Path) -> None:
    cell(out, "tag", "lora")
    opened = open_model("bert", base(out).parent.parent, True, Silent())
    assert opened.run is not None and opened.run.state == "finished"
