import gzip
import io
import os
import tarfile
import zipfile
from pathlib import Path

import pytest
from packing import CODECS, tarred, zipped

from affina.core.errors import Refused
from affina.data import scratch
from affina.data.unpack import matches, unpacked

WANTED = {".csv", ".txt"}


def names(path: Path, inside: str = "", wanted: set[str] = WANTED) -> list[str]:
    """What came out, as it is called without the folder it lies in."""
    return [scratch.shown(each).removeprefix(f"{path.parent}/") for each in unpacked(path, inside, wanted).files]


@pytest.mark.parametrize("ending", CODECS)
def test_a_compressed_file_keeps_its_name_and_gives_its_ending(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"rows.csv{ending}"
    path.write_bytes(CODECS[ending](b"a,b\n"))
    (found,) = unpacked(path, "", WANTED).files
    assert found.name == "rows.csv" and found.read_bytes() == b"a,b\n"
    assert scratch.shown(found) == str(path)


@pytest.mark.parametrize("ending", ["", *CODECS])
def test_a_tar_compressed_or_not_is_read_as_a_folder(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"a.tar{ending}"
    content = tarred({"in/b.csv": b"b\n", "a.csv": b"a\n", "c.png": b"c", ".hidden.csv": b"d", "__MACOSX/a.csv": b"e"})
    path.write_bytes(CODECS[ending](content) if ending else content)
    assert names(path) == [f"a.tar{ending}!/a.csv", f"a.tar{ending}!/in/b.csv"]
    assert unpacked(path, "", WANTED).aside == [f"{path}!/c.png"]
    assert names(path, ".hidden.csv") == [f"a.tar{ending}!/.hidden.csv"]


def test_members_are_named_by_themselves_by_folder_and_by_pattern(tmp_path: Path) -> None:
    path = zipped(
        tmp_path / "a.zip", {"a.csv": b"", "in/b.csv": b"", "in/deep/c.csv": b"", "in/d.png": b"", "[x].csv": b""}
    )
    for inside, expected in {
        "a.csv": ["a.csv"],
        "in": ["in/b.csv", "in/d.png", "in/deep/c.csv"],
        "in/": ["in/b.csv", "in/d.png", "in/deep/c.csv"],
        "in/*.csv": ["in/b.csv"],
        "**/*.csv": ["[x].csv", "a.csv", "in/b.csv", "in/deep/c.csv"],
        "*": ["[x].csv", "a.csv"],
        "[x].csv": ["[x].csv"],
        "in/[bd].*": ["in/b.csv", "in/d.png"],
        "**": ["[x].csv", "a.csv", "in/b.csv", "in/d.png", "in/deep/c.csv"],
        "A.csv": [],
    }.items():
        assert names(path, inside) == [f"a.zip!/{each}" for each in expected], inside


def test_a_pattern_matches_as_glob_does(tmp_path: Path) -> None:
    import glob

    for name in ("a.csv", "in/b.csv", "in/deep/c.csv", "in/deep/d.txt", "x/in/b.csv"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    members = [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()]
    for pattern in ("*", "*.csv", "**", "**/*.csv", "in/**", "in/**/*.csv", "**/in/*", "*/*/*", "?n/*", "**/deep/**/*"):
        globbed = {
            each for each in glob.glob(pattern, root_dir=tmp_path, recursive=True) if (tmp_path / each).is_file()
        }
        assert {name for name in members if matches(name, pattern)} == globbed, pattern


def test_archives_in_archives_are_read_and_named(tmp_path: Path) -> None:
    inner = zipped(tmp_path / "inner.zip", {"a.csv": b"a\n", "b.csv": b"b\n"}).read_bytes()
    path = tmp_path / "outer.tgz"
    path.write_bytes(gzip.compress(tarred({"in/inner.zip": inner, "c.csv.gz": gzip.compress(b"c\n")})))
    assert names(path) == ["outer.tgz!/c.csv.gz", "outer.tgz!/in/inner.zip!/a.csv", "outer.tgz!/in/inner.zip!/b.csv"]
    assert names(path, "in/inner.zip!/b.csv") == ["outer.tgz!/in/inner.zip!/b.csv"]
    assert names(path, "*/*.zip!/a*") == ["outer.tgz!/in/inner.zip!/a.csv"]


def test_the_only_member_is_taken_whatever_its_ending(tmp_path: Path) -> None:
    assert names(zipped(tmp_path / "a.zip", {"Collection": b"x", ".DS_Store": b"y"})) == ["a.zip!/Collection"]
    (tmp_path / "b.tar").write_bytes(tarred({"in/Collection": b"x"}))
    assert names(tmp_path / "b.tar") == ["b.tar!/in/Collection"]
    assert names(zipped(tmp_path / "c.zip", {"one": b"x", "two": b"y"})) == []


def test_what_was_unpacked_is_used_again_until_the_file_changes(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", {"a.csv": b"old\n", "b.csv": b"b\n"})
    first = unpacked(path, "", WANTED).files
    assert unpacked(path, "", WANTED).files == first
    assert unpacked(path, "b.csv", WANTED).files == first[1:]
    zipped(path, {"a.csv": b"new rows\n"})
    (changed,) = unpacked(path, "", WANTED).files
    assert changed.read_bytes() == b"new rows\n"


def bomb(path: Path, size_mib: int) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as container, container.open("zeros.csv", "w") as member:
        for _ in range(size_mib):
            member.write(bytes(1 << 20))
    return path


def test_a_zip_of_zeros_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    path = bomb(tmp_path / "a.zip", 1024)
    assert path.stat().st_size < 1 << 20 << 1
    with pytest.raises(Refused, match=r"a.zip is a bomb, or as good as one: its [\d,]+ bytes gave 2\d\d,\d{3},\d{3} "):
        unpacked(path, "", WANTED)


def test_a_bomb_in_a_bomb_counts_by_the_outermost_file(tmp_path: Path) -> None:
    inner = bomb(tmp_path / "a.zip", 80).read_bytes()
    with pytest.raises(Refused, match=r"outer.zip is a bomb"):
        unpacked(zipped(tmp_path / "outer.zip", {"a.zip": inner}), "", WANTED)
    many = io.BytesIO()
    with tarfile.open(fileobj=many, mode="w:gz") as container:
        for number in range(100):
            info = tarfile.TarInfo(f"{number}.csv")
            info.size = 1 << 20
            container.addfile(info, io.BytesIO(bytes(1 << 20)))
    (tmp_path / "many.tgz").write_bytes(many.getvalue())
    with pytest.raises(Refused, match=r"many.tgz is a bomb"):
        unpacked(tmp_path / "many.tgz", "", WANTED)


def test_members_that_overlap_count_each_time(tmp_path: Path) -> None:
    """As in the bomb that Fifield describes (WOOT 2019): one kernel of data that many entries point to."""
    path = bomb(tmp_path / "a.zip", 1)
    content = path.read_bytes()
    start, end = content.find(b"PK\x01\x02"), content.find(b"PK\x05\x06")
    entry = content[start:end]
    tail = bytearray(content[end:])
    tail[8:12] = (200).to_bytes(2, "little") * 2
    tail[12:16] = (200 * len(entry)).to_bytes(4, "little")
    names = [entry.replace(b"zeros.csv", b"zer%02d.csv" % 0 if not n else f"z{n:04d}.csv".encode()) for n in range(200)]
    path.write_bytes(content[:start] + b"".join(names) + bytes(tail))
    with pytest.raises(Refused):
        unpacked(path, "", WANTED)


def test_packed_too_deep_is_refused(tmp_path: Path) -> None:
    content = b"a\n"
    for _ in range(6):
        content = gzip.compress(content)
    (tmp_path / "a.gz").write_bytes(content)
    with pytest.raises(Refused, match="packed too deep"):
        unpacked(tmp_path / "a.gz", "", WANTED)


@pytest.mark.parametrize("ending", CODECS)
def test_what_is_cut_off_is_refused_with_how_far_it_was_good(ending: str, tmp_path: Path) -> None:
    content = CODECS[ending](os.urandom(3 << 20))
    path = tmp_path / f"a.csv{ending}"
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(Refused, match=r"is damaged or cut off: after [\d,]+ bytes of what it holds"):
        unpacked(path, "", WANTED)


def test_archives_that_are_cut_off_are_refused(tmp_path: Path) -> None:
    whole = zipped(tmp_path / "a.zip", {"a.csv": os.urandom(1000), "b.csv": b"b\n"}).read_bytes()
    for size in range(4, len(whole) - 1, 50):
        (tmp_path / "a.zip").write_bytes(whole[:size])
        with pytest.raises(Refused, match="damaged or cut off"):
            unpacked(tmp_path / "a.zip", "", WANTED)
    whole = tarred({"a.csv": os.urandom(1000), "b.csv": b"b\n"})
    for size in range(512, 3 * 1024, 300):
        (tmp_path / "a.tar").write_bytes(whole[:size])
        with pytest.raises(Refused, match="damaged or cut off"):
            unpacked(tmp_path / "a.tar", "", WANTED)


def test_something_inside_a_file_that_is_no_archive_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a\n")
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(b"a\n"))
    for name in ("a.csv", "a.csv.gz"):
        with pytest.raises(Refused, match="is no archive"):
            unpacked(tmp_path / name, "b.csv", WANTED)
