"""Files of a pinned package lie in the cache as they are in the archive, or a sentence says why not; nothing is run."""

import hashlib
import io
import os
import tarfile
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from affina.core.errors import Failed, Refused
from affina.core.kinds import Package
from affina.engine import package as packages
from affina.engine.package import fetch

WORDS = b"casa\nlibro\n"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and registries that are folders of this machine."""
    monkeypatch.delenv("AFFINA_OFFLINE", raising=False)
    monkeypatch.setenv("AFFINA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "pypi"))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setattr(packages, "_NPM", (tmp_path / "npm").as_uri())
    monkeypatch.setattr(packages, "_DEBIAN", (tmp_path / "debian").as_uri())
    return tmp_path / "cache"


def tar(inside: str, content: bytes = WORDS) -> bytes:
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w:xz") as archive:
        member = tarfile.TarInfo(inside)
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    return held.getvalue()


def put(path: Path, content: bytes) -> tuple[str, int]:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return hashlib.sha256(content).hexdigest(), len(content)


def npm(folder: Path) -> Package:
    content = tar("package/dist/words.txt")
    return Package(
        "npm", "words", "1.0", *put(folder / "npm/words/-/words-1.0.tgz", content), ("package/dist/words.txt",)
    )


def debian(folder: Path) -> Package:
    """An ar archive as deb(5) lays it out: a header of 60 bytes before each member, which ends at an even place."""
    content = b"!<arch>\n"
    for name, data in (("debian-binary", b"2.0"), ("data.tar.xz", tar("./usr/share/words.txt"))):
        content += (
            f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(data):<10}`\n".encode() + data + b"\n" * (len(data) % 2)
        )
    place = folder / "debian/main/w/words/words_1.0-1_all.deb"
    return Package("debian", "words", "1:1.0-1", *put(place, content), ("./usr/share/words.txt",), "main/w/words")


def pypi(folder: Path) -> Package:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        archive.writestr("words/__init__.py", "raise SystemExit('imported')")
        archive.writestr("words/data/words.txt", WORDS)
        archive.writestr("words-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: words\nVersion: 1.0\n")
        archive.writestr("words-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr("words-1.0.dist-info/RECORD", "")
    content = held.getvalue()
    wheel = folder / "pypi/words-1.0-py3-none-any.whl"
    return Package("pypi", "words", "1.0", *put(wheel, content), ("words/data/words.txt",))


@pytest.mark.parametrize("make", [npm, debian, pypi])
def test_the_files_lie_under_their_own_names_and_are_fetched_once(make: object, tmp_path: Path) -> None:
    package = make(tmp_path)  # type: ignore[operator]
    folder = fetch(package)
    assert (folder / "words.txt").read_bytes() == WORDS
    assert {path.suffix for path in folder.iterdir()} <= {".txt", ".json"}, "no archive and no code is left"
    for registry in ("npm", "debian", "pypi"):
        for path in (tmp_path / registry).rglob("*.*"):
            path.unlink()
    assert fetch(package, offline=True) == folder


@pytest.mark.parametrize("make", [npm, debian, pypi])
def test_an_archive_of_another_hash_is_not_used(make: object, tmp_path: Path) -> None:
    package = replace(make(tmp_path), sha256="0" * 64)  # type: ignore[operator]
    with pytest.raises(Failed, match="not the file it should be"):
        fetch(package)


def test_offline_a_package_that_is_not_here_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="is not on this machine"):
        fetch(npm(tmp_path), offline=True)


@pytest.mark.parametrize("make", [npm, debian])
def test_a_file_that_the_archive_does_not_hold_is_said(make: object, tmp_path: Path) -> None:
    package = replace(make(tmp_path), files=("absent.txt",))  # type: ignore[operator]
    with pytest.raises(Failed, match=r"does not hold absent\.txt"):
        fetch(package)


def test_what_is_no_archive_is_said(tmp_path: Path) -> None:
    for package, place in (
        (npm(tmp_path), "npm/words/-/words-1.0.tgz"),
        (debian(tmp_path), "debian/main/w/words/words_1.0-1_all.deb"),
    ):
        sha256, size = put(tmp_path / place, b"neither")
        with pytest.raises(Failed, match="does not hold"):
            fetch(replace(package, sha256=sha256, size_bytes=size))
