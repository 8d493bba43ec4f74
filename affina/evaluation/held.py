"""What a reference names among runs and releases, and the base below it. A release is verified before it is read."""

import hashlib
from dataclasses import replace
from pathlib import Path

from affina.core.atomic import damage, sha256
from affina.core.errors import AffinaError, Failed, Refused, nearest
from affina.core.recipe import Recipe
from affina.core.run import Run
from affina.core.say import Say
from affina.data.prepare import prepare
from affina.engine import scratch
from affina.engine.cache import entry
from affina.engine.fits import fits
from affina.engine.outline import outline
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
            artefact.verify(folder)
            return _named(folder, f"{artefact.about(folder)['name']} in {folder}")
        if (folder / "lock.json").is_file():
            return Run(folder)
    if (root / reference / "state.json").is_file():
        raise Refused(f"run '{reference}' has no checkpoint yet", instead="let it train to its first validation")
    if (found := _released(reference, root)) is not None:
        return found
    if reference not in ALIASES and not Path(reference).exists() and not any(sign in reference for sign in "/:."):
        place = Place(root)
        named = [each.release for each in place.open().versions()] if place.begun else []
        if (name := reference.partition("@")[0]) in named:
            raise _gone(name, place.folder / name)
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
        return begun(base["reference"], near)
    except AffinaError as error:
        if not about:
            raise
        why = f"it holds what was learnt on {base['reference']}, which is gone ({error.what})"
        instead = "bring the base back to where it was, or release a merged model"
        raise Refused(f"release {run.name} cannot be opened without its base", why, instead) from error


def begun(reference: str, near: tuple[Path, bool, Say]) -> Source:
    """A model to begin with: a base, or the whole model of a run or a release, with what was learnt folded in. A head
    of its own is not part of it.

    Raises Refused for what `held` or `find` refuse, and for a tuning that cannot be folded into its base.
    """
    root, offline, say = near
    parent = None if Path(reference).is_dir() and not _kept(Path(reference)) else held(reference, root)
    if parent is None:
        return find(reference, offline, say.progress)
    return replace(whole(parent, near), reference=parent.name if parent.name.count("@") == 1 else reference)


def whole(run: Run, near: tuple[Path, bool, Say]) -> Source:
    """The whole model of a run or a release: the folder it wrote, or one made in the cache."""
    from affina.evaluation.open import best_of, recipe_of  # which itself asks here what a reference names

    recipe, lock = recipe_of(run), run.read("lock.json")
    best, written = best_of(run, recipe), run.folder / "model"
    if (written / "config.json").is_file():
        if wrong := damage(written):
            raise Failed(f"the model of run '{run.name}' is damaged", wrong, "train or release it again")
        return find(str(written), near[1], near[2].progress)
    fits(recipe, form_of(run, recipe, near), merged=True)
    base = base_of(run, recipe, "", near)
    if base.digest != lock["base"]["digest"]:
        raise Refused(f"the base of run '{run.name}' has changed", f"{base.folder} holds other weights than then")
    of = f"{sha256(best / 'trained.safetensors')} {base.digest} {recipe.tuning.name}"

    def make(aside: Path) -> tuple[str, Path]:
        from affina.engine.torch.merged import write_merged

        ending = recipe.objective.ending(len(lock["labels"]))
        write_merged(base.folder, recipe.tuning, best, ending, aside)
        return hashlib.sha256(of.encode()).hexdigest(), aside

    return replace(entry("merged", of, make, near[2].progress), licence=lock["base"]["licence"])


def form_of(run: Run, recipe: Recipe, near: tuple[Path, bool, Say]) -> Path:
    """A folder with the configuration of a run's base, of whose weights nothing is read where that can be."""
    drafted = outline(run.read("lock.json")["base"]["reference"], near[1], near[2].progress)
    return (drafted or base_of(run, recipe, "", near)).folder


def _kept(folder: Path) -> bool:
    return (folder / "lock.json").is_file()


def _released(reference: str, root: Path) -> Run | None:
    found = located(reference, Place(root))
    if found is None:
        return None
    version, folder = found
    if not folder.is_dir():
        raise _gone(version.name, folder)
    artefact.verify(folder, version.digest)
    return _named(folder, version.name)


def _gone(name: str, folder: Path) -> Refused:
    return Refused(f"release {name} is gone", f"there is no {folder}", "restore the folder of releases")


def _named(folder: Path, name: str) -> Run:
    run = Run(folder)
    run.name = name
    return run
