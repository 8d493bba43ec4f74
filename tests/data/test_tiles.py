"""Records and what stands between tile a text file, in any encoding; a reader that passes one over is found out."""

import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from affina.core.errors import Failed
from affina.core.kinds import Reader, Record, Span
from affina.core.recipe import Data
from affina.data.offsets import measure
from affina.data.prepare import read_examples
from affina.data.readers.csv import Csv
from affina.data.readers.jsonl import Jsonl
from affina.data.recognise import reader_for
from affina.data.tiles import CHUNK, Tiles, recount

ENDS = ("\n", "\r\n", "\r")
ENCODINGS = (
    "utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "latin_1", "cp1252", "cp437", "cp037",
    "gb18030", "big5", "shift_jis", "euc_jp", "euc_kr", "iso2022_jp", "iso2022_kr", "utf-7", "hz",
)  # fmt: skip
LETTERS = {"gb18030": "汉字𝄞", "big5": "漢字", "shift_jis": "漢字ｶﾅ", "euc_jp": "漢字", "iso2022_jp": "漢字"}
LETTERS |= {"euc_kr": "한글", "iso2022_kr": "한글", "hz": "汉字~"}
TABLE = '# said before\nname,text\nä,"one\ntwo, ""three"""\n\nb,x,y\nc,bad "quote"\nd,"open\ne,last'


def found(reader: Reader, path: Path) -> list[str]:
    """The bytes of each record as text, decoded as part of nothing."""
    stretches, content = reader.stretches(path), path.read_bytes()
    assert stretches is not None
    spans = [record.span for record in reader.records(path)]
    return [content[span.start : span.stop].decode(stretches.codec) for span in spans if span]


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_the_bytes_of_a_row_are_the_row(tmp_path: Path, encoding: str, end: str) -> None:
    path = tmp_path / "rows.csv"
    table = TABLE.replace("ä", LETTERS.get(encoding, "ä")).replace("\n", end)
    path.write_bytes(table.encode(encoding))
    reader = Csv(separator=",", quote='"', escape="", comment="#", header=True, encoding=encoding)
    rows = table.split(end)
    assert found(reader, path) == [
        f"{rows[2]}{end}{rows[3]}{end}", *(f"{row}{end}" for row in rows[5:8]), rows[8]
    ]  # fmt: skip
    assert recount(reader, path) == 5


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "latin_1"])
def test_the_bytes_of_lines_paragraphs_and_sentences_are_theirs(tmp_path: Path, encoding: str, end: str) -> None:
    texts = {
        "a.jsonl": ('\n{"a": "ä"}\n  \nnot json\n"b"', ['{"a": "ä"}\n', "not json\n", '"b"']),
        "line.txt": ("ä b\n\n\nc\n", ["ä b\n", "c\n"]),
        "paragraph.txt": ("\nä\nb\n \nc", ["ä\nb\n", "c"]),
        "a.conll": (
            "-DOCSTART- O\n\n# ä b c\nIl DET\ncane NOUN\n\nwrong\ntwo X\n",
            ["# ä b c\nIl DET\ncane NOUN\n", "wrong\ntwo X\n"],
        ),
        "a.ft": ("__label__a ä\n\n__label__b c", ["__label__a ä\n", "__label__b c"]),
    }
    for name, (text, expected) in texts.items():
        path = tmp_path / name
        path.write_bytes(text.replace("\n", end).encode(encoding))
        reader, _ = reader_for(path)
        if name.endswith("txt"):
            reader = reader.model_copy(update={"by": name.removesuffix(".txt")})
        assert found(reader, path) == [each.replace("\n", end) for each in expected], name
        assert recount(reader, path) == len(expected)


def test_broken_utf_8_keeps_its_bytes(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    lines = ['{"text": "perché no, così è già più sì"}\n'.encode()] * 20
    lines[7] = lines[7].replace("é".encode(), b"\xe9")
    path.write_bytes(b"".join(lines))
    records = [*Jsonl().records(path)]
    assert [record.problem != "" for record in records] == [place == 7 for place in range(20)]
    size = len(lines[0])
    starts = [at * size - (at > 7) for at in range(21)]  # the eighth line is a byte shorter
    assert [record.span for record in records] == [Span(*pair) for pair in pairwise(starts)]
    assert recount(Jsonl(), path) == 20


def test_where_lines_cannot_be_measured_no_bytes_are_told(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    for encoding, content in (("utf-7", b'{"a": "+AOQ-"}+AAo-{}\n'), ("hz", b'{"a": ~\n"b"}\n{}\n')):
        path.write_bytes(content)
        reader = Jsonl(encoding=encoding)
        assert [(record.values, record.span) for record in reader.records(path)][1] == ({}, None)
        assert reader.stretches(path) is None and recount(reader, path) is None


def test_what_stands_between_may_be_larger_than_a_piece(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'{"a": 1}\n' + b" \r\n" * (CHUNK // 2) + b'{"a": 2}\n' + b"\n" * 9)
    assert recount(Jsonl(), path) == 2


class Faulty(Jsonl):
    """Does to the records of a file what a fault of a reader would."""

    fault: str = ""

    def records(self, path: Path) -> Iterator[Record]:
        kept = [*super().records(path)]
        if self.fault == "lost":
            del kept[1]
        elif self.fault == "first":
            del kept[0]
        elif self.fault == "last":
            del kept[-1]
        elif self.fault == "twice":
            kept.insert(1, kept[1])
        elif self.fault == "turned":
            kept.reverse()
        elif self.fault == "beyond":
            kept[-1] = Record({}, str(path), 3, span=Span(18, 28))
        elif self.fault == "merged":
            kept[1:] = [Record({}, str(path), 2, span=Span(9, 27, 2))]
        yield from kept


@pytest.mark.parametrize("fault", ["lost", "first", "last", "merged"])
def test_a_lost_or_merged_record_is_counted(tmp_path: Path, fault: str) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'{"a": 1}\n' * 3)
    reader = Faulty(fault=fault)
    assert recount(reader, path) == 3 != len([*reader.records(path)])


@pytest.mark.parametrize("fault", ["twice", "turned", "beyond"])
def test_bytes_of_two_records_or_of_none_are_refused(tmp_path: Path, fault: str) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'{"a": 1}\n' * 3)
    reader = Faulty(fault=fault)
    stretches = reader.stretches(path)
    assert stretches is not None
    with pytest.raises(Failed, match=r"does not add up.* byte"):
        list(Tiles(path, stretches).watched(reader.records(path)))


def test_the_quarantine_tells_the_bytes(tmp_path: Path) -> None:
    """Of a compressed file those of what it holds."""
    import gzip

    content = b'{"prompt": "a", "completion": "b"}\n' * 3 + b"broken\n" + b'{"prompt": "c", "completion": "d"}\n'
    (tmp_path / "rows.jsonl").write_bytes(content)
    (tmp_path / "rows.jsonl.gz").write_bytes(gzip.compress(content))
    for name in ("rows.jsonl", "rows.jsonl.gz"):
        prepared = read_examples(Data(read=[name]), tmp_path)
        prepared.ledger.write(tmp_path)
        row = json.loads((tmp_path / "quarantine.jsonl").read_text(encoding="utf-8"))
        assert content[slice(*row["bytes"])] == b"broken\n" and row["line"] == 4


def test_every_codec_of_one_byte_is_known(tmp_path: Path) -> None:
    from affina.data.encoding import Encoding

    path = tmp_path / "x"
    path.write_bytes(b"x")
    for name in ("ascii", "latin_1", "cp1251", "koi8_r", "mac_roman", "iso8859_15", "cp500", "tis_620", "ptcp154"):
        measured = measure(path, Encoding(name))
        assert measured and measured.sizes(["abc\n", "d"]) == [4, 1], name
    for name, content in (("utf_7", b"+2D3eAAAK-x"), ("hz", b"~{VP~\n"), ("unicode_escape", b"a\\nb\nc")):
        path.write_bytes(content)
        assert measure(path, Encoding(name)) is None, name
