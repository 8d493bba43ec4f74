"""The cache of this machine, `$AFFINA_CACHE` else `~/.cache/affina`: an entry is whole or absent, and made once."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import NamedTemporaryFile, _TemporaryFileWrapper

from affina.core.errors import Failed, Refused

YOUNG_S = 60
"""Seconds in which a new scratch file gets its lock."""
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
        for left in folder.iterdir():
            _remove_orphan(left)
        file = NamedTemporaryFile(dir=folder, suffix=suffix)  # noqa: SIM115  (closed by whom it is given to)
        fcntl.flock(file, fcntl.LOCK_EX)  # as long as the process lives: what is not locked belongs to nobody
        return file


def _remove_orphan(path: Path) -> None:
    """Removes a scratch file whose process was killed; one that was only just made may not be locked yet."""
    with suppress(FileNotFoundError), path.open("rb") as file:
        if time.time() - os.fstat(file.fileno()).st_mtime < YOUNG_S:
            return
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        path.unlink()
