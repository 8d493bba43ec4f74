"""What a reference names among runs and releases, and the base below it. A release is verified before it is read."""

from dataclasses import replace
from pathlib import Path

from affina.core.errors import AffinaError, Refused, nearest
from affina.core.recipe import Recipe
from affina.core.run import Run
from affina.core.say import Say
from affina.data.prepare import prepare
from affina.engine import scratch
from affina.engine.source import ALIASES, Source, find
from affina.evaluation.reach import reach
from affina.store import artefact
from affina.store.place import Place, located

ABOUT = artefact.ABOUT


def held(reference: str, root: Path) -> Run | None:
    """The run or the release of that name or path; None when the reference can only be a base. A release reads as the
    run that it was.

    Raises Refused for a name that is like a run's or a release's, a run without a checkpoint, or a release that is not
    what was released.
    """
    for folder in (root / reference, Path(reference)):
        if artefact.is_release(folder):
            return _verified(folder, f"{artefact.about(folder)['name']} in {folder}")
        if (folder / "lock.json").is_file():
            return Run(folder)
    if (root / reference / "state.json").is_file():
        raise Refused(f"run '{reference}' has no checkpoint yet", instead="let it train to its first validation")
    if (found := _released(reference, root)) is not None:
        return found
    if reference not in ALIASES and not Path(reference).exists() and not any(sign in reference for sign in "/:."):
        place = Place(root)
        named = [each.release for each in place.open().versions()] if place.begun else []
        known = [*(run.name for run in Run.all(root)), *dict.fromkeys(named), *ALIASES]
        what = f"no run and no base is called '{reference}'"
        raise Refused(what, instead=nearest(reference, known))
    return None


def base_of(run: Run | None, recipe: Recipe | None, reference: str, near: tuple[Path, bool, Say]) -> Source:
    """The model that a run began with, or `reference` itself where there is none; of a release that holds a whole
    model, that. `near`: the root of the runs, whether offline, and who is told.

    One that was made from nothing and is gone is made again, of the run's own data and seed. Raises Refused where the
    base of a release is gone.
    """
    root, offline, say = near
    about = run.read(ABOUT, {}) if run else {}
    if run is None or recipe is None:
        return find(reference, offline, say.progress)
    base = run.read("lock.json")["base"]
    if about.get("stands_alone"):
        return replace(find(str(run.folder / "model"), offline, say.progress), digest=base["digest"])
    if recipe.model.scratch is not None and not Path(base["reference"]).is_dir():
        prepared = prepare(recipe, scratch.objection(recipe.model), reach(root, offline, say))
        drafted = scratch.draft(recipe.model, prepared.examples["train"], say.progress)
        return scratch.weighed(drafted, recipe.train.seed, say.progress)
    try:
        return find(base["reference"], offline, say.progress)
    except AffinaError as error:
        if not about:
            raise
        why = f"it holds what was learnt on {base['reference']}, which is gone ({error.what})"
        instead = "bring the base back to where it was, or release a merged model"
        raise Refused(f"release {run.name} cannot be opened without its base", why, instead) from error


def _released(reference: str, root: Path) -> Run | None:
    found = located(reference, Place(root))
    if found is None:
        return None
    version, folder = found
    if not folder.is_dir():
        raise Refused(f"release {version.name} is gone", f"there is no {folder}", "restore the folder of releases")
    return _verified(folder, version.name, version.digest)


def _verified(folder: Path, name: str, digest: str = "") -> Run:
    artefact.verify(folder, digest)
    run = Run(folder)
    run.name = name
    return run
