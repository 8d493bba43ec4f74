from pathlib import Path

import pytest

from affina.core.atomic import sha256
from affina.core.errors import Refused
from affina.core.kinds import readers
from affina.data.files import listed, short_names


def tree(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("a,b\n")


def names(read: list[str], folder: Path) -> list[str]:
    return [str(path.relative_to(folder)) for path in listed(read, folder)[0]]


def test_files_folders_and_patterns_give_each_file_once_in_order(tmp_path: Path) -> None:
    tree(tmp_path, "b.csv", "a.csv", "more/c.csv", "more/deep/d.tsv", "more/.hidden/e.csv", "more/notes.zip")
    assert names(["b.csv", "a.csv"], tmp_path) == ["b.csv", "a.csv"]
    assert names(["*.csv", "b.csv"], tmp_path) == ["a.csv", "b.csv"]
    assert names(["more"], tmp_path) == ["more/c.csv", "more/deep/d.tsv"]
    assert names(["**/*.csv"], tmp_path) == ["a.csv", "b.csv", "more/c.csv"]
    assert listed(["more"], tmp_path)[1] == [f"{tmp_path / 'more'}: not read: notes.zip"]


def test_a_path_without_files_is_refused_with_the_nearest_name(tmp_path: Path) -> None:
    tree(tmp_path, "tickets.csv", "other/a.zip")
    for entry, why in [
        ("ticket.csv", "did you mean 'tickets.csv'"),
        ("gone/a.csv", "its folder"),
        ("*.xml", "no file matches"),
        ("other", "holds no file that can be read"),
    ]:
        with pytest.raises(Refused, match=why):
            listed([entry], tmp_path)


def test_a_folder_of_texts_and_rows_is_refused_unless_a_reader_chooses(tmp_path: Path) -> None:
    tree(tmp_path, "data/a.csv", "data/readme.md")
    with pytest.raises(Refused, match=r"both texts \(1\) and files of rows \(1\)"):
        listed(["data"], tmp_path)
    assert listed(["data"], tmp_path, readers.build("csv"))[0] == [tmp_path / "data/a.csv"]


def test_short_names_tell_files_apart(tmp_path: Path) -> None:
    paths = [tmp_path / "a/train.csv", tmp_path / "b/train.csv", tmp_path / "c.csv"]
    assert list(short_names(paths).values()) == ["a/train.csv", "b/train.csv", "c.csv"]


def test_the_hash_is_sha_256(tmp_path: Path) -> None:
    (tmp_path / "abc").write_bytes(b"abc")
    # FIPS 180-2, appendix B.1
    assert sha256(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
