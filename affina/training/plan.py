"""What a run will do, decided once and written in its lock: defaults, hashes, versions, choices made by measurement."""

import hashlib
import json
import math
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import affina
from affina.core.compute import Computing
from affina.core.errors import Refused
from affina.core.kinds import Row, shapes
from affina.core.recipe import Recipe
from affina.core.run import Run
from affina.data import prefixes
from affina.data.abreast import cores
from affina.data.compose import units
from affina.data.prepare import Prepared
from affina.engine.source import Source
from affina.engine.torch import family, native
from affina.engine.torch.machine import device
from affina.engine.torch.settle import Work, settled_on
from affina.training.spaces import peak_rate

LIBRARIES = ("torch", "transformers", "tokenizers", "safetensors", "numpy")


WATCHED = {"recipe": "another recipe", "data": "other data", "base": "another base", "versions": "other versions"}


@dataclass(frozen=True)
class Plan:
    """A recipe with nothing left open: `lock` is what the run's folder keeps of it."""

    recipe: Recipe
    steps: int
    learning_rate: float
    computing: Computing
    threads: int
    lock: dict[str, Any]


def plan(recipe: Recipe, prepared: Prepared, source: Source, rows: Sequence[Row], run: Run | None) -> Plan:
    """The plan for these training rows; an existing run's own choices of computing and threads are kept.

    Raises Refused when the run's folder was begun with another recipe, other data, another base or other versions.
    """
    count = len(units(rows))
    steps = recipe.train.total_steps(count)
    every = recipe.evaluate.every or min(steps, recipe.train.steps_per_epoch(count))
    rate = peak_rate(recipe)
    settled = recipe.change({"evaluate.every": every, "train.learning_rate": rate})
    lock: dict[str, Any] = {
        "recipe": _unlicensed(settled.resolved()),
        "data": prepared.files,
        "licences": dict(prepared.licences),
        "base": {"reference": source.reference, "digest": source.digest, "licence": source.licence},
        "versions": {"affina": affina.__version__, "python": platform.python_version()}
        | {name: version(name) for name in LIBRARIES},
        "machine": {
            "device": str(device()),
            "compute": asdict(settled_on(recipe.train.compute, _work(recipe, rows, steps, source))),
            "threads": cores(),
            "folder": str(recipe.folder.resolve()),
        },
        "steps": steps,
        "shape": shapes.dump(prepared.shape),
        "labels": list(prepared.labels),
        "notes": list(prepared.notes),
        "task": type(prepared.examples["train"][0]).__name__.lower(),
    }
    begun = run.read("lock.json") if run else None
    if run and begun:
        _same(run, begun, lock)
        _possible(run, begun["machine"])
        lock["machine"] = {**begun["machine"], "folder": lock["machine"]["folder"]}
    machine = lock["machine"]
    return Plan(settled, steps, rate, Computing(**machine["compute"]), machine["threads"], lock)


def _possible(run: Run, begun: Mapping[str, Any]) -> None:
    """Raises Refused where the run, begun on such a machine, cannot go on as it was computed there."""
    if run.state != "finished" and begun["device"] != str(device()):
        what, why = f"run '{run.name}' was begun on {begun['device']}", f"on {device()} its numbers would be others"
        raise Refused(what, why, "resume it there, or give this one its own --run name")
    if device().type == "cpu" and begun["compute"].get("kernels") and native.library() is None:
        what = f"run '{run.name}' was begun with fused kernels"
        raise Refused(what, native.reason(), "make them possible again to resume it")


def _work(recipe: Recipe, rows: Sequence[Row], steps: int, source: Source) -> Work:
    """Tokens that the whole run computes, and those of the longest rows that could meet in one micro-batch."""
    once, parts = _once(recipe, rows, source.folder), recipe.train.accumulate
    own = sorted((len(row.tokens) - once for row in rows), reverse=True)
    together = math.ceil(recipe.train.batch / parts)
    mean = sum(own) / max(len(own), 1)
    step = min(recipe.train.batch, len(rows)) * mean + parts * once
    return Work(round(steps * step), sum(own[:together]) + once, source.folder, recipe.tuning.fuses)


def _once(recipe: Recipe, rows: Sequence[Row], folder: Path) -> int:
    """Tokens that every row begins with and that a micro-batch computes once; 0 where a base may compute rows whole."""
    ending = recipe.objective.ending(0)
    shares = recipe.train.compute.packing != "off" and getattr(recipe.regime, "share", False)
    shares = shares and (ending.head, ending.reads) == ("words", "past")
    if not shares or family.configured(folder, ending, {})[2] is None:
        return 0
    return prefixes.of_all(rows)


def proof_key(lock: Mapping[str, Any]) -> str:
    """The same for the same recipe, data, base, code and versions: proofs shown under a key are not run again."""
    recipe = {name: section for name, section in lock["recipe"].items() if name != "name"}
    known = {
        **lock,
        "recipe": recipe,
        "machine": {name: value for name, value in lock["machine"].items() if name != "folder"},
    }
    del known["licences"]
    return digest(known)


def _unlicensed(recipe: dict[str, Any]) -> dict[str, Any]:
    """The settings without licences, which stand beside them by file: stated later they make no other run."""
    return {**recipe, "data": {name: value for name, value in recipe["data"].items() if name != "licence"}}


def digest(known: Any) -> str:
    """SHA-256 of plain data and of affina's own code: the same where the same code would be given the same."""
    return hashlib.sha256(json.dumps([known, _code()], sort_keys=True).encode()).hexdigest()


@cache
def _code() -> str:
    code = hashlib.sha256()
    for path in sorted(Path(affina.__file__).parent.rglob("*.*")):  # kernels and templates too
        if "__pycache__" not in path.parts and path.is_file():  # which another process may be writing
            code.update(path.read_bytes())
    return code.hexdigest()


def _same(run: Run, begun: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    for part, what in WATCHED.items():
        old, new = begun[part], json.loads(json.dumps(now[part]))
        old = _completed(old) if part == "recipe" else old
        changed = _differences(old, new) if part != "base" or old["digest"] != new["digest"] else []
        if changed:
            raise Refused(
                f"run '{run.name}' was begun with {what}",
                why="; ".join(changed[:3]) + (f"; and {len(changed) - 3} more" if len(changed) > 3 else ""),
                instead="restore it to resume, or give this one its own --run name",
            )


def _completed(recipe: dict[str, Any]) -> dict[str, Any]:
    """A lock's recipe, with settings that came since it was written at their defaults, which is what it did."""
    try:
        whole: dict[str, Any] = json.loads(json.dumps(_unlicensed(Recipe.build(recipe).resolved())))
    except Refused:  # of a setting that is no more: the differences are told as they stand
        return recipe
    return whole


def _differences(old: Any, new: Any, place: str = "") -> list[str]:
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        keys = list(dict.fromkeys([*old, *new]))
        return [each for key in keys for each in _differences(old.get(key), new.get(key), f"{place}.{key}".lstrip("."))]
    return [] if old == new else [f"{place} was {old!r} and is {new!r}"]
