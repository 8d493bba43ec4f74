import io
import random
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from packing import tarred, zipped

from affina.core.errors import Refused
from affina.data import archive
from affina.data.archive import Member, of_tar, of_zip
from affina.data.decompress import Flow

MEMBERS = {"a.csv": b"a\n1\n", "inner/b.csv": b"b\n" * 400, "inner/empty": b"", "per\u00f2 \U0001f41f.txt": b"x" * 512}
OUTSIDE = ["../b.csv", "inner/../../b.csv", "/etc/passwd", "..\\b.csv", "C:\\b.csv", "c:b.csv", "//host/b.csv", ".."]


def held(members: Iterator[Member]) -> dict[str, bytes]:
    return {member.name: member.open().read(1 << 20) for member in members}


def in_zip(path: Path, name: str) -> dict[str, bytes]:
    return held(of_zip(zipped(path / "a.zip", {name: b"x"})))


def in_tar(path: Path, name: str) -> dict[str, bytes]:
    return held(of_tar(flow(tarred({name: b"x"})), "a.tar"))


def flow(content: bytes, size: int = 1000) -> Flow:
    return Flow(content[start : start + size] for start in range(0, len(content), size))


def test_members_come_with_what_they_hold(tmp_path: Path) -> None:
    assert held(of_zip(zipped(tmp_path / "a.zip", MEMBERS))) == MEMBERS
    for size in (1, 512, 700, 1 << 20):
        assert held(of_tar(flow(tarred(MEMBERS), size), "a.tar")) == MEMBERS


def test_members_that_nobody_reads_are_passed(tmp_path: Path) -> None:
    assert [member.name for member in of_tar(flow(tarred(MEMBERS)), "a.tar")] == [*MEMBERS]
    assert [member.name for member in of_zip(zipped(tmp_path / "a.zip", MEMBERS))] == [*MEMBERS]


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_a_tar_of_any_form_with_folders_and_long_names_is_read(form: int, tmp_path: Path) -> None:
    deep = "/".join(["folder" * 8] * 3)
    (tmp_path / "in" / deep).mkdir(parents=True)
    (tmp_path / "in" / deep / "b.csv").write_bytes(b"b\n")
    with tarfile.open(tmp_path / "a.tar", "w", format=form) as container:
        container.add(tmp_path / "in", ".")
    assert held(of_tar(flow((tmp_path / "a.tar").read_bytes()), "a.tar")) == {f"{deep}/b.csv": b"b\n"}


@pytest.mark.parametrize("name", OUTSIDE)
@pytest.mark.parametrize("within", [in_zip, in_tar])
def test_a_member_outside_the_folder_is_refused(
    within: Callable[[Path, str], dict[str, bytes]], name: str, tmp_path: Path
) -> None:
    with pytest.raises(Refused, match=r"is not safe: '.*' in it would be written outside its folder"):
        within(tmp_path, name)


@pytest.mark.parametrize("within", [in_zip, in_tar])
def test_a_name_that_a_terminal_would_obey_is_made_plain(
    within: Callable[[Path, str], dict[str, bytes]], tmp_path: Path
) -> None:
    assert [*within(tmp_path, "a\x1b[2J\n.csv")] == ["a\ufffd[2J\ufffd.csv"]
    assert [*within(tmp_path, "in\\a..b.csv")] == ["in/a..b.csv"]


@pytest.mark.parametrize(
    ("kind", "what"),
    [
        (tarfile.SYMTYPE, "a link"),
        (tarfile.LNKTYPE, "a link"),
        (tarfile.CHRTYPE, "a device"),
        (tarfile.BLKTYPE, "a device"),
        (tarfile.FIFOTYPE, "a device"),
    ],
)
def test_a_tar_with_anything_but_files_is_refused(kind: bytes, what: str) -> None:
    with pytest.raises(Refused, match=f"'a.csv' in it is {what}"):
        held(of_tar(flow(tarred({"a.csv": b""}, kind, "/etc/passwd")), "a.tar"))


@pytest.mark.parametrize(("kind", "what"), [(stat.S_IFLNK, "a link"), (stat.S_IFCHR, "a device")])
def test_a_zip_with_anything_but_files_is_refused(kind: int, what: str, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as container:
        info = zipfile.ZipInfo("a.csv")
        info.create_system, info.external_attr = 3, (kind | 0o777) << 16
        container.writestr(info, "/etc/passwd")
    with pytest.raises(Refused, match=f"'a.csv' in it is {what}"):
        held(of_zip(tmp_path / "a.zip"))


def test_an_encrypted_zip_is_refused(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", {"a.csv": b"secret\n"})
    content = bytearray(path.read_bytes())
    for mark, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):  # bit 0 of the flags (APPNOTE 4.4.4)
        content[content.find(mark) + place] |= 1
    path.write_bytes(content)
    with pytest.raises(Refused, match=r"a.zip is encrypted: 'a.csv' in it needs a password"):
        held(of_zip(path))


def test_a_method_that_is_not_known_is_refused(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", {"a.csv": b"secret\n"})
    content = bytearray(path.read_bytes())
    for mark, place in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        content[content.find(mark) + place] = 9  # deflate64
    path.write_bytes(content)
    with pytest.raises(Refused, match="compressed by method 9"):
        held(of_zip(path))


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_members_of_one_name_are_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as container:
        container.writestr("a.csv", "one")
        container.writestr("a.csv", "two")
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as other:
        for _ in range(2):
            other.addfile(tarfile.TarInfo("a.csv"))
    for members in (of_zip(tmp_path / "a.zip"), of_tar(flow(tar.getvalue()), "a.tar")):
        with pytest.raises(Refused, match=r"two members called 'a\.csv'"):
            held(members)


def test_more_members_than_are_taken_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MEMBERS", 3)
    with pytest.raises(Refused, match="too many members"):
        held(of_zip(zipped(tmp_path / "a.zip", MEMBERS)))
    with pytest.raises(Refused, match="too many members"):
        held(of_tar(flow(tarred(MEMBERS)), "a.tar"))


def test_a_tar_that_is_cut_off_anywhere_is_an_error() -> None:
    whole = tarred(MEMBERS).rstrip(b"\0")
    whole += bytes(-len(whole) % 512)
    for size in range(100, len(whole) + 1, 100):
        with pytest.raises(tarfile.TarError):
            held(of_tar(flow(whole[:size]), "a.tar"))
    with pytest.raises(tarfile.ReadError, match="the block that ends it is not there"):
        held(of_tar(flow(whole), "a.tar"))


def test_a_damaged_header_is_an_error_wherever_it_stands() -> None:
    content = tarred(MEMBERS)
    for start in (0, 1024):  # a header, its 4 bytes in a block, the next header
        changed = bytearray(content)
        changed[start] ^= 1
        with pytest.raises(tarfile.TarError):
            held(of_tar(flow(bytes(changed)), "a.tar"))


def test_tars_joined_in_one_are_refused() -> None:
    with pytest.raises(Refused, match="several tars seem to be joined"):
        held(of_tar(flow(tarred({"a.csv": b"x"}) + tarred({"b.csv": b"x"})), "a.tar"))


def test_a_header_that_holds_more_than_a_name_is_not_read() -> None:
    header = tarfile.TarInfo("././@LongLink")
    header.type, header.size = tarfile.GNUTYPE_LONGNAME, 8 << 30
    with pytest.raises(tarfile.ReadError, match="a header of 8,589,934,592 bytes"):
        held(of_tar(flow(header.tobuf(tarfile.GNU_FORMAT) + bytes(4096)), "a.tar"))


def test_a_tar_whose_sizes_go_back_ends_with_an_error() -> None:
    """A negative size, which base-256 numbers can be, once made tarfile read for ever (CVE-2025-8194)."""
    info = tarfile.TarInfo("a.csv")
    header = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    header[124:136] = b"\xff" * 11 + b"\x00"  # -256
    header[148:156] = b"%06o\0 " % (sum(header[:148]) + 8 * 32 + sum(header[156:512]))
    with pytest.raises(tarfile.ReadError, match="a size below nothing"):
        held(of_tar(flow(bytes(header) + bytes(2048)), "a.tar"))


def test_bytes_changed_at_random_give_what_was_there_or_an_error(tmp_path: Path) -> None:
    """A zip has a checksum of every member; a tar of its headers alone, so that a member's own bytes may differ."""
    draws, sound = random.Random(0), zipped(tmp_path / "a.zip", MEMBERS).read_bytes()
    expected = (Refused, zipfile.BadZipFile, zlib.error, EOFError)
    for _ in range(300):
        changed = bytearray(sound)
        for _ in range(draws.randrange(1, 4)):
            changed[draws.randrange(len(changed))] = draws.randrange(256)
        (tmp_path / "b.zip").write_bytes(changed)
        try:
            found = held(of_zip(tmp_path / "b.zip"))
        except expected:
            continue
        assert set(found.values()) <= set(MEMBERS.values())
    sound = tarred(MEMBERS)
    for _ in range(300):
        changed = bytearray(sound)
        changed[draws.randrange(len(changed))] = draws.randrange(256)
        try:
            found = held(of_tar(flow(bytes(changed)), "a.tar"))
        except (Refused, tarfile.TarError, OSError):
            continue
        assert [*found] == [*MEMBERS]
