"""`release` makes one artefact of a finished run and enters it in the registry as a candidate."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from affina.core.errors import Refused
from affina.core.run import Run
from affina.core.say import Say, Silent
from affina.data.prepare import prepare
from affina.data.rows import Renderer
from affina.evaluation.held import base_of
from affina.evaluation.open import recipe_of
from affina.evaluation.reach import reach, released
from affina.release.artefact import Finished, artefact, finished, system_of
from affina.release.card import carded
from affina.store import mlflow
from affina.store.artefact import digest_of, is_release
from affina.store.lineage import Node
from affina.store.place import Place
from affina.store.registry import need_name
from affina.training.material import objection

HERE = Place()


@dataclass(frozen=True)
class Wish:
    """What a release is to be, beside its run."""

    name: str
    override: str = ""
    """Why a run whose verdict is not `promote` may be promoted all the same."""
    system: str | None = None
    """The system prompt; the one that every conversation of the run's data begins with when left out."""
    mlflow: str = ""
    """The MLflow server that the release is mirrored to; AFFINA_MLFLOW when left out, none without either."""


def release(
    run: str,
    wish: Wish | str,
    place: Place = HERE,
    offline: bool = False,
    say: Say | None = None,
) -> dict[str, Any]:
    """{"release", "version", "id", "folder", "stage", "verdict", "card"}: the run as one folder and a candidate. The
    same run again is the same version.

    Raises Refused for a run without a verdict, a name that cannot be one, or data that are gone and would tell the
    system prompt; Failed for a run whose files are damaged.
    """
    say, wish = say or Silent(), Wish(wish) if isinstance(wish, str) else wish
    need_name(wish.name)
    server = mlflow.server(wish.mlflow)
    found = _opened(Run.find(run, Path(place.root)), wish.system, (Path(place.root), offline, say))
    registry = place.open()
    folder = artefact(found, wish.name, place.folder)
    decision = found.result["verdict"]["decision"]
    known = {"digest": digest_of(folder), "run": found.run.name, "verdict": decision, "override": wish.override}
    version = registry.add(wish.name, known, edges(found, wish.name, known["digest"]))
    carded(registry, place, wish.name)
    if server:
        server.run(found.run)
        server.release(version, folder, found.result["weights_sha256"])
    card = folder / "card" / "card.md"
    return {
        "release": version.release,
        "version": version.number,
        "id": version.digest,
        "folder": str(folder),
        "stage": version.stage,
        "verdict": found.result["verdict"],
        "override": version.override,
        "card": str(card),
    }


def edges(found: Finished, name: str, digest: str) -> list[tuple[Node, Node]]:
    """Data, base and parent → run → release."""
    made = Node("run", found.result["weights_sha256"], found.run.name)
    base = found.lock["base"]
    stated, own = found.lock.get("licences", {}), base.get("licence") or "unknown"
    before = [Node("data", of, file, stated.get(file, "")) for file, of in found.lock["data"].items()]
    before += [Node("base", base["digest"], base["reference"], "" if own == "unknown" else own)]
    before += [found.parent] if found.parent else []
    return [*((each, made) for each in before), (made, Node("release", digest, name))]


def _opened(run: Run, system: str | None, near: tuple[Path, bool, Say]) -> Finished:
    finished(run)
    recipe, lock = recipe_of(run), run.read("lock.json")
    source = base_of(run, recipe, "", near)
    if source.digest != lock["base"]["digest"]:
        raise Refused(f"the base of run '{run.name}' has changed", f"{source.folder} holds other weights than then")
    renderer = Renderer.open(source.folder, recipe.data.template, recipe.data.max_tokens)
    found = Finished(run, recipe, source, renderer, system, _parent(lock["base"]["reference"], near[0]))
    return found if system is not None else _prompted(found, near)


def _parent(reference: str, root: Path) -> Node | None:
    """The release, or the run, that a base's reference names."""
    if digest := released(reference, root):
        return Node("release", digest, reference)
    for folder in (root / reference, Path(reference)):
        if is_release(folder):
            return Node("release", digest_of(folder), reference)
        if (folder / "result.json").is_file():
            return Node("run", str(Run(folder).read("result.json")["weights_sha256"]), folder.name)
    return None


def _prompted(found: Finished, near: tuple[Path, bool, Say]) -> Finished:
    """With the system prompt that the run's data tell. Raises Refused where they are not what they were."""
    if found.lock["task"] not in ("chat", "labelled"):
        return found
    root, offline, say = near
    prepared = prepare(found.recipe, objection(found.recipe, offline, say, root), reach(root, offline, say))
    if prepared.files != found.lock["data"]:
        what = f"the system prompt of run '{found.run.name}' is not known"
        raise Refused(what, "its data have changed since", "give it with --system TEXT, empty for none")
    asked = found.recipe.objective.expand(list(prepared.examples["train"]))
    return replace(found, system=system_of(iter(asked)))
