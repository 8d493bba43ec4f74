"""A run interrupted and resumed is, to the bit, the run that was not."""

import json
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from interrupts import hear
from tiny import affina_process, command, data, environment, outcome, recipe

import affina
from affina.core.errors import Failed, Refused, Stopped
from affina.core.run import Run
from affina.core.say import Silent

DROPOUT: dict[str, Any] = {"tuning": {"name": "lora", "rank": 4, "dropout": 0.3}, "train": {"accumulate": 2}}
EARLY: dict[str, Any] = {
    "read": "chats.jsonl",
    "train": {"steps": 30, "learning_rate": 0.05, "schedule": "constant", "save_every": 3},
    "evaluate": {"every": 2, "patience": 2},
}


class Stopping(Silent):
    """Raises what Ctrl-C raises, or sends the signal itself, when training reaches a step."""

    def __init__(self, step: int) -> None:
        self.step, self.lines = step, list[str]()

    def line(self, text: str) -> None:
        self.lines.append(text)

    def progress(self, what: str, done: int, total: int, detail: str = "") -> None:
        if what == "training" and done == self.step:
            signal.raise_signal(signal.SIGINT)


def straight(folder: Path, base: Path, **sections: Any) -> dict[str, Any]:
    return outcome(affina.train(recipe(data(folder), base, **sections), run="straight", root=folder / "runs"))


@pytest.mark.parametrize(("sections", "steps"), [({}, (3, 7, 11)), (DROPOUT, (2, 9)), (EARLY, (3, 6))])
def test_stopped_and_resumed_is_straight(
    sections: dict[str, Any], steps: tuple[int, ...], tmp_path: Path, chat_model: Path
) -> None:
    expected = straight(tmp_path, chat_model, **sections)
    path = tmp_path / "recipe.yaml"
    for step in steps:
        with pytest.raises(Stopped, match=rf"stopped at step {step} of \d+, saved. the same command resumes"):
            affina.train(path, run="broken", root=tmp_path / "runs", say=Stopping(step))
        shown = affina.show("broken", root=tmp_path / "runs")
        assert (shown["state"], shown["step"]) == ("stopped", step)
    resumed = affina.train(path, run="broken", root=tmp_path / "runs")
    assert outcome(resumed) == expected
    learnt = [event["step"] for event in resumed.events("learn")]
    assert learnt == list(range(1, expected["step"] + 1))


def test_events_after_the_checkpoint_are_set_aside(tmp_path: Path, chat_model: Path) -> None:
    """Checkpoints at 4 and 8 (save_every), stopped at 11 without one: 9, 10 and 11 are done anew."""
    expected = straight(tmp_path, chat_model, train={"save_every": 100}, evaluate={"every": 100, "patience": 1})
    path, root = tmp_path / "recipe.yaml", tmp_path / "runs"
    with pytest.raises(Stopped):
        affina.train(path, run="broken", root=root, say=Stopping(5))
    run = Run(root / "broken")
    for step in (6, 7):
        run.log(step, "learn", {"loss": 0.5})
    with (run.folder / "events.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"step": 8, "kind": "le')  # torn by a crash
    affina.train(path, run="broken", root=root)
    aside = [json.loads(line)["step"] for line in (run.folder / "events.aside.jsonl").read_text().splitlines()]
    assert aside == [6, 7]
    assert outcome(Run(run.folder)) == expected


def test_a_damaged_checkpoint_is_reported_and_the_one_before_it_used(tmp_path: Path, chat_model: Path) -> None:
    expected = straight(tmp_path, chat_model)
    path, root = tmp_path / "recipe.yaml", tmp_path / "runs"
    with pytest.raises(Stopped):
        affina.train(path, run="broken", root=root, say=Stopping(10))
    run, heard = Run(root / "broken"), Stopping(-1)
    newest, before = run.checkpoints()[-1], run.checkpoints()[-2]
    assert (newest.name, before.name) == ("step-00000010", "step-00000008")
    weights = newest / "optimizer.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    affina.train(path, run="broken", root=root, say=heard)
    assert (
        "checkpoint step-00000010 is damaged (optimizer.safetensors changed since written); using the one before it"
        in heard.lines
    )
    assert outcome(Run(run.folder)) == expected


def test_without_any_whole_checkpoint_it_starts_anew(tmp_path: Path, chat_model: Path) -> None:
    expected = straight(tmp_path, chat_model)
    path, root = tmp_path / "recipe.yaml", tmp_path / "runs"
    with pytest.raises(Stopped):
        affina.train(path, run="broken", root=root, say=Stopping(6))
    for folder in Run(root / "broken").checkpoints():
        (folder / "manifest.json").unlink()
    assert outcome(affina.train(path, run="broken", root=root)) == expected


def test_what_a_killed_process_left_aside_is_swept_up(tmp_path: Path, chat_model: Path) -> None:
    path, root = recipe(data(tmp_path), chat_model), tmp_path / "runs"
    with pytest.raises(Stopped):
        affina.train(path, root=root, say=Stopping(2))
    left = root / "tiny" / "checkpoints" / ".step-00000004.12345"
    left.mkdir()
    (left / "trained.safetensors").write_bytes(b"half")
    (root / "tiny" / ".state.json.12345").write_text("{")
    affina.train(path, root=root)
    assert not [each.name for each in (root / "tiny").rglob(".*") if each.name != ".lock"]


def test_a_run_goes_on_from_another_directory_and_after_its_folder_moved(
    tmp_path: Path, chat_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = straight(tmp_path / "here", chat_model)
    root = tmp_path / "here" / "runs"
    with pytest.raises(Stopped):
        affina.train(tmp_path / "here" / "recipe.yaml", run="broken", root=root, say=Stopping(5))
    (tmp_path / "here").rename(tmp_path / "there")
    root = tmp_path / "there" / "runs"
    monkeypatch.chdir("/")
    heard = Stopping(-1)
    resumed = affina.train(tmp_path / "there" / "recipe.yaml", run="broken", root=root, say=heard)
    assert outcome(resumed) == expected
    assert any(line.startswith("proofs: shown before, in run 'broken'") for line in heard.lines)
    measured = affina.evaluate("broken", root=root)["metrics"]["loss"]["value"]
    assert measured == pytest.approx(expected["metrics"]["loss"]["tuned"], rel=1e-9)


def test_data_that_are_gone_are_refused_and_the_run_is_left_alone(tmp_path: Path, chat_model: Path) -> None:
    path, root = recipe(data(tmp_path), chat_model), tmp_path / "runs"
    with pytest.raises(Stopped):
        affina.train(path, root=root, say=Stopping(3))
    before = {each: each.read_bytes() for each in (root / "tiny").rglob("*") if each.is_file()}
    (tmp_path / "tickets.csv").rename(tmp_path / "ticket.csv")
    with pytest.raises(Refused, match=r"there is no file .*tickets\.csv\. did you mean 'ticket\.csv'"):
        affina.train(path, root=root)
    assert {each: each.read_bytes() for each in (root / "tiny").rglob("*") if each.is_file()} == before


def test_a_run_that_failed_can_be_tried_again(tmp_path: Path, chat_model: Path) -> None:
    expected = straight(tmp_path, chat_model)
    path, root = tmp_path / "recipe.yaml", tmp_path / "runs"
    with pytest.raises(Stopped):
        affina.train(path, run="broken", root=root, say=Stopping(6))
    events = root / "broken" / "events.jsonl"
    whole = events.read_text(encoding="utf-8")
    events.write_text("not JSON\n" + whole, encoding="utf-8")
    with pytest.raises(Failed, match=r"events\.jsonl is damaged"):
        affina.train(path, run="broken", root=root)
    events.write_text(whole, encoding="utf-8")
    assert outcome(affina.train(path, run="broken", root=root)) == expected


def interrupted(arguments: list[str], until: Callable[[], bool]) -> tuple[int, str]:
    """Starts the command, sends Ctrl-C once `until` holds, and waits for the end."""
    process = subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True, env=environment(), preexec_fn=hear)
    deadline = time.monotonic() + 90
    while not until() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    try:
        said = process.communicate(timeout=60)[1]
    except subprocess.TimeoutExpired:  # left running it would fail a later test too
        process.kill()
        process.communicate()
        raise
    return process.returncode, said


@pytest.mark.slow
def test_ctrl_c_saves_exits_130_and_the_same_command_resumes(tmp_path: Path, chat_model: Path) -> None:
    sections = {"train": {"steps": 400, "save_every": 1000}, "evaluate": {"every": 100}}
    expected = straight(tmp_path, chat_model, **sections)
    root, path = tmp_path / "runs", tmp_path / "recipe.yaml"
    arguments = command("train", path, "--run", "broken", "--root", root)
    events = root / "broken" / "events.jsonl"
    code, said = interrupted(arguments, lambda: events.exists() and events.stat().st_size > 2000)
    assert code == 130
    assert "affina: stopped at step" in said
    assert "the same command resumes" in said
    assert "Traceback" not in said
    state = affina.show("broken", root=root)
    assert state["state"] == "stopped"
    assert Run(root / "broken").checkpoints()[-1].name == f"step-{state['step']:08d}"
    done = affina_process("train", path, "--run", "broken", "--root", root)
    assert done.returncode == 0, done.stderr
    assert outcome(Run(root / "broken")) == expected


@pytest.mark.slow
@pytest.mark.parametrize("where", ["proofs.json", "base.json"])
def test_ctrl_c_before_the_first_step_says_so_and_loses_nothing(where: str, tmp_path: Path, chat_model: Path) -> None:
    expected = straight(tmp_path, chat_model)
    root, path = tmp_path / "runs", tmp_path / "recipe.yaml"
    lock = root / "broken" / ("lock.json" if where == "proofs.json" else "proofs.json")
    code, said = interrupted(command("train", path, "--run", "broken", "--root", root), lock.exists)
    assert code in (0, 130)  # a tiny run may be over before the signal comes
    assert "Traceback" not in said
    assert affina_process("train", path, "--run", "broken", "--root", root).returncode == 0
    assert outcome(Run(root / "broken")) == expected
