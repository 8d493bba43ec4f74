"""Files and folders that are whole or absent: written aside, synced, renamed; sealed folders carry their checksums."""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from affina.core.errors import Failed

MANIFEST = "manifest.json"


def sha256(path: Path) -> str:
    """The file's SHA-256 as 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_text(path: Path, text: str, mode: int = 0o644) -> None:
    """`write_bytes` of a text in UTF-8."""
    write_bytes(path, text.encode(), mode)


def write_bytes(path: Path, content: bytes, mode: int = 0o644) -> None:
    """Replaces a file's content at once. Raises Failed when the disk refuses; the old content then stands."""
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, path)
    except OSError as error:
        aside.unlink(missing_ok=True)
        raise disk_error(path, error) from error


def write_json(path: Path, plain: Any, mode: int = 0o644) -> None:
    """`write_text` of plain data."""
    write_text(path, json.dumps(plain, ensure_ascii=False, indent=1, allow_nan=False) + "\n", mode)


@contextmanager
def sealed(folder: Path) -> Iterator[Path]:
    """A folder to write into that appears under its name, with checksums, only when the block ends well.

    Raises Failed when the disk refuses; nothing is left behind and an older folder of that name stands.
    """
    aside = folder.with_name(f".{folder.name}.{os.getpid()}")
    shutil.rmtree(aside, ignore_errors=True)
    try:
        aside.mkdir(parents=True)
        yield aside
        files = {str(path.relative_to(aside)): sha256(path) for path in sorted(aside.rglob("*")) if path.is_file()}
        write_json(aside / MANIFEST, files)
        for name in files:
            _sync(aside / name)
        _sync(aside)
        if folder.is_symlink():
            folder.unlink()
        elif folder.exists():
            shutil.rmtree(folder)
        os.rename(aside, folder)
        _sync(folder.parent)
    except OSError as error:
        raise disk_error(folder, error) from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def damage(folder: Path) -> str:
    """What is wrong with a sealed folder, in a few words; empty when every file is as it was written."""
    try:
        files: dict[str, str] = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        wrong = [name for name, digest in files.items() if sha256(folder / name) != digest]
    except (OSError, ValueError) as error:
        return str(error)
    return f"{', '.join(wrong)} changed since written" if wrong else ""


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def disk_error(path: Path, error: OSError) -> Failed:
    """The sentence for a disk that refuses: no space, no permission, a size limit."""
    return Failed(
        f"{path} could not be written",
        why=error.strerror or str(error),
        instead="free space or choose another --root; what was saved before is intact, so the same command resumes",
    )
