"""kill -9 at any point of a release or a promotion: the registry is consistent, nothing is half live, and the same
command goes on."""

import random
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from test_release import copied, live
from tiny import Finished, command, environment

from affina.core.atomic import sha256
from affina.release.release import release
from affina.store.artefact import verify
from affina.store.place import Place, located


def consistent(place: Place) -> None:
    """What the registry names is there and whole; what is live is one of it; the log tells of all of it."""
    if not place.begun:
        return
    registry = place.open()
    for version in registry.versions():
        verify(place.of(version), version.digest)
    assert len([each for each in registry.versions() if each.stage == "live"]) <= 1
    assert registry.tampered == ""
    found = located("intents", place)
    assert found is None or found[0] in registry.versions("intents")


def killed(arguments: list[str], ready: Callable[[], bool], after_s: float = 0.0) -> bool:
    """Starts the command and kills it as soon as something is so; False when it ended by itself."""
    process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment())
    deadline = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline and not ready():
        time.sleep(0.0005)
    time.sleep(after_s)
    process.kill()
    return process.wait(timeout=60) == -9


@pytest.mark.slow
def test_a_release_killed_anywhere_leaves_the_registry_whole(finished: Finished, tmp_path: Path) -> None:
    straight = release("labels", "intents", copied(finished("labels"), tmp_path / "straight"))
    place = copied(finished("labels"), tmp_path / "broken")
    of = place.folder / "intents"
    arguments = command("release", "labels", "--name", "intents", "--root", place.root, "--by", "anna", "--quiet")
    moments: list[Callable[[], bool]] = [
        lambda: place.folder.exists(),
        lambda: any(of.glob(".incoming.*")),
        lambda: any(of.glob(".incoming.*/model/*")),
        lambda: (of / "incoming").exists(),
        lambda: any(of.glob("?" * 16)),
        lambda: any(of.glob("?" * 16 + "/.card.*")),
    ]
    draw = random.Random(6)
    count = sum(killed(arguments, moment, draw.uniform(0, 0.01)) and (consistent(place) or True) for moment in moments)
    assert count >= 4, "a process that is quickly over may be missed"
    assert live("intents", place) is None
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=120, env=environment())
    assert done.returncode == 0, done.stderr
    consistent(place)
    (version,) = place.open().versions()
    assert (version.digest, version.stage) == (straight["id"], "candidate")
    assert sha256(place.of(version) / "card" / "manifest.json")
    assert not [path for path in of.iterdir() if path.name not in (".lock", version.digest[:16])]


@pytest.mark.slow
def test_a_promotion_killed_anywhere_is_done_or_not_done(finished: Finished, tmp_path: Path) -> None:
    place = copied(finished("labels"), tmp_path)
    made = release("labels", "intents", place)
    arguments = command("promote", "intents", "--root", place.root, "--quiet")
    started = time.monotonic()
    done = subprocess.run([*arguments, "--to", "canary"], capture_output=True, timeout=60, env=environment())
    took, draw = time.monotonic() - started, random.Random(7)
    assert done.returncode == 0, done.stderr
    states = set()
    for _ in range(5):
        killed(arguments, lambda: True, draw.uniform(took / 2, took))
        consistent(place)
        found = live("intents", place)
        states.add(found)
        assert found in (None, Path(made["folder"]))
    subprocess.run(arguments, capture_output=True, timeout=60, env=environment())
    consistent(place)
    assert live("intents", place) == Path(made["folder"])
    actions = [entry["action"] for entry in place.open().log() if entry["detail"].get("to") == "live"]
    assert actions == ["promote"], "however often it was tried"
