from pathlib import Path

import pytest
from shared_data import shared

from affina.core.errors import Refused
from affina.data.encoding import detect, open_text


@pytest.mark.parametrize(
    ("content", "name"),
    [
        ("perché".encode(), "utf-8"),
        ("perché".encode("utf-8-sig"), "utf-8-sig"),
        ("perché no".encode("utf-16"), "utf-16"),
        ("perché no".encode("utf-16-le"), "utf-16-le"),
        ("perché no".encode("utf-16-be"), "utf-16-be"),
        ("perché no".encode("utf-32"), "utf-32"),
        ("perché costa 3 €".encode("cp1252"), "cp1252"),
        (b"perch\xe9 \x81", "latin-1"),
    ],
)
def test_each_encoding_is_named(tmp_path: Path, content: bytes, name: str) -> None:
    (tmp_path / "a.txt").write_bytes(content)
    found = detect(tmp_path / "a.txt")
    assert found.name == name
    assert bool(found.note) == (name in ("cp1252", "latin-1"))
    with open_text(tmp_path / "a.txt") as file:
        assert file.read().startswith("perché")


def test_a_byte_order_mark_is_no_letter_even_where_utf_8_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes("perché".encode("utf-8-sig"))
    with open_text(tmp_path / "a.txt", "UTF8") as file:
        assert file.read() == "perché"


def test_a_letter_across_two_chunks_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"a" * ((1 << 20) - 1) + "è".encode())
    assert detect(tmp_path / "a.txt").name == "utf-8"


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "is empty"),
        (b"\xff\xfea", "should be utf-16 by its first bytes"),
        (b"\x1f\x8b\x08\x00", "gzip-compressed"),
        (b"%PDF-1.4 x", "a PDF"),
        (b"\x01\x02\x03 words", "is binary"),
        (b"words \xff\x00 words", "is binary"),
    ],
)
def test_what_is_no_text_is_refused_in_a_sentence(tmp_path: Path, content: bytes, why: str) -> None:
    (tmp_path / "a.txt").write_bytes(content)
    with pytest.raises(Refused, match=why):
        detect(tmp_path / "a.txt")


def test_an_absent_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "absent", tmp_path):
        with pytest.raises(Refused, match="cannot be read"):
            detect(path)


def test_real_latin_1_is_read_with_a_note() -> None:
    found = detect(shared("data", "tweets_trump_obama", "BarackObama.csv"))
    assert found.name in ("cp1252", "latin-1")
    assert "is not UTF-8" in found.note
