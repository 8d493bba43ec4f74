"""What data preparation can get at: models by reference, and files of public packages."""

from pathlib import Path

from affina.core.kinds import Model, Package
from affina.core.say import Say
from affina.data.prepare import Reach
from affina.engine.package import fetch


def reach(root: Path, offline: bool, say: Say) -> Reach:
    """Models are runs under `root`, folders or bases; a base without words is opened for its embeddings."""

    def opened(reference: str) -> Model:
        from affina.evaluation.open import open_model  # it asks for prepared data itself, where a model has to be made

        return open_model(reference, root, offline, say, vectors=None).model

    def fetched(package: Package) -> Path:
        return fetch(package, offline, say.progress)

    return Reach(opened, fetched)
