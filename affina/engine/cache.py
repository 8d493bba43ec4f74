"""The model cache, `$AFFINA_CACHE` else `~/.cache/affina`: an entry is whole or absent, and made once."""

import errno
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from affina.core.atomic import MANIFEST, sealed, write_json
from affina.core.errors import Failed, Refused
from affina.engine.folder import licence_of

Progress = Callable[[str, int, int], None]
"""Called with a label, the bytes done and the bytes in all (0: not known), sometimes from a second thread."""

_CONVERSION = "1"  # raised whenever convert.py writes something else for the same input; older entries are left alone

_RECORD = "affina.json"


@dataclass(frozen=True)
class Source:
    """A model on this disk. `digest` is 64 hexadecimal digits: a GGUF's own sha256, else over the hashes of weights,
    configuration, tokenizer and template. A user's folder is sampled (each weights file's name, size, header and 64
    blocks of 4 KiB evenly spread), so that asking again is cheap: a change that misses every block is not seen.
    `licence` is as the model's card or file states it, "unknown" when it does not."""

    reference: str
    folder: Path
    digest: str
    licence: str


def cache_root() -> Path:
    """Where fetched and converted models lie on this machine: `$AFFINA_CACHE`, else `~/.cache/affina`."""
    return Path(os.environ.get("AFFINA_CACHE") or "~/.cache/affina").expanduser().resolve()


def entry(kind: str, of: str, make: Callable[[Path], tuple[str, Path]], tell: Progress, missing: str = "") -> Source:
    """The cache entry made from `of`, made now unless it is there; `missing` names what offline may not be fetched.

    `make` fills a folder and returns the digest and the folder to use: that one, or one it trusts elsewhere.
    """
    place = cache_root() / "models" / f"{kind}-{short_hash(of)}-{_CONVERSION}"
    if (held := _read(place)) is not None:
        return held
    if missing:
        raise missing_offline(missing)
    with _only_one(place, tell):
        if (held := _read(place)) is not None:  # another process made it while this one waited
            return held
        with sealed(place) as aside, disk_errors():
            digest, folder = make(aside)
            (aside / _RECORD).unlink(missing_ok=True)
            sizes = {str(path.relative_to(folder)): path.stat().st_size for path in folder.rglob("*") if path.is_file()}
            sizes.pop(MANIFEST, None)
            elsewhere = "" if folder == aside else str(folder)
            record = {"digest": digest, "licence": licence_of(folder), "elsewhere": elsewhere, "sizes": sizes}
            write_json(aside / _RECORD, record)
    if (held := _read(place)) is None:
        raise Failed(f"{place} changed while it was being made", instead="run the same command again")
    return held


def _read(place: Path) -> Source | None:
    """The entry as recorded, None when it is absent or a file of it is missing or has another size."""
    record = place / _RECORD
    if not record.is_file():
        return None
    plain = json.loads(record.read_text(encoding="utf-8"))
    folder = Path(plain["elsewhere"]) if plain["elsewhere"] else place
    for name, size in plain["sizes"].items():
        if not (folder / name).is_file() or (folder / name).stat().st_size != size:
            return None
    return Source("", folder, plain["digest"], plain["licence"])


@contextmanager
def _only_one(place: Path, tell: Progress) -> Iterator[None]:
    """Keeps every other process from making the same entry; the lock goes with the process that holds it."""
    locks = cache_root() / "locks"
    for folder in (locks, place.parent):
        folder.mkdir(parents=True, exist_ok=True)
    with (locks / place.name).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            tell("waiting for another process that fetches the same model", 0, 0)
            fcntl.flock(lock, fcntl.LOCK_EX)
        for left_by_a_killed_process in place.parent.glob(f".{place.name}.*"):
            shutil.rmtree(left_by_a_killed_process)
        yield


@contextmanager
def disk_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason, remedy = f"{error.filename or cache_root()}: {error.strerror}", "set AFFINA_CACHE to a writable folder"
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST):
            raise Refused("the model cannot be kept or read here", reason, remedy) from error
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise Failed("the disk is full", reason, "free space, or set AFFINA_CACHE to a roomier disk") from error
        raise


def short_hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def missing_offline(reference: str) -> Refused:
    what = f"'{reference}' is not on this machine"
    return Refused(what, "affina is offline", "run the same command once without --offline")
