"""What data preparation can get at: models by reference, and files of public packages."""

import hashlib
from pathlib import Path

from affina.core.atomic import MANIFEST, sha256
from affina.core.kinds import Model, Package
from affina.core.say import Say
from affina.data.prepare import Reach
from affina.engine.folder import digest_of, sample
from affina.engine.package import fetch
from affina.store.place import Place, located


def reach(root: Path, offline: bool, say: Say) -> Reach:
    """Models are runs under `root`, folders or bases; a base without words is opened for its embeddings."""

    def opened(reference: str) -> Model:
        from affina.evaluation.open import open_model  # it asks for prepared data itself, where a model has to be made

        return open_model(reference, root, offline, say, vectors=None).model

    def fetched(package: Package) -> Path:
        return fetch(package, offline, say.progress)

    return Reach(opened, fetched, lambda reference: weights(reference, root))


def weights(reference: str, root: Path) -> str:
    """What changes when the weights of a run, a folder or a file do; empty for what is none of these.

    A run is its recipe, its base and its checkpoints; of a folder's weights a sample is read. A release is its id.
    """
    for folder in (root / reference, Path(reference)):
        if (folder / "lock.json").is_file():
            files = [folder / "lock.json", *sorted(folder.glob(f"checkpoints/step-*/{MANIFEST}"))]
            return hashlib.sha256("".join(map(sha256, files)).encode()).hexdigest()
    if found := released(reference, root):
        return found
    path = Path(reference).expanduser()
    if path.is_dir():
        return digest_of(path, sample)
    return sha256(path) if path.is_file() else ""


def released(reference: str, root: Path) -> str:
    """The id of the release that a reference names; empty where it names none."""
    found = located(reference, Place(root))
    return found[0].digest if found else ""
