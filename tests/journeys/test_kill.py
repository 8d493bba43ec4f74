"""kill -9 anywhere, `train` again: the same weights, metrics and verdict as a run that nothing happened to."""

import random
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from tiny import command, data, environment, outcome, recipe

import affina
from affina.core.run import Run

KILLS = 10
STAGES = ("preparing", "proving", "evaluating", "training", "training")
STARTS: dict[str, Any] = {"train": {"steps": 60, "save_every": 4}, "evaluate": {"every": 5}}
DROPOUT: dict[str, Any] = {
    "read": "chats.jsonl",
    "tuning": {"name": "lora", "rank": 4, "dropout": 0.2},
    "train": {"steps": 300, "learning_rate": 0.03, "schedule": "constant", "accumulate": 2, "save_every": 3},
    "evaluate": {"every": 4, "patience": 3},
}


def killed(arguments: list[str], run: Run, aim: str, after_s: float) -> bool:
    """Starts the command and kills it `after_s` after it has come to the stage `aim`; False when it ended by itself."""
    process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment())
    deadline = time.monotonic() + 100
    while process.poll() is None and time.monotonic() < deadline:
        if run.read("state.json", {}) == {"state": aim, "pid": process.pid}:
            break
        time.sleep(0.001)
    time.sleep(after_s)
    process.kill()
    _, said = process.communicate(timeout=60)
    assert process.returncode in (-9, 0), said.decode()
    return process.returncode == -9


@pytest.mark.slow
@pytest.mark.parametrize(("sections", "seed"), [(STARTS, 1), (DROPOUT, 2)])
def test_a_run_killed_ten_times_is_the_run_that_was_not(
    sections: dict[str, Any], seed: int, tmp_path: Path, chat_model: Path
) -> None:
    path, root = recipe(data(tmp_path), chat_model, **sections), tmp_path / "runs"
    started = time.monotonic()
    expected = outcome(affina.train(path, run="straight", root=root))
    took = time.monotonic() - started
    draw, arguments = random.Random(seed), command("train", path, "--run", "broken", "--root", root, "--quiet")
    broken, stages, kills = Run(root / "broken"), set(), 0
    while kills < KILLS:
        aim = STAGES[kills % len(STAGES)]
        # the first of each kind falls anywhere, the second as soon as the stage begins
        if not killed(arguments, broken, aim, draw.uniform(0, took / 4) if kills < len(STAGES) else 0):
            # it lived to its end: the remaining kills fall on its last act, again and again
            broken.mark("evaluating")
            (broken.folder / "result.json").unlink()
            continue
        kills += 1
        state = Run(broken.folder).show()
        stages.add(Run(broken.folder).read("state.json", {}).get("state", "new"))
        assert state["state"] in ("interrupted", "new", "finished")
    assert len(stages) >= 2, stages  # one that is quickly over may be missed
    last = subprocess.run(arguments, capture_output=True, text=True, timeout=120, env=environment())
    assert last.returncode == 0, last.stderr
    assert outcome(Run(broken.folder)) == expected
    assert not [*broken.folder.rglob(".*.[0-9]*")]


@pytest.mark.slow
@pytest.mark.parametrize("file", ["lock.json", "proofs.json", "samples.base.json", "base.json", "tuned.json", "model"])
def test_killed_as_soon_as_a_file_is_there_it_goes_on(file: str, tmp_path: Path, chat_model: Path) -> None:
    path, root = recipe(data(tmp_path), chat_model), tmp_path / "runs"
    expected = outcome(affina.train(path, run="straight", root=root))
    arguments, folder = command("train", path, "--run", "broken", "--root", root, "--quiet"), root / "broken"
    process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment())
    deadline = time.monotonic() + 100
    while not (folder / file).exists() and time.monotonic() < deadline:
        time.sleep(0.001)
    process.kill()
    process.wait(timeout=60)
    last = subprocess.run(arguments, capture_output=True, text=True, timeout=120, env=environment())
    assert last.returncode == 0, last.stderr
    assert outcome(Run(folder)) == expected
