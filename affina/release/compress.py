"""`compress`: a run's model in full, in fewer bits and pruned, each measured on the same items in a process of its own;
what fits a device is kept."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from affina.core.atomic import sealed, write_json
from affina.core.errors import Failed, Refused
from affina.core.export import Exportable
from affina.core.kinds import Row, exports, prunings
from affina.core.say import Say, Silent
from affina.engine.torch import library
from affina.evaluation.held import held
from affina.evaluation.open import Opened, open_model, splits_of
from affina.evaluation.statistics import bootstrap_interval, bootstrap_mean
from affina.release.budget import limits, pick
from affina.release.export import asked_of, free, scratch, unmerged
from affina.release.parity import Asked
from affina.release.source import exportable
from affina.training.embedded import Where

FULL = "full"
FORMATS: dict[str, Any] = {
    FULL: "safetensors",
    "bf16": {"name": "safetensors", "dtype": "bfloat16"},
    "int8": "int8",
    "int4": "int4",
}
"""The rows that lose only bits; pruned ones are written in bf16."""
ALPHA = 0.05
SHOWN = 32  # training rows that pruning looks at
TABLE = "compress.json"


def compress(
    model: str,
    fit: str | None = None,
    out: str | Path | None = None,
    on: str | None = None,
    where: Where = Where(),  # noqa: B008  (frozen)
    say: Say | None = None,
) -> dict[str, Any]:
    """{"model", "items", "rows", "refused", "picked", "why", "folder"}.

    A row is {name, format, bytes, load, p50, p95, tokens_s, memory, nats, right, lost, fewer}, in seconds and bytes;
    `lost` and `fewer` are paired differences to the full model. With `fit` the best of those that fit is picked, and
    written to `out` if that is given. Raises Refused for a model that is neither of words nor of labels.
    """
    say, bounds = say or Silent(), limits(fit) if fit is not None else []
    folder = Path(out) if out is not None else Path(where.root) / "compressed"
    if out is not None:
        free(folder)
    near = (Path(where.root), where.offline, say)
    if (run := held(model, near[0])) is not None and (why := unmerged(run, near)):
        raise Refused(f"{run.name} cannot be compressed", why)
    opened = open_model(model, *near)
    if opened.run is None:
        raise Refused(f"{model} is a base: it has no test items", instead="compress a run")
    asked = asked_of(opened, on, say)
    _answerable(opened, asked)
    with scratch(folder) as aside:
        source = exportable(opened, aside)
        rows, refused = _rows(opened, source, asked, aside, say)
        picked, why = pick(rows, bounds) if bounds else (None, "")
        table = {"model": opened.name, "items": len(asked.items), "rows": rows, "refused": refused}
        found = {**table, "picked": picked["name"] if picked else None, "why": why}
        if picked is None or out is None:
            return {**found, "folder": None}
        with sealed(folder) as written:
            for file in (aside / picked["name"]).iterdir():
                file.rename(written / file.name)
            write_json(written / TABLE, found)
        return {**found, "folder": str(folder)}


def _answerable(opened: Opened, asked: Asked) -> None:
    """Raises Refused for what is not asked by answers in words or by labels."""
    words = asked.head == "words" and all(item.prompt for item in asked.items) and opened.objective.reads == "past"
    labels = asked.head == "labels" and asked.exclusive and all(item.label >= 0 for item in asked.items)
    if not words and not labels:
        why = f"quality is measured of answers in words and of labels, and this one ends in {asked.head}"
        raise Refused(f"{opened.name} cannot be compressed", why, "export it in few bits, and evaluate that")


def _rows(
    opened: Opened, source: Exportable, asked: Asked, aside: Path, say: Say
) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Every variant written and measured; what a pruning refuses, with its sentence."""
    found, refused = dict[str, dict[str, Any]](), dict[str, str]()
    for name in (*FORMATS, *prunings.names()):
        folder = aside / name
        folder.mkdir()
        try:
            spec = _written(name, opened, source, folder)
        except Refused as error:
            refused[name] = str(error)
            continue
        say.line(f"measuring {name}")
        found[name] = {**_measured(spec, folder, asked), "bytes": _size(folder), "format": spec}
    full = found[FULL]
    return [_row(name, each, full, opened) for name, each in found.items()], refused


def _written(name: str, opened: Opened, source: Exportable, folder: Path) -> Any:
    """Writes a variant; the format it is opened by. Raises Refused where a pruning cannot be done."""
    spec = FORMATS.get(name, FORMATS["bf16"])
    if name in FORMATS:
        exports.build(spec).write(source, folder)
        return spec
    assert source.merged is not None, "it was required"
    wide = folder.with_name(f"{name}.float32")
    wide.mkdir()
    part, rows = prunings.build(name), _shown(opened)
    library.edited(source.merged, wide, lambda model: part.prune(model, rows))
    exports.build(spec).write(Exportable(source.base, source.tuned, wide, head=source.head), folder)
    return spec


def _shown(opened: Opened) -> list[Row]:
    """Training rows: what pruning chooses by is nothing that it is measured on."""
    examples = opened.objective.expand(splits_of(opened)["train"][:SHOWN])
    return list(opened.model.renderer.rows(examples))


def _measured(spec: Any, folder: Path, asked: Asked) -> dict[str, Any]:
    """In a process of its own. Raises Failed when that does not end well."""
    plain = [
        {"tokens": each.tokens, "prompt": each.prompt, "weights": each.weights, "label": _label(asked, each.label)}
        for each in asked.items
    ]
    request = folder.with_name(f"{folder.name}.request.json")
    given = {"format": spec, "folder": str(folder), "items": plain, "most": asked.most, "stops": sorted(asked.stops)}
    request.write_text(json.dumps(given), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "affina.release.measured", str(request)], capture_output=True, text=True, env=_alone()
    )
    if done.returncode:
        raise Failed(
            f"measuring {folder.name} failed", why=(done.stderr.strip().splitlines() or ["no reason given"])[-1]
        )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _alone() -> Mapping[str, str]:
    """This process's environment, with the same import path."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(each for each in sys.path if each)}


def _label(asked: Asked, label: int) -> int:
    return label if asked.head == "labels" else -1


def _row(name: str, one: Mapping[str, Any], full: Mapping[str, Any], opened: Opened) -> dict[str, Any]:
    seconds, seed = np.array(one["seconds"]), opened.recipe.train.seed if opened.recipe else 0
    return {
        "name": name,
        "format": one["format"],
        "bytes": one["bytes"],
        "load": one["load_s"],
        "p50": float(np.quantile(seconds, 0.5)),
        "p95": float(np.quantile(seconds, 0.95)),
        "tokens_s": one["tokens"] / max(float(seconds.sum()), 1e-9),
        "memory": one["memory"],
        "nats": float(np.mean(one["nats"])),
        "right": float(np.mean(one["right"])),
        "lost": _difference(one["nats"], full["nats"], seed),
        "fewer": _difference(one["right"], full["right"], seed),
    }


def _difference(one: Sequence[float], full: Sequence[float], seed: int) -> dict[str, float]:
    """The mean of one - full, paired by item, and its 95 % interval."""
    apart_N = np.array(one, np.float64) - np.array(full, np.float64)
    value = float(apart_N.mean())
    low, high, _ = bootstrap_interval(value, bootstrap_mean(apart_N, seed), len(apart_N), ALPHA)
    return {"value": value, "low": float(low), "high": float(high)}


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.iterdir())
