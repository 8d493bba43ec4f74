"""A release's folder as it lies on the disk: every file is named with its hash in the manifest, and the manifest's own
hash is the release's id. The card beside them says what was decided since, so it is not part of what is hashed."""

import json
from collections.abc import Collection
from pathlib import Path, PurePosixPath
from typing import Any

from affina.core.atomic import MANIFEST, sha256
from affina.core.errors import Refused

ABOUT, CARD = "release.json", "card"
PICKLES = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".joblib")


def is_release(folder: Path) -> bool:
    """Whether a release lies there."""
    return (folder / ABOUT).is_file() and (folder / MANIFEST).is_file()


def about(folder: Path) -> dict[str, Any]:
    """What the release says of itself."""
    found: dict[str, Any] = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
    return found


def digest_of(folder: Path) -> str:
    """A release's id: the hash of its manifest."""
    return sha256(folder / MANIFEST)


def verify(folder: Path, digest: str = "") -> None:
    """Raises Refused, naming the file, for a release that is not what was released; `digest` is what its id should be.

    A pickle is refused whatever the manifest says: loading it can run any code.
    """
    files = (path for path in sorted(folder.rglob("*")) if path.is_symlink() or not path.is_dir())
    held = {path.relative_to(folder).as_posix(): path for path in files}
    if pickled := next((name for name in held if PurePosixPath(name).suffix in PICKLES), ""):
        why = f"{pickled} is a pickle: loading it can run any code"
        raise Refused(f"the release in {folder} is not opened", why, "release the run again: affina writes safetensors")
    named = _manifest(folder)
    if digest and digest_of(folder) != digest:
        raise _tampered(folder, f"{MANIFEST} is not the one that was released")
    for name, expected in named.items():
        if name not in held or held[name].is_symlink():
            raise _tampered(folder, f"{name} is gone")
        if sha256(held[name]) != expected:
            raise _tampered(folder, f"{name} was changed")
    apart = (f"{CARD}/", f".{CARD}.")
    if more := next((name for name in held if name not in (*named, MANIFEST) and not name.startswith(apart)), ""):
        raise _tampered(folder, f"{more} was added")


def intact(folder: Path, digest: str, names: Collection[str]) -> bool:
    """Whether the manifest is the one that was released, and these files are what it says: a look at a few of them."""
    path = folder / MANIFEST
    if not path.is_file() or sha256(path) != digest:
        return False
    named, held = _manifest(folder), [name for name in names if (folder / name).is_file()]
    return {*held} == {*names} & {*named} and all(sha256(folder / name) == named[name] for name in held)


def _manifest(folder: Path) -> dict[str, str]:
    try:
        named = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        if not isinstance(named, dict) or ABOUT not in named:
            raise ValueError("it is no manifest")
    except (OSError, ValueError) as error:
        raise _tampered(folder, f"{MANIFEST} cannot be read: {error}") from error
    return {str(name): str(digest) for name, digest in named.items()}


def _tampered(folder: Path, why: str) -> Refused:
    return Refused(f"the release in {folder} is not what was released", why, "restore it, or release the run again")
