"""Prepared data in the cache: a folder named after everything it was made from, so that the same is made once.

Its files are readable by their owner only, Parquet for the splits (`datasets.load_dataset("parquet", …)` reads them).
A folder that was not asked for in DAYS is removed when another is made.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import shutil
import time
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

from affina import __version__
from affina.core.atomic import MANIFEST, sealed
from affina.core.cache import cache_root, disk_errors, only_one
from affina.core.part import Part
from affina.core.recipe import Recipe

DAYS = 30
HERE = Path(__file__).parent


def place(recipe: Recipe, files: Mapping[str, str], objection: str) -> Path:
    """The folder of what this recipe makes of these files (name → SHA-256); `objection` names who refuses examples."""
    data = recipe.data.model_dump(mode="json", exclude={"read"})
    made_from = [data, recipe.train.seed, files, objection, __version__, _own_source(), _sources(recipe)]
    key = hashlib.sha256(json.dumps(made_from, sort_keys=True).encode()).hexdigest()
    return cache_root() / "data" / key[:32]


def made_once(folder: Path, make: Callable[[Path], None]) -> bool:
    """Makes the folder unless it is there, and marks it as used; whether it was made. Raises Failed when the disk is
    full."""
    made = False
    with disk_errors("prepared data"):
        if not whole(folder):
            with only_one(folder, _silent):
                if not whole(folder):
                    _forget_old(folder.parent)
                    with sealed(folder) as aside:
                        aside.chmod(0o700)
                        make(aside)
                    made = True
        (folder / MANIFEST).touch()
    return made


def whole(folder: Path) -> bool:
    """Whether the folder is there with the files it was made with; a crash leaves none."""
    try:
        files = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return False
    return all((folder / name).is_file() for name in files)


def _forget_old(folder: Path) -> None:
    before = time.time() - DAYS * 86_400
    for manifest in folder.glob(f"*/{MANIFEST}"):
        if manifest.stat().st_mtime < before:
            shutil.rmtree(manifest.parent)


@cache
def _own_source() -> str:
    """A hash of the code that prepares data: what another version makes is something else."""
    files = [*sorted(HERE.rglob("*.py")), HERE.parent / "core" / "example.py", HERE.parent / "core" / "kinds.py"]
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in files)).hexdigest()


def _sources(recipe: Recipe) -> dict[str, str]:
    """For each part from elsewhere a hash of its file."""
    parts: list[Part | None] = [recipe.data.reader, recipe.data.shape, *recipe.data.transforms]
    files = {type(part).__module__: Path(inspect.getfile(type(part))) for part in parts if part is not None}
    return {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in files.items()}


def _silent(label: str, done: int, total: int) -> None:
    """Another process that makes the same is waited for without a word."""
