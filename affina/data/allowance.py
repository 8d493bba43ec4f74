"""What may come out of a packed file: bounded by its own size and by the disk, so that a bomb is refused in time."""

import lzma
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from affina.core.errors import Failed, Refused
from affina.data import scratch

CHUNK = 1 << 20
HARMLESS = 64 << 20
"""Bytes below which nothing is a bomb."""
RATIO = 200
"""How many times its own size a packed file may hold: text is packed to a tenth, deflate reaches 1032 on zeros."""
SPARE = 256 << 20
"""Bytes that stay free on the disk."""


class Stream(Protocol):
    def read(self, size: int, /) -> bytes: ...


class Allowance:
    """What may still come out of one packed file of so many bytes, or, without a size, of a stream."""

    def __init__(self, shown: str, size_bytes: int | None = None) -> None:
        self.shown, self.size_bytes = shown, size_bytes
        self.spent, self._looked = 0, -HARMLESS

    def spend(self, size_bytes: int) -> None:
        """So many bytes more came out. Raises Refused where it is too much, or the disk too full."""
        self.spent += size_bytes
        if self.size_bytes is not None and self.spent > max(HARMLESS, RATIO * self.size_bytes):
            raise Refused(
                f"{self.shown} is a bomb, or as good as one",
                why=f"its {self.size_bytes:,} bytes gave {self.spent:,} before the stop, over {RATIO} times as many",
                instead="if you know what it is, unpack it yourself and name the files that were in it",
            )
        if self.spent - self._looked >= HARMLESS:
            self._looked = self.spent
            self.fits(0)

    def fits(self, size_bytes: int) -> None:
        """Raises Refused unless so many bytes more go on the disk."""
        free = shutil.disk_usage(scratch.folder()).free
        if free < size_bytes + SPARE:
            raise Refused(
                f"{self.shown} cannot be unpacked",
                why=f"{scratch.folder().parent} has {free:,} bytes left after {self.spent:,}, and there is more",
                instead="free space, or set AFFINA_CACHE to a folder on a roomier disk",
            )


def copied(source: Stream, name: str, shown: str, allowance: Allowance) -> Path:
    """All that is left of a stream, in a file of the scratch folder; `name` gives it its ending."""
    path = scratch.place(name, shown)
    with path.open("xb") as file:
        while chunk := source.read(CHUNK):
            allowance.spend(len(chunk))
            file.write(chunk)
    return path


@contextmanager
def damage(shown: str, allowance: Allowance) -> Iterator[None]:
    """Inside, what codecs and archives say of bad bytes is Refused, with how far it was good."""
    try:
        yield
    except _bad_bytes() as error:
        raise _damaged(shown, allowance, error) from error
    except OSError as error:
        if error.errno is None:  # what bz2 raises
            raise _damaged(shown, allowance, error) from error
        what, why = f"{shown} cannot be copied", error.strerror or str(error)
        raise Failed(what, why, "free space, or set AFFINA_CACHE to a folder on a roomier disk") from error


def _bad_bytes() -> tuple[type[Exception], ...]:
    """What codecs and archives raise; zstd's only where it is installed."""
    known = (EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, tarfile.TarError)
    try:
        import zstandard
    except ModuleNotFoundError:
        return known
    return (*known, zstandard.ZstdError)


def _damaged(shown: str, allowance: Allowance, error: Exception) -> Refused:
    why = f"after {allowance.spent:,} bytes of what it holds: {str(error).strip().rstrip('.')}"
    return Refused(f"{shown} is damaged or cut off", why, "fetch or make it again")
