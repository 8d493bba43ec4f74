"""`data make`: rows that a model makes from documents, seed tasks or requests, each with where it came from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from affina.core.errors import Refused
from affina.core.invalid import located
from affina.core.kinds import Maker, Workshop, makers
from affina.core.run import Run
from affina.core.say import Say, Silent
from affina.data.making import Order, make_rows
from affina.engine.source import find
from affina.evaluation.open import Opened, is_run, objection, open_model


@dataclass(frozen=True)
class Making:
    """By whom and how much: a model's reference, another that judges, how many rows, and the seed of every draw."""

    model: str
    critic: str = ""
    rows: int = 100
    seed: int = 0


def data_make(
    maker: str | Mapping[str, Any] | Maker,
    files: Sequence[str],
    out: str | Path,
    making: Making,
    where: tuple[str | Path, bool] = ("runs", False),
    say: Say | None = None,
) -> dict[str, Any]:
    """Rows in `out` (JSON lines, in a shape that affina reads); the rejected ones, a report and its page in a folder
    beside it. Returns the report with the paths. `maker` is a name, or a mapping of a name and settings; `where` the
    folder of runs, and whether to stay offline.

    What was interrupted goes on with the same call and ends in the same bytes. Raises Refused for an unknown maker or
    model, files that cannot be used, a run that has not ended, and an `out` that was made otherwise.
    """
    say, part, out = say or Silent(), _built(maker), Path(out)
    if making.rows < 1:
        raise Refused(f"{making.rows} rows cannot be made", instead="ask for one at least")
    root, offline = Path(where[0]), where[1]
    model, critic = ({"reference": each, "digest": _digest(each, root, offline, say)} for each in _both(making))

    def enter() -> Workshop:
        opened = _opened(making.model, root, offline, say)
        judge = opened if making.critic in ("", making.model) else _opened(making.critic, root, offline, say)
        return Workshop(opened.model, judge.model, making.seed, objection(opened).to)

    report = make_rows(Order(part, files, making.rows, making.seed, model, critic), enter, out, say)
    folder = out.with_name(f"{out.stem}.make")
    return {**report, "out": str(out), "report": str(folder / "report.html"), "folder": str(folder)}


def _built(maker: str | Mapping[str, Any] | Maker) -> Maker:
    """Raises Refused for an unknown maker, with the nearest name, and for settings that it does not have."""
    if isinstance(maker, Maker):
        return maker
    settings = {"name": maker} if isinstance(maker, str) else dict(maker)
    kind = makers.find(str(settings.pop("name", "")))
    try:
        return kind.model_validate(settings)
    except ValidationError as error:
        raise located(kind, error, "", "--set", settings) from error


def _both(making: Making) -> tuple[str, str]:
    return making.model, making.critic or making.model


def _opened(reference: str, root: Path, offline: bool, say: Say) -> Opened:
    """Raises Refused for a model that does not go on from a text."""
    opened = open_model(reference, root, offline, say)
    if opened.objective.head != "words" or opened.objective.reads != "past":
        raise Refused(
            f"{reference} cannot make rows",
            why="it does not go on from a text in words",
            instead="name a model that generates, such as smollm2-135m-instruct",
        )
    return opened


def _digest(reference: str, root: Path, offline: bool, say: Say) -> str:
    """The SHA-256 of the weights. Raises Refused for a run whose weights may still change."""
    if not is_run(reference, root):
        return find(reference, offline, say.progress).digest
    run = Run(next(each for each in (root / reference, Path(reference)) if (each / "lock.json").is_file()))
    digest = run.show()["weights_sha256"]
    if not digest:
        raise Refused(f"run '{run.name}' has not ended", why="its weights may still change", instead="finish it first")
    return str(digest)
