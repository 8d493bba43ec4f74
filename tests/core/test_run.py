"""A run folder survives what happens to it: two processes, torn lines, damaged checkpoints, crashes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from affina.core.atomic import sealed
from affina.core.errors import Failed, Refused
from affina.core.run import KEPT, Run

HOLD = """
import sys
from pathlib import Path
from affina.core.run import Run
with Run(Path(sys.argv[1])).hold():
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run.create(tmp_path, "first")


def save(run: Run, *steps: int) -> None:
    for step in steps:
        with sealed(run.checkpoint(step)) as folder:
            (folder / "weights").write_text(f"weights of step {step}", encoding="utf-8")


def test_a_second_process_is_refused_while_the_first_works(run: Run) -> None:
    run.mark("training")
    other = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(run.folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert other.stdout is not None and other.stdin is not None
    assert other.stdout.readline() == "held\n"
    assert run.held
    assert run.state == "training"
    with pytest.raises(Refused, match=r"'first' is being trained by another process"), run.hold():
        pass
    other.kill()
    other.wait()
    other.stdin.close()
    other.stdout.close()
    assert not run.held
    assert run.state == "interrupted"
    with run.hold():
        assert run.held


def test_a_root_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(Refused, match=r"cannot keep a run in .*: Not a directory. choose another --root"):
        Run.create(tmp_path / "file", "first")


def test_a_run_is_found_by_name_and_by_path(run: Run, tmp_path: Path) -> None:
    run.mark("finished")
    assert Run.find("first", tmp_path).folder == run.folder
    assert Run.find(str(run.folder), tmp_path / "elsewhere").folder == run.folder


def test_an_unknown_run_is_refused_with_the_nearest_name(run: Run, tmp_path: Path) -> None:
    run.mark("finished")
    with pytest.raises(Refused, match=r"no run is called 'frist' under .* did you mean 'first'"):
        Run.find("frist", tmp_path)
    with pytest.raises(Refused, match=r"`affina train RECIPE` makes one"):
        Run.find("frist", tmp_path / "empty")


def test_runs_are_listed_the_latest_changed_first(tmp_path: Path) -> None:
    for age, name in enumerate(("new", "older", "oldest")):
        made = Run.create(tmp_path, name)
        made.mark("finished")
        os.utime(made.folder / "state.json", (1_000_000 - age, 1_000_000 - age))
    assert [each.name for each in Run.all(tmp_path)] == ["new", "older", "oldest"]


def test_events_come_back_in_order_and_by_kind(run: Run) -> None:
    run.log(1, "train", {"loss": 2.0})
    run.log(1, "validate", {"loss": 2.5})
    run.log(2, "train", {"loss": 1.0})
    assert [event["loss"] for event in run.events()] == [2.0, 2.5, 1.0]
    assert run.events("validate") == [{"step": 1, "kind": "validate", "loss": 2.5}]


def test_a_last_line_torn_by_a_crash_is_left_out(run: Run) -> None:
    run.log(1, "train", {"loss": 2.0})
    with (run.folder / "events.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"step": 2, "ki')
    assert [event["step"] for event in run.events()] == [1]


def test_events_written_after_a_torn_line_are_read(run: Run) -> None:
    run.log(1, "train", {"loss": 2.0})
    with (run.folder / "events.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"step": 2, "ki')
    run.rewind(1)  # what resuming does first
    run.log(2, "train", {"loss": 1.0})
    assert [event["step"] for event in run.events()] == [1, 2]


def test_rewinding_sets_aside_what_came_after(run: Run) -> None:
    for step in (1, 2, 3, 4):
        run.log(step, "train", {"loss": 1.0 / step})
    run.rewind(2)
    assert [event["step"] for event in run.events()] == [1, 2]
    aside = (run.folder / "events.aside.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["step"] for line in aside] == [3, 4]


def test_the_newest_whole_checkpoint_is_used_and_damaged_ones_are_named(run: Run) -> None:
    save(run, 10, 20, 30)
    assert run.latest() == run.checkpoint(30)
    (run.checkpoint(30) / "weights").write_text("harmed", encoding="utf-8")
    assert run.latest() == run.checkpoint(20)
    assert run.damaged == [
        "checkpoint step-00000030 is damaged (weights changed since written); using the one before it"
    ]


def test_a_run_without_a_whole_checkpoint_starts_anew(run: Run) -> None:
    assert run.latest() is None
    save(run, 10)
    (run.checkpoint(10) / "weights").unlink()
    assert run.latest() is None


def test_pruning_keeps_the_recent_checkpoints_and_the_best(run: Run) -> None:
    save(run, 1, 2, 3, 4, 5)
    run.prune(best=2)
    kept = [folder.name for folder in run.checkpoints()]
    assert KEPT == 2
    assert kept == ["step-00000002", "step-00000004", "step-00000005"]


def test_the_best_validation_is_the_earlier_of_equals(run: Run) -> None:
    for step, loss in ((1, 0.9), (2, 0.5), (3, 0.5), (4, 0.7)):
        run.log(step, "validate", {"loss": loss})
    assert run.best("loss", higher=False) == (2, 0.5)
    assert run.best("loss", higher=True) == (1, 0.9)
    assert Run(run.folder.parent / "none").best("loss", higher=True) is None


def test_a_damaged_file_of_the_run_is_a_clear_failure(run: Run) -> None:
    (run.folder / "lock.json").write_text("{", encoding="utf-8")
    with pytest.raises(Failed, match=r"lock.json is damaged"):
        run.read("lock.json")
    assert run.read("absent.json", otherwise=7) == 7


def test_what_is_written_is_read_back(run: Run) -> None:
    run.write("result.json", {"metrics": {"f1": 0.5}})
    run.write("report.html", "<p>così</p>")
    assert run.read("result.json") == {"metrics": {"f1": 0.5}}
    assert (run.folder / "report.html").read_text(encoding="utf-8") == "<p>così</p>"


def test_show_has_every_key_before_anything_has_happened(run: Run) -> None:
    run.mark("preparing")
    shown = run.show()
    assert shown["state"] == "interrupted"  # no process holds it
    assert (shown["step"], shown["proofs"], shown["metrics"], shown["verdict"]) == (0, [], {}, None)
    assert "weights_sha256" in shown
