"""A run whose lowest blocks are frozen computes them once, is the run that computes them each time, and resumes it."""

import signal
from pathlib import Path
from typing import Any

import pytest
from tiny import Heard, data, outcome, recipe

import affina
from affina.core.errors import Refused, Stopped
from affina.core.run import Run
from affina.engine.torch import blocks, frozen

pytestmark = pytest.mark.slow

LAST: dict[str, Any] = {"tuning": {"name": "last_layers", "layers": 1}}
PROBE: dict[str, Any] = {"tuning": {"name": "last_layers", "layers": 0}, "objective": "classify"}
CHATS: dict[str, Any] = {**LAST, "read": "chats.jsonl"}


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AFFINA_CACHE", str(tmp_path / "cache"))


class Stopping(Heard):
    """Interrupts when training reaches a step."""

    def __init__(self, step: int) -> None:
        super().__init__()
        self.step = step

    def progress(self, what: str, done: int, total: int, detail: str = "") -> None:
        if what == "training" and done == self.step:
            signal.raise_signal(signal.SIGINT)


def trained(
    folder: Path, base: Path, sections: dict[str, Any], changes: dict[str, Any], name: str = "tiny", say: Any = None
) -> Run:
    """12 steps of 8: the second epoch begins with step 10 (72 tickets) or 7 (48 chats)."""
    path = recipe(data(folder), base, **sections)
    asked = affina.Recipe.load(path, {f"train.compute.{key}": value for key, value in changes.items()})
    done: Run = affina.train(asked, run=name, root=folder / "runs", say=say)
    return done


def compute(run: Run) -> dict[str, Any]:
    found: dict[str, Any] = run.read("lock.json")["machine"]["compute"]
    return found


@pytest.mark.parametrize("where", ["memory", "disk"])
@pytest.mark.parametrize(("sections", "precision"), [(LAST, "float32"), (PROBE, "float32"), (CHATS, "bf16")])
def test_stopped_in_the_second_epoch_and_resumed_is_straight(
    sections: dict[str, Any], precision: str, where: str, tmp_path: Path, chat_model: Path
) -> None:
    """Each time it goes on, nothing is kept: neither in memory nor on disk."""
    given = (tmp_path, chat_model, sections, {"trunk": where, "precision": precision})
    expected = outcome(trained(*given, name="straight"))
    for step in (4, 11):
        with pytest.raises(Stopped, match=f"stopped at step {step}"):
            trained(*given, name="broken", say=Stopping(step))
        for left in frozen.folder().rglob("*.safetensors"):
            left.unlink()
    resumed = trained(*given, name="broken")
    assert outcome(resumed) == expected
    assert compute(resumed)["trunk"] == where
    measured = affina.evaluate("broken", root=tmp_path / "runs")["metrics"]["loss"]["value"]
    assert measured == pytest.approx(expected["metrics"]["loss"]["tuned"], rel=1e-9)  # rounded alike


def test_the_run_is_the_one_that_computes_the_trunk_each_time(
    tmp_path: Path, chat_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 72 rows, of two epochs and of three validations, measured at the end."""
    counted: dict[str, int] = {}
    plain = blocks.Stage._computed
    runs = {}
    for where in ("off", "memory", "disk"):

        def noted(self: blocks.Stage, *args: Any, where: str = where, **more: Any) -> Any:
            counted[where] = counted.get(where, 0) + args[0].shape[1] * (self.place == 0)
            return plain(self, *args, **more)

        monkeypatch.setattr(blocks.Stage, "_computed", noted)
        sections = {**CHATS, "train": {"steps": 24}}
        runs[where] = trained(tmp_path / where, chat_model, sections, {"trunk": where})
    assert counted["memory"] == counted["disk"] < 0.7 * counted["off"]  # tokens through the lowest block
    losses = {where: [event["loss"] for event in run.events("learn")] for where, run in runs.items()}
    assert losses["memory"] == losses["disk"] == pytest.approx(losses["off"], rel=1e-4)
    measured = affina.evaluate("tiny", root=tmp_path / "memory" / "runs")["metrics"]["loss"]["value"]
    assert measured == pytest.approx(outcome(runs["memory"])["metrics"]["loss"]["tuned"], rel=1e-9)


def test_another_run_of_the_same_base_finds_the_trunk_on_disk(
    tmp_path: Path, chat_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = (tmp_path, chat_model, LAST, {"trunk": "disk"})
    trained(*given, name="first")
    written = {path: path.stat().st_ctime_ns for path in frozen.folder().rglob("*.safetensors")}
    assert written
    other = {**LAST, "train": {"learning_rate": 0.003, "batch": 4}}
    trained(tmp_path, chat_model, other, {"trunk": "disk"}, name="second")
    assert {*frozen.folder().rglob("*.safetensors")} == {*written}


def test_auto_is_settled_in_the_lock_said_and_obeyed(tmp_path: Path, chat_model: Path) -> None:
    heard = Stopping(11)
    with pytest.raises(Stopped):
        trained(tmp_path, chat_model, LAST, {}, say=heard)
    assert compute(Run(tmp_path / "runs" / "tiny"))["trunk"] == "memory"
    said = "the 1 lowest of 2 blocks are frozen: what they hand on is computed once per row and kept in memory"
    assert said in heard.lines


def test_a_run_that_no_longer_fits_in_memory_goes_on_from_disk_and_is_straight(
    tmp_path: Path, chat_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = outcome(trained(tmp_path, chat_model, LAST, {}, name="straight"))
    with pytest.raises(Stopped):
        trained(tmp_path, chat_model, LAST, {}, name="broken", say=Stopping(11))
    monkeypatch.setattr(frozen, "MEMORY_BYTES", 10)
    with monkeypatch.context() as full:
        full.setattr(frozen, "DISK_BYTES", 10)
        with pytest.raises(Refused, match="free space on the disk of the cache"):
            trained(tmp_path, chat_model, LAST, {}, name="broken")
    resumed = trained(tmp_path, chat_model, LAST, {}, name="broken")
    assert outcome(resumed) == expected and compute(resumed)["trunk"] == "disk"


@pytest.mark.parametrize(
    "sections",
    [{}, {**LAST, "train": {"steps": 4}, "evaluate": {"every": 4}}, {**LAST, "tuning": {"name": "last_layers"}}],
)
def test_auto_is_off_where_nothing_is_frozen_or_nothing_comes_again(
    sections: dict[str, Any], tmp_path: Path, chat_model: Path
) -> None:
    heard = Heard()
    assert compute(trained(tmp_path, chat_model, sections, {}, say=heard))["trunk"] == "off"
    assert not any("frozen" in line for line in heard.lines)


def test_what_cannot_be_kept_is_refused_before_anything_is_begun(tmp_path: Path, chat_model: Path) -> None:
    with pytest.raises(Refused, match="nothing below is frozen"):
        trained(tmp_path, chat_model, {}, {"trunk": "memory"})
    assert not (tmp_path / "runs" / "tiny").exists()
