import tarfile
import zipfile
from pathlib import Path

import pytest
from packing import CODECS, tarred, zipped
from shared_data import shared

from affina.core.errors import Refused
from affina.data.packed import bare, is_tar, kind, listed

NAMES = {".gz": "gzip", ".bz2": "bzip2", ".xz": "xz", ".zst": "zstd"}


@pytest.mark.parametrize("ending", CODECS)
def test_a_compressed_file_is_known_by_its_bytes_whatever_its_name(ending: str, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_bytes(CODECS[ending](b"a,b\n1,2\n"))
    assert kind(tmp_path / "rows.csv") == NAMES[ending]
    (tmp_path / "empty.csv").write_bytes(CODECS[ending](b""))
    assert kind(tmp_path / "empty.csv") == NAMES[ending]


def test_archives_are_known_by_their_bytes(tmp_path: Path) -> None:
    assert kind(zipped(tmp_path / "a", {"x.csv": b"a\n"})) == "zip"
    assert kind(zipped(tmp_path / "b", {})) == "zip"
    for form in (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        with tarfile.open(tmp_path / "c", "w", format=form) as container:
            container.add(tmp_path / "a", "x.csv")
        assert kind(tmp_path / "c") == "tar"
    old = bytearray(tarred({"x.csv": b"a\n"}))
    old[257:265] = bytes(8)  # as before POSIX: no mark, and the sum follows
    old[148:156] = b"%06o\0 " % (sum(old[:148]) + 8 * 32 + sum(old[156:512]))
    assert is_tar(bytes(old[:512]))


@pytest.mark.parametrize(
    "content",
    [b"", b"a", b"BZh is how this text begins", b"\x1f\x8b", b"PK", b"0" * 600, b"\0" * 1024, "é".encode() * 300],
)
def test_other_files_are_not_packed(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(content)
    assert kind(tmp_path / "file") == ""


def test_office_documents_and_books_are_no_archives(tmp_path: Path) -> None:
    assert kind(zipped(tmp_path / "a", {"[Content_Types].xml": b"", "xl/workbook.xml": b""})) == ""
    assert kind(zipped(tmp_path / "b", {"mimetype": b"application/epub+zip"})) == ""
    damaged = tmp_path / "c.xlsx"
    damaged.write_bytes((tmp_path / "a").read_bytes()[:40])
    assert kind(damaged) == ""


def test_real_workbooks_are_no_archives() -> None:
    folder = shared("data", "frictionless_tables_a")
    books = [path for path in sorted(folder.iterdir()) if path.suffix in (".xlsx", ".ods")]
    assert len(books) >= 10
    assert {kind(book) for book in books} == {""}


@pytest.mark.parametrize(("mark", "what"), [(b"7z\xbc\xaf\x27\x1c", "7z"), (b"Rar!\x1a\x07\x01\0", "RAR")])
def test_archives_that_cannot_be_read_are_refused(mark: bytes, what: str, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(mark + b"\0" * 20)
    with pytest.raises(Refused, match=f"a is a {what} archive. unpack it"):
        kind(tmp_path / "a")


def test_a_name_without_what_compressed_it() -> None:
    assert [bare(name) for name in ("a.csv.gz", "A.CSV.GZ", "a.tgz", "a.tar.zst", "a.csv", ".gz")] == [
        "a.csv", "A.CSV", "a.tar", "a.tar", "a.csv", ".gz",
    ]  # fmt: skip


def test_a_list_of_too_many_members_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", {"x.csv": b"a\n"})
    content = bytearray(path.read_bytes())
    end = content.rfind(b"PK\x05\x06")
    content[end + 12 : end + 16] = (100 << 20).to_bytes(4, "little")
    path.write_bytes(content)
    with pytest.raises(Refused, match="too many members"):
        listed(path)


def test_figures_too_large_for_their_fields_are_read_where_they_stand(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as container:
        for number in range(70_000):  # more than 16 bits count
            container.writestr(f"{number}", b"")
    with listed(tmp_path / "a.zip") as container:
        assert len(container.namelist()) == 70_000


def test_an_end_that_makes_no_sense_is_a_bad_zip(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", {"x.csv": b"a\n"})
    content = bytearray(path.read_bytes())
    end = content.rfind(b"PK\x05\x06")
    content[end + 12 : end + 14] = b"\x77\x77"
    path.write_bytes(content)
    with pytest.raises(zipfile.BadZipFile):
        listed(path)
