"""Prepared data in the cache: a folder named after everything it was made from, so that the same is made once.

Its files are readable by their owner only, Parquet for the splits (`datasets.load_dataset("parquet", …)` reads them).
A folder that was not asked for in DAYS is removed when another is made.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import re
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import cache
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from platform import python_version

from affina import __version__
from affina.core.atomic import MANIFEST, damage, sealed, sha256, write_text
from affina.core.cache import cache_root, disk_errors, only_one
from affina.core.part import Part
from affina.core.recipe import Recipe
from affina.data.files import listed

DAYS = 30
HERE = Path(__file__).parent


def place(
    recipe: Recipe, files: Mapping[str, str], objection: str, digest: Callable[[str], str] = lambda reference: ""
) -> Path:
    """The folder of what this recipe makes of these files (path → SHA-256, in the order they are read); `objection`
    names who refuses examples, `digest` tells what a model that is asked weighs.

    Raises Refused for a file that a transform names and that is not there.
    """
    data = recipe.data.model_dump(mode="json", exclude={"read", "licence"})
    models = [[name, digest(name)] for each in recipe.data.transforms for name in each.asks()]
    named = [_content(each.files(), recipe.folder) for each in recipe.data.transforms]
    code = [__version__, _own_source(), _sources(recipe), _packages()]
    made_from = [data, recipe.train.seed, [*files.items()], objection, named, models, code]
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
    """Whether the folder is there and each file as it was written; a crash leaves none, and a damaged one is none."""
    return folder.is_dir() and not damage(folder)


def keep_written(recipe: Recipe, folder: Path) -> None:
    """Copies of what the transforms wrote beside the recipe, into the folder of what was made."""
    for kept, path in _written(recipe, folder):
        if path.is_file():
            kept.touch(mode=0o600)
            shutil.copyfile(path, kept)


def restore_written(recipe: Recipe, folder: Path) -> None:
    """Each such file as it was, where it is another or gone. Raises Failed when the disk refuses."""
    for kept, path in _written(recipe, folder):
        if kept.is_file() and not (path.is_file() and sha256(path) == sha256(kept)):
            write_text(path, kept.read_text(encoding="utf-8"), 0o600)


def _written(recipe: Recipe, folder: Path) -> Iterator[tuple[Path, Path]]:
    """(copy, file) of everything that transforms write."""
    names = [name for each in recipe.data.transforms for name in each.writes()]
    return ((folder / f"written.{number}", recipe.folder / name) for number, name in enumerate(names))


def _content(files: tuple[str, ...], folder: Path) -> list[tuple[str, str]]:
    """(name, SHA-256) of these files, folders and patterns."""
    return [(path.name, sha256(path)) for path in listed(files, folder)[0]]


def _forget_old(folder: Path) -> None:
    before = time.time() - DAYS * 86_400
    for old in folder.glob("*"):
        with suppress(FileNotFoundError):  # another process forgets it too
            mark = old if old.name.startswith(".") else old / MANIFEST  # a killed process left no manifest
            if mark.stat().st_mtime < before:
                shutil.rmtree(old)


@cache
def _own_source() -> str:
    """A hash of the code that prepares data, and of its prompts: what another version makes is something else."""
    own = sorted(path for path in HERE.rglob("*.*") if path.is_file() and "__pycache__" not in path.parts)
    files = [*own, HERE.parent / "core" / "example.py", HERE.parent / "core" / "kinds.py"]
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in files)).hexdigest()


@cache
def _packages() -> dict[str, str]:
    """The version of each package that preparation may use, and Python's, whose tables of letters change."""
    found = {"python": python_version()}
    for line in requires("affina") or []:
        name = re.split(r"[^\w.-]", line, maxsplit=1)[0]
        with suppress(PackageNotFoundError):  # of an extra that is not installed
            found[name] = version(name)
    return found


def _sources(recipe: Recipe) -> dict[str, str]:
    """For each part from elsewhere a hash of its file."""
    parts: list[Part | None] = [recipe.data.reader, recipe.data.shape, *recipe.data.transforms]
    files = {type(part).__module__: Path(inspect.getfile(type(part))) for part in parts if part is not None}
    return {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in files.items()}


def _silent(label: str, done: int, total: int) -> None:
    """Another process that makes the same is waited for without a word."""
