"""Tasks put to the base before the first step and to the best checkpoint after the last: what may have been forgotten,
how safe, how biased."""

import hashlib
import json
import os
import time
from glob import glob, has_magic
from pathlib import Path
from typing import Any

from affina.core.atomic import sha256
from affina.core.kinds import Model, tasks
from affina.core.say import Say
from affina.core.task import Hall, Tested
from affina.evaluation.reach import reach, released, weights
from affina.evaluation.suite import BASE, FOUND, TUNED, plain, restored
from affina.training.base import base_key, untouched
from affina.training.kept import kept
from affina.training.plan import digest
from affina.training.session import Session


def measure_before(session: Session, say: Say) -> None:
    """Keeps what the base does with every suite, before anything moves; on resume, or where a run beside this one put
    the same base to the same, it is already there."""
    run, suites = session.run, session.material.suites
    for sentence in session.material.unsuited:
        say.line(sentence)
    if not suites:
        return
    key = _key(session)
    if found := kept(run, key, BASE):
        if found[0].name != run.name:
            say.line(f"suites of the base: measured before, in run '{found[0].name}'")
            run.write(BASE, found[1][0])
        return
    base = session.engine if type(session.recipe.tuning).starts_as_base else untouched(session)
    tested, seconds = _put(session, base, say)
    for name, took in seconds.items():
        say.line(f"suite {name}: {len(tested[name])} items in {took:.1f} s, and as long again after training")
    held = {name: plain(each) for name, each in tested.items()}
    run.write(BASE, {"key": key, "seconds": seconds, "suites": held})


def measure_after(session: Session, say: Say) -> dict[str, Any]:
    """What became of every suite, {name: {"task", "seconds", "items", "statistics", "notes"}}: kept in suites.json."""
    from affina.evaluation.before_after import moved  # statistics, which no step waits for

    run, suites, recipe = session.run, session.material.suites, session.recipe
    if not suites:
        return {}
    before = run.read(BASE)
    tested, seconds = _put(session, session.engine, say)
    held = {name: plain(each) for name, each in tested.items()}
    run.write(TUNED, {"seconds": seconds, "asked": _asked(session), "suites": held})
    found = {
        name: {"task": tasks.dump(task), "seconds": {"base": before["seconds"][name], "tuned": seconds[name]}}
        | moved(task, restored(before["suites"][name]), tested[name], recipe.evaluate.gate, recipe.train.seed)
        for name, task in suites.items()
    }
    run.write(FOUND, found)
    return found


def tested_in(session: Session, file: str) -> dict[str, Tested]:
    """What was kept in one of the run's two files of suites."""
    held = session.run.read(file, {"suites": {}})["suites"]
    return {name: restored(each) for name, each in held.items()}


def hall(session: Session, say: Say) -> Hall:
    """What tasks are given in a run: its seed, examples and folder, models and packages by reference."""
    recipe, near = session.recipe, reach(session.run.folder.parent, False, say)
    prepared = session.material.prepared
    return Hall(
        seed=recipe.train.seed,
        folder=recipe.folder,
        open=near.open,
        fetch=near.fetch,
        splits=prepared.examples,
        labels=prepared.labels if recipe.objective.head == "labels" else (),
        progress=say.progress,
    )


def _put(session: Session, model: Model, say: Say) -> tuple[dict[str, Tested], dict[str, float]]:
    """Every suite's items as this model answers them, and the seconds that took."""
    place, tested, seconds = hall(session, say), {}, {}
    for name, task in session.material.suites.items():
        began = time.perf_counter()
        tested[name] = task.ask(model, place)
        seconds[name] = round(time.perf_counter() - began, 3)
    return tested, seconds


def _key(session: Session) -> str:
    """The same where the base would do the same with the same suites: as `base_key`, with what the suites ask and the
    run's data."""
    lock, settings = session.plan.lock, [tasks.dump(each) for each in session.material.suites.values()]
    return digest([base_key(session), settings, _asked(session), lock["data"], lock["recipe"]["data"]])


def _asked(session: Session) -> dict[str, str]:
    """By suite what is the same where its settings are, and the content of all files, runs and releases that they name;
    of runs on the same data and seed the items are then the same too."""
    folder, root = session.recipe.folder, session.run.folder.parent
    asked = {name: _with_content(tasks.dump(each), folder, root) for name, each in session.material.suites.items()}
    return {name: hashlib.sha256(json.dumps(each).encode()).hexdigest() for name, each in asked.items()}


def _with_content(plain: Any, folder: Path, root: Path) -> Any:
    """A task's settings with what its texts name, wherever that stands, in the place of the names."""
    if isinstance(plain, str):
        return _meant(plain, folder, root) or plain
    if isinstance(plain, dict):
        return {name: _with_content(each, folder, root) for name, each in plain.items()}
    return [_with_content(each, folder, root) for each in plain] if isinstance(plain, list | tuple) else plain


def _meant(text: str, folder: Path, root: Path) -> list[str]:
    """What changes with the files, the run or the release that a text may name; nothing for any other text."""
    path = os.path.join(folder, text)
    files = [path] if text and os.path.exists(path) else sorted(glob(path)) if has_magic(text) else []
    trained = os.path.isfile(os.path.join(root, text, "lock.json"))
    found = [*(_content(Path(each)) for each in files), weights(text, root) if trained else released(text, root)]
    return [each for each in found if each]


def _content(path: Path) -> str:
    """What changes with a file's bytes; of a folder, with its files' names, sizes and times."""
    if path.is_file():
        return sha256(path)
    held = [(str(each.relative_to(path)), each.stat()) for each in sorted(path.rglob("*")) if each.is_file()]
    told = "\n".join(f"{name} {stat.st_size} {stat.st_mtime_ns}" for name, stat in held)
    return hashlib.sha256(told.encode()).hexdigest()
