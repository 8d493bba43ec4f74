"""Files made on the way to a reader (unpacked, from a database, from standard input), and what each stands for.

They lie in one folder per process, `$AFFINA_CACHE` else `$TMPDIR`, which only its owner may enter. It goes when the
process ends; one that a killed process left goes when the next one starts.
"""

import atexit
import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Hashable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

from affina.core.errors import AffinaError, Failed

PREFIX = "affina-data-"
YOUNG_S = 60
"""A folder younger than this may be one that its process has not locked yet."""
NAME_BYTES = 120
"""What is kept of a name, which an archive can make longer than a file system takes."""

_shown: dict[Path, str] = {}
_known: dict[Hashable, Path] = {}


@cache
def folder() -> Path:
    """The folder, made when first asked for. Raises Failed where it cannot be."""
    root = Path(os.environ.get("AFFINA_CACHE") or tempfile.gettempdir()).expanduser()
    try:
        root.mkdir(parents=True, exist_ok=True)
        _sweep(root)
        made = Path(tempfile.mkdtemp(prefix=PREFIX, dir=root))
        lock = os.open(made / ".lock", os.O_RDWR | os.O_CREAT, 0o600)  # held as long as the process lives
        fcntl.flock(lock, fcntl.LOCK_EX)
    except OSError as error:
        what, why = f"no folder for unpacked files can be made in {root}", error.strerror or str(error)
        raise Failed(what, why, "set AFFINA_CACHE to a writable folder") from error
    atexit.register(_remove, made, os.getpid())
    return made


def place(name: str, shown: str) -> Path:
    """Where a file may be written that stands for `shown`; the end of its name is that of `name`."""
    stem, suffix = os.path.splitext(name.rpartition("/")[2])
    kept = os.fsencode(stem)[: NAME_BYTES - min(NAME_BYTES // 2, len(os.fsencode(suffix)))].decode("utf-8", "ignore")
    ending = suffix if len(os.fsencode(suffix)) <= NAME_BYTES // 2 else ""
    path = Path(tempfile.mkdtemp(dir=folder())) / f"{kept or 'file'}{ending}"
    _shown[path] = shown
    return path


def remember(key: Hashable, path: Path) -> None:
    """The file is whole, and is what `key` stands for."""
    _known[key] = path


def remembered(key: Hashable) -> Path | None:
    """The file that was made for this key before, if it is still there."""
    path = _known.get(key)
    return path if path is not None and path.exists() else None


def shown(path: Path) -> str:
    """What a file is called before people: the archive and the name inside, a database's address, or its own path."""
    return _shown.get(path, str(path))


def told(text: str) -> str:
    """A sentence in which files made here are called what they stand for."""
    if _shown and PREFIX in text:
        for path, name in _shown.items():
            text = text.replace(str(path), name)
    return text


@contextmanager
def called_by_name() -> Iterator[None]:
    """Errors raised inside name files by what they stand for."""
    try:
        yield
    except AffinaError as error:
        sentences = (error.what, error.why, error.instead, error.where)
        if not any(PREFIX in sentence for sentence in sentences):
            raise
        raise type(error)(*map(told, sentences)) from error


def _sweep(root: Path) -> None:
    """Removes the folders of processes that are gone."""
    for left in root.glob(f"{PREFIX}*"):
        with suppress(OSError):  # another process sweeps too, or the folder is another user's
            status = left.stat()
            if status.st_uid != os.getuid() or time.time() - status.st_mtime < YOUNG_S:
                continue
            lock = os.open(left / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(left)
            finally:
                os.close(lock)


def _remove(made: Path, owner: int) -> None:
    if os.getpid() == owner:  # a forked process leaves what its parent made
        shutil.rmtree(made, ignore_errors=True)
