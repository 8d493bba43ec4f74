"""Zip files that hold one document: opened only when every entry is sound and small enough to be unpacked."""

import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from zipfile import BadZipFile, ZipFile, ZipInfo

from affina.core.errors import Refused

MOST_BYTES = 1 << 29
"""All entries unpacked: documents are held in memory, and preparing may take a GiB."""
RATIO = 200
"""Unpacked to packed size: sheets and texts stay below 100; deflate's limit, which a bomb comes near, is 1,032."""
SMALL = 1 << 24
"""Bytes below which an entry may shrink as much as it likes."""
CHUNK = 1 << 20
BROKEN = (BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, struct.error, ValueError, OSError)
"""What zipfile raises on damaged containers."""


@contextmanager
def opened(path: Path, what: str) -> Iterator[ZipFile]:
    """The container, every entry of it unpacked once to see that it is whole and within bounds.

    Raises Refused for what is no zip file, is damaged, is protected by a password, or would unpack to more than
    `MOST_BYTES`. `what` names the document for the sentence.
    """
    with _container(path, what) as container:
        entries = container.infolist()
        if any(entry.flag_bits & 1 for entry in entries):
            raise protected(path)
        _refuse_bomb(path, entries)
        try:
            for entry in entries:
                with container.open(entry) as stream:
                    while stream.read(CHUNK):
                        pass
        except BROKEN as error:
            raise _damaged(path, what, f"'{entry.filename}' in it cannot be unpacked ({error})") from error
        yield container


def protected(path: Path) -> Refused:
    """The refusal of a document that only a password opens."""
    return Refused(
        f"{path} is protected by a password",
        why="its text is encrypted, and passwords are not asked for here",
        instead="save a copy without the password",
    )


def _container(path: Path, what: str) -> ZipFile:
    try:
        with path.open("rb") as file:
            if not file.read(1):
                raise Refused(f"{path} is empty", why="it holds no bytes")
        return ZipFile(path)
    except BadZipFile as error:
        raise _damaged(path, what, f"its zip container cannot be read ({error})") from error
    except OSError as error:
        raise Refused(f"{path} cannot be read", why=error.strerror or str(error)) from error
    except BROKEN as error:
        raise _damaged(path, what, f"its zip container cannot be read ({error})") from error


def _damaged(path: Path, what: str, why: str) -> Refused:
    return Refused(f"{path} is no sound {what}", why=why, instead="fetch or export it again: it may be cut off")


def _refuse_bomb(path: Path, entries: list[ZipInfo]) -> None:
    """Sizes are those the container declares: more than declared is never unpacked."""
    total = sum(entry.file_size for entry in entries)
    if total > MOST_BYTES:
        raise Refused(
            f"{path} would unpack to {total / 2**20:,.0f} MiB",
            why=f"the most is {MOST_BYTES / 2**20:,.0f} MiB",
            instead="divide it into smaller documents",
        )
    for entry in entries:
        if entry.file_size > max(SMALL, RATIO * entry.compress_size):
            raise Refused(
                f"{path} looks like an archive bomb",
                why=f"'{entry.filename}' in it unpacks to {entry.file_size / max(1, entry.compress_size):,.0f} times "
                "its size",
                instead="give the document as its program saves it",
            )
