from pathlib import Path

import pytest
from shared_data import shared

from affina.core.errors import Refused
from affina.core.kinds import Record
from affina.data.encoding import detect, judged, open_text
from affina.data.readers.text import PlainText
from affina.data.recognise import reader_for
from affina.data.tiles import recount


@pytest.mark.parametrize(
    ("content", "name"),
    [
        ("perché".encode(), "utf-8"),
        ("perché".encode("utf-8-sig"), "utf-8-sig"),
        ("perché no".encode("utf-16"), "utf-16"),
        ("perché no".encode("utf-16-le"), "utf-16-le"),
        ("perché no".encode("utf-16-be"), "utf-16-be"),
        ("perché no".encode("utf-32"), "utf-32"),
        ("perché no".encode("utf-32-le"), "utf-32-le"),
        ("perché no".encode("utf-32-be"), "utf-32-be"),
        ("perché costa 3 €".encode("cp1252"), "cp1252"),
        (b"perch\xe9 \x81", "latin_1"),
    ],
)
def test_each_encoding_is_named(tmp_path: Path, content: bytes, name: str) -> None:
    (tmp_path / "a.txt").write_bytes(content)
    found = detect(tmp_path / "a.txt")
    assert found.name == name
    assert bool(found.note) == (name in ("cp1252", "latin_1"))
    with open_text(tmp_path / "a.txt") as file:
        assert file.read().startswith("perché")


@pytest.mark.parametrize(
    ("text", "name"), [("日本語です", "iso2022_jp"), ("안녕하세요", "iso2022_kr"), ("我们都是中国人", "hz")]
)
def test_seven_bits_that_switch_letters_are_no_ascii(tmp_path: Path, text: str, name: str) -> None:
    (tmp_path / "a.txt").write_bytes(f"words and {text}".encode(name))
    assert detect(tmp_path / "a.txt").name == name
    with open_text(tmp_path / "a.txt") as file:
        assert file.read() == f"words and {text}"


def test_letters_that_come_late_tell_the_encoding_and_the_whole_file_must_decode(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"words\n" * 500_000 + "Привет, мир\n".encode("koi8_r") * 3)
    found = detect(path)
    assert found.name == "koi8_r" and "a guess by its letters" in found.note
    path.write_bytes("perché è così\n".encode("cp1252") * 20_000 + b"\x81\n")  # which cp1252 does not have
    assert detect(path).name == "latin_1"


@pytest.mark.parametrize("end", [b"\n", b"\r", b""])
def test_a_few_broken_bytes_do_not_make_utf_8_another_encoding(tmp_path: Path, end: bytes) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(("perché è così" * 10).encode() + end + b"perch\xe9 \x81" + end)
    for given in (None, "utf-8"):
        found = detect(path, given)
        assert (found.name, found.errors) == ("utf-8", "surrogateescape")
        assert "UTF-8 but for a few bytes" in found.note
    records = [
        Record("perch\udce9", "f", 1),
        Record({"a": ["perché"]}, "f", 2),
        Record({"a": ["\udc81"]}, "f", 3, "no"),
    ]
    assert [each.problem for each in judged(iter(records), "surrogateescape")] == [
        "it holds bytes that are not UTF-8",
        "",
        "no",
    ]
    assert list(judged(iter(records), "strict")) == records


ROW = "perché è così, là giù"
DAMAGED = {
    "rows.csv": ["text,label", *[f'"{ROW}",a'] * 9, "BROKEN,b"],
    "rows.jsonl": [*[f'{{"text": "{ROW}"}}'] * 9, '{"text": "BROKEN"}'],
    "rows.json": ["[", *[f'{{"text": "{ROW}"}},'] * 9, '{"text": "BROKEN"}]'],
    "rows.conll": [*["perché\tO", "sì\tO", ""] * 9, "BROKEN\tO"],
    "rows.txt": [*[ROW] * 9, "BROKEN"],
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_broken_byte_costs_its_own_record(tmp_path: Path, name: str) -> None:
    written = "\n".join(DAMAGED[name]).encode()
    (tmp_path / name).write_bytes(written.replace(b"BROKEN", b"caff\xe8"))
    reader, _ = reader_for(tmp_path / name, PlainText(by="line") if name == "rows.txt" else None)
    records = list(reader.records(tmp_path / name))
    assert [bool(record.problem) for record in records] == [False] * 9 + [True]
    assert "bytes that are not UTF-8" in records[-1].problem
    assert recount(reader, tmp_path / name) == 10


def test_a_file_that_changes_is_looked_at_again(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes("perché".encode())
    assert detect(path).name == "utf-8"
    path.write_bytes("perché no".encode("cp1252"))
    assert detect(path).name == "cp1252"


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
        (bytes(4096), "is binary"),
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
    assert found.name == "latin_1"
    assert "is not UTF-8" in found.note
