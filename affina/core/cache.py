"""The cache of this machine, `$AFFINA_CACHE` else `~/.cache/affina`: an entry is whole or absent, and made once."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile, _TemporaryFileWrapper

from affina.core.errors import Failed, Refused

Progress = Callable[[str, int, int], None]
"""Called with a label, the amount done and in all (0: not known), sometimes from a second thread."""


def cache_root() -> Path:
    """Where what is fetched or made once lies on this machine: `$AFFINA_CACHE`, else `~/.cache/affina`."""
    return Path(os.environ.get("AFFINA_CACHE") or "~/.cache/affina").expanduser().resolve()


@contextmanager
def only_one(place: Path, tell: Progress) -> Iterator[None]:
    """Keeps every other process from making the same entry; the lock goes with the process that holds it."""
    locks = cache_root() / "locks"
    for folder in (locks, place.parent):
        folder.mkdir(parents=True, exist_ok=True)
    with (locks / place.name).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            tell("waiting for another process that makes the same", 0, 0)
            fcntl.flock(lock, fcntl.LOCK_EX)
        for left_by_a_killed_process in place.parent.glob(f".{place.name}.*"):
            shutil.rmtree(left_by_a_killed_process)
        yield


@contextmanager
def disk_errors(what: str = "the model") -> Iterator[None]:
    """Turns what the disk refuses inside into a sentence that names `what` was to be kept."""
    try:
        yield
    except OSError as error:
        reason, remedy = f"{error.filename or cache_root()}: {error.strerror}", "set AFFINA_CACHE to a writable folder"
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST):
            raise Refused(f"{what} cannot be kept or read here", reason, remedy) from error
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise Failed("the disk is full", reason, "free space, or set AFFINA_CACHE to a roomier disk") from error
        raise


def short_hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def scratch_file(suffix: str) -> _TemporaryFileWrapper[bytes]:
    """A file in the cache's own scratch folder, readable by its owner only, removed when it is closed."""
    folder = cache_root() / "scratch"
    with disk_errors("what does not fit in memory"):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return NamedTemporaryFile(dir=folder, suffix=suffix)
