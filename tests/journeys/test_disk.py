"""A disk that refuses ends a run with a sentence; the last checkpoint is intact and the same command resumes."""

import resource
import subprocess
import sys
from pathlib import Path

import pytest
from tiny import affina_process, command, data, environment, outcome, recipe

import affina
from affina.core.atomic import damage
from affina.core.run import Run


def limited(arguments: list[str], largest_bytes: int) -> subprocess.CompletedProcess[str]:
    """Runs a command that may not write a larger file."""
    limit = (largest_bytes, largest_bytes)
    return subprocess.run(
        arguments, capture_output=True, text=True, timeout=120, env=environment(),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limit),
    )  # fmt: skip


@pytest.mark.slow
def test_a_checkpoint_that_does_not_fit_leaves_the_last_one_and_resumes(tmp_path: Path, chat_model: Path) -> None:
    """A checkpoint's optimizer file is twice its weights: between the two sizes lies a limit that only it exceeds."""
    path, root = recipe(data(tmp_path), chat_model, train={"save_every": 4}, evaluate={"every": 4}), tmp_path / "runs"
    straight = affina.train(path, run="straight", root=root)
    saved = straight.checkpoints()[-1]
    weights, optimizer = ((saved / f"{name}.safetensors").stat().st_size for name in ("trained", "optimizer"))
    affina.train(affina.Recipe.load(path), run="broken", root=root)
    broken = Run(root / "broken")
    for folder in broken.checkpoints()[1:]:
        for file in folder.iterdir():
            file.unlink()
        folder.rmdir()
    (broken.folder / "result.json").unlink()
    broken.mark("training")
    kept = broken.checkpoints()
    done = limited(command("train", path, "--run", "broken", "--root", root), (weights + optimizer) // 2)
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert "could not be written: File too large. free space or choose another --root" in done.stderr
    assert broken.checkpoints() == kept
    assert damage(kept[0]) == ""
    shown = affina.show("broken", root=root)
    assert shown["state"] == "failed"
    assert "could not be written" in shown["error"]
    assert not [each.name for each in broken.folder.rglob(".*.[0-9]*")]
    assert affina_process("train", path, "--run", "broken", "--root", root).returncode == 0
    assert outcome(Run(broken.folder)) == outcome(straight)


def test_events_that_cannot_be_written_are_a_sentence_too(tmp_path: Path, chat_model: Path) -> None:
    run = Run.create(tmp_path, "tiny")
    script = (
        "import resource, sys\n"
        "from pathlib import Path\n"
        "from affina.core.errors import Failed\n"
        "from affina.core.run import Run\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (300, 300))\n"
        f"run = Run(Path({str(run.folder)!r}))\n"
        "try:\n"
        "    for step in range(100):\n"
        "        run.log(step, 'learn', {'loss': 1.0})\n"
        "except Failed as error:\n"
        "    print(len(run.events()), error)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    known, said = done.stdout.split(" ", 1)
    assert "events.jsonl could not be written: File too large" in said
    assert [event["step"] for event in run.events()] == list(range(int(known)))


def test_a_root_that_cannot_be_made_is_refused(tmp_path: Path, chat_model: Path) -> None:
    path = recipe(data(tmp_path), chat_model)
    (tmp_path / "file").write_text("in the way")
    done = affina_process("train", path, "--root", tmp_path / "file" / "runs")
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith(f"affina: cannot keep a run in {tmp_path}/file/runs/tiny: Not a dir")
    assert done.stderr.rstrip().endswith("choose another --root")
    assert (tmp_path / "file").read_text() == "in the way"


def test_a_root_on_a_read_only_file_system_is_refused(chat_model: Path, tmp_path: Path) -> None:
    """/sys and /proc take no folder from anybody, root included."""
    path = recipe(data(tmp_path), chat_model)
    done = affina_process("train", path, "--root", "/proc/affina-runs")
    assert done.returncode == 2
    assert "cannot keep a run in /proc/affina-runs/tiny" in done.stderr
    assert "Traceback" not in done.stderr
