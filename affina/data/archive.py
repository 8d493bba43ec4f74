"""The members of zip and tar archives, one after the other, as names and streams; whatever could do harm is refused.

Refused are members that would leave the folder they are unpacked in, links, devices, two of one name, and secrets
without a key; of tar also headers that hold more than a name.
"""

import re
import stat
import struct
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from affina.core.errors import Refused
from affina.data import scratch
from affina.data.allowance import Stream
from affina.data.decompress import Flow
from affina.data.packed import MEMBERS, listed

HEADER = 1 << 20
"""Bytes of a tar header that comes before a member, such as a long name: tarfile reads it whole."""
BEFORE = (
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
)
UNPACK = "if you trust it, unpack it yourself and name the files that were in it"


class Member(NamedTuple):
    """One file of an archive. `open` may be called once, before the next member is asked for."""

    name: str
    size_bytes: int
    """As the archive states it."""
    open: Callable[[], Stream]


def of_zip(path: Path) -> Iterator[Member]:
    """Raises Refused, before the first member, for a zip file that holds anything but plain files and folders."""
    shown, names = scratch.shown(path), _Names(scratch.shown(path))
    with listed(path) as container:
        infos = [(names.checked(info.filename, info.is_dir()), info) for info in container.infolist()]
        for name, info in infos:
            kind = stat.S_IFMT(info.external_attr >> 16)
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise _no_file(shown, name, "a link" if kind == stat.S_IFLNK else "a device")
            if info.flag_bits & 1:
                raise Refused(f"{shown} is encrypted", f"'{name}' in it needs a password", "unpack it yourself first")
        for name, info in infos:
            if not info.is_dir():
                yield Member(name, info.file_size, lambda info=info: _within(container, info, shown))  # type: ignore[misc]


def of_tar(flow: Flow, shown: str) -> Iterator[Member]:
    """Raises Refused, where it comes to it, for anything but plain files and folders, and tarfile's own error for what
    is damaged or lacks its end."""
    names = _Names(shown)
    source: Any = flow
    container: Any
    with tarfile.open(fileobj=source, mode="r:", tarinfo=_Header) as container:
        for info in container:
            name = names.checked(info.name, info.isdir())
            if not (info.isreg() or info.isdir()):
                raise _no_file(shown, name, "a link" if info.issym() or info.islnk() else "a device")
            if info.isreg():
                yield Member(name, info.size, lambda info=info: container.extractfile(info))  # type: ignore[misc]
            container.members = []  # it keeps all it has seen
    while block := flow.read(1 << 20):
        if block.strip(b"\0"):
            raise Refused(f"{shown} goes on after its end", "several tars seem to be joined in one", UNPACK)


class _Names:
    """The names met in one archive. `checked` raises Refused for one that leaves the folder, or comes twice."""

    def __init__(self, shown: str) -> None:
        self._shown, self._met = shown, set[str]()

    def checked(self, name: str, folder: bool) -> str:
        """The name with `/` between its parts, and signs that a terminal would obey replaced."""
        name = name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        plain = re.sub(r"[\x00-\x1f\x7f-\x9f]", "�", name.replace("\\", "/")).removeprefix("./")
        if plain.startswith("/") or re.match(r"[A-Za-z]:", plain) or ".." in PurePosixPath(plain).parts:
            raise Refused(f"{self._shown} is not safe", f"'{plain}' in it would be written outside its folder", UNPACK)
        if plain in self._met and not folder:
            raise Refused(f"{self._shown} is not plain", f"it holds two members called '{plain}'", UNPACK)
        if len(self._met) == MEMBERS:
            raise Refused(f"{self._shown} has too many members", f"{MEMBERS:,} are taken", UNPACK)
        self._met.add(plain)
        return plain


class _Header(tarfile.TarInfo):
    """A tar header. One that is damaged is an error wherever it stands: tarfile takes a later one for the end."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> "_Header":
        try:
            return super().frombuf(buf, encoding, errors)
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]
            raise
        except (tarfile.HeaderError, ValueError) as error:
            reason = "the block that ends it is not there" if not buf else str(error)
            raise tarfile.ReadError(reason) from error

    def _proc_member(self, tar: tarfile.TarFile) -> Any:
        """tarfile's own place for what kinds of members are met with."""
        if self.size < 0 or (self.type in BEFORE and self.size > HEADER):
            raise tarfile.ReadError(f"a header of {self.size:,} bytes" if self.size > 0 else "a size below nothing")
        return super()._proc_member(tar)  # type: ignore[misc]


def _within(container: zipfile.ZipFile, info: zipfile.ZipInfo, shown: str) -> Stream:
    try:
        return container.open(info)
    except NotImplementedError as error:
        why = f"'{info.filename}' in it is compressed by method {info.compress_type}"
        raise Refused(f"{shown} cannot be unpacked", why, "unpack it with another program first") from error
    except (OSError, ValueError, struct.error) as error:  # where the list of members points is not there
        raise zipfile.BadZipFile(f"'{info.filename}' in it: {error}") from error


def _no_file(shown: str, name: str, what: str) -> Refused:
    return Refused(f"{shown} is not safe", f"'{name}' in it is {what}, which could lead anywhere", UNPACK)
