"""One run folder, one trainer."""

import signal
import subprocess
import time
from pathlib import Path

import pytest
from tiny import affina_process, command, data, environment, recipe

import affina
from affina.core.errors import Refused
from affina.core.run import Run


def test_a_folder_that_is_held_is_refused_and_not_touched(tmp_path: Path, chat_model: Path) -> None:
    path = recipe(data(tmp_path), chat_model)
    run = Run.create(tmp_path / "runs", "tiny")
    with run.hold():
        with pytest.raises(Refused, match=r"run 'tiny' is being trained by another process\. wait for it, stop it"):
            affina.train(path, root=tmp_path / "runs")
        assert sorted(each.name for each in run.folder.iterdir()) == [".lock", "checkpoints"]
    affina.train(path, root=tmp_path / "runs")


@pytest.mark.slow
def test_the_second_of_two_processes_is_refused_and_the_first_ends_well(tmp_path: Path, chat_model: Path) -> None:
    path, root = recipe(data(tmp_path), chat_model, train={"steps": 300}, evaluate={"every": 100}), tmp_path / "runs"
    with subprocess.Popen(command("train", path, "--root", root, "--quiet"), env=environment()) as first:
        try:
            while not (root / "tiny" / "events.jsonl").exists():
                assert first.poll() is None
                time.sleep(0.02)
            first.send_signal(signal.SIGSTOP)  # the first waits, so that it cannot be over before the second has asked
            second = affina_process("train", path, "--root", root)
            assert first.poll() is None, "the first run was over too soon to say anything"
            first.send_signal(signal.SIGCONT)
            assert first.wait(timeout=600) == 0
        finally:
            first.kill()
    assert second.returncode == 2
    assert second.stderr.splitlines()[-1] == (
        "affina: run 'tiny' is being trained by another process. wait for it, stop it, or choose another --run name"
    )
    assert affina.show("tiny", root=root)["state"] == "finished"


@pytest.mark.slow
def test_two_runs_side_by_side_do_not_disturb_each_other(tmp_path: Path, chat_model: Path) -> None:
    path, root = recipe(data(tmp_path), chat_model), tmp_path / "runs"
    both = [
        subprocess.Popen(command("train", path, "--run", name, "--root", root, "--quiet"), env=environment())
        for name in ("a", "b")
    ]
    assert [process.wait(timeout=600) for process in both] == [0, 0]
    hashes = {affina.show(name, root=root)["weights_sha256"] for name in ("a", "b")}
    assert len(hashes) == 1
