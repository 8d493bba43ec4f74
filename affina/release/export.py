"""`export`: a run's model written in another program's format, run by that program, and kept only where both agree."""

import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

from pydantic import ValidationError

from affina.core.atomic import disk_error, sealed, write_json
from affina.core.errors import Refused
from affina.core.export import Export, Exportable
from affina.core.invalid import located
from affina.core.kinds import exports
from affina.core.run import Run
from affina.core.say import Say, Silent
from affina.core.section import Section
from affina.engine.fits import fits
from affina.evaluation.held import form_of, held
from affina.evaluation.open import Opened, open_model, recipe_of
from affina.release.items import answer_tokens, items_of
from affina.release.parity import Asked, shown
from affina.release.source import ending_of, exact, exportable, stops_of
from affina.training.embedded import Where

PARITY = "parity.json"


class Choice(Section):
    """A format by its name, or with its settings."""

    to: Annotated[Export, exports]
    """What is written."""


def export(
    model: str,
    to: str | Mapping[str, Any] | Export,
    out: str | Path,
    on: str | None = None,
    where: Where = Where(),  # noqa: B008  (frozen)
    say: Say | None = None,
) -> dict[str, Any]:
    """{"model", "format", "engine", "folder", "bytes", "parity"}; parity.json beside the files says the same.

    Parity is shown on 50 of the run's own test items, or of the file `on`. Raises Refused for a model or a format that
    do not fit, Failed where the export and the run part: nothing is left behind then.
    """
    say, folder, part = say or Silent(), Path(out), chosen(to)
    free(folder)
    opened = _opened(model, part, (Path(where.root), where.offline, say))
    asked = asked_of(opened, on, say)
    with scratch(folder) as aside:
        say.line(f"reading {opened.name} in float32")
        source = exportable(opened, aside)
        require(part, source)
        with sealed(folder) as written:
            part.write(source, written)
            say.line(f"written as {part.name}; now {part.engine} runs it")
            (aside / "yardstick").mkdir()
            bounds, beside = part.bounds, part.yardstick(source, aside / "yardstick")
            agreed = shown(exact(opened), part.open(written), asked, bounds, beside, say)
            size = sum(file.stat().st_size for file in written.rglob("*") if file.is_file())
            precision = opened.lock["machine"]["compute"]["precision"]
            about = {
                "model": opened.name,
                "format": exports.dump(part),
                "engine": part.engine,
                "bytes": size,
                "parity": {"reference": "the run's weights in float32", "trained_in": precision, **agreed},
            }
            write_json(written / PARITY, about)
    return {**about, "folder": str(folder)}


def _opened(model: str, part: Export, near: tuple[Path, bool, Say]) -> Opened:
    """The run's model. Raises Refused, before a weight is read, for one that is not merged as the format needs it."""
    if part.merges and (run := held(model, near[0])) is not None and (why := unmerged(run, near)):
        raise Refused(f"the export {part.name} needs a merged model", why, "choose --to peft")
    opened = open_model(model, *near)
    if opened.run is None:
        raise Refused(f"{model} is a base: there is nothing of a run in it", instead="export a run")
    return opened


def chosen(to: str | Mapping[str, Any] | Export) -> Export:
    """The part. Raises Refused for one that is not known, or a setting that it does not have."""
    try:
        return Choice(to=to).to
    except ValidationError as error:
        raise located(Choice, error, "", "--to") from error


def asked_of(opened: Opened, on: str | None, say: Say) -> Asked:
    """What parity is shown on. Raises Refused where the run's items cannot be read."""
    items, ending = items_of(opened, on, say), ending_of(opened)
    generates = any(each.prompt is not None for each in items)
    stops = stops_of(opened) if generates else frozenset()
    return Asked(items, answer_tokens(opened, items), stops, ending.head, opened.objective.exclusive)


def unmerged(run: Run, near: tuple[Path, bool, Say]) -> str:
    """Why a run cannot be merged, known before its weights are read; empty where it can."""
    recipe = recipe_of(run)
    folder = form_of(run, recipe, near)
    try:
        fits(recipe, folder, merged=True)
    except Refused as refused:
        return str(refused)
    return ""


def require(part: Export, source: Exportable) -> None:
    """Raises Refused for a model that the format cannot hold."""
    assert source.merged is not None or not part.merges, source.not_merged
    path = source.base if source.merged is None else source.merged
    config = json.loads((path / "config.json").read_text(encoding="utf-8"))
    if objection := part.objection(config, source):
        raise Refused(f"the export {part.name} cannot be made of this run", objection)


@contextmanager
def scratch(folder: Path) -> Iterator[Path]:
    """An empty folder beside `folder`, on the same disk, that goes at the end. Raises Failed where the disk is full."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as made:
            yield Path(made)
    except OSError as error:
        raise disk_error(folder, error) from error


def free(folder: Path) -> None:
    """Raises Refused where something stands already, and for what is no name of a folder."""
    if folder.name in ("", ".."):
        raise Refused(f"'{folder}' names no folder to make", instead="give another --out, such as ./exported")
    if folder.is_file() or (folder.is_dir() and any(folder.iterdir())):
        raise Refused(f"{folder} is there already", why="an export replaces nothing", instead="give another --out")
