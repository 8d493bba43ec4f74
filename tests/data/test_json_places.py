"""The records of a JSON document have bytes of their own, and a reader that does not give just these is found out."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from affina.core.errors import Failed
from affina.core.kinds import Record, Span
from affina.data.json_places import width
from affina.data.readers.json import Json
from affina.data.tiles import recount

ROWS: list[Any] = [{"à": "però, [1]"}, {"à": '"\\\\"'}, {"à": "]},\n\\"}, {}, {"à": [{"à": 1}, [2]]}]
LAYOUTS: dict[str, Any] = {
    "a list": ROWS,
    "a list of anything": ["città, [", 3, -1.5e3, None, True, [], [[1], 2], *ROWS, "\\"],
    "one list of an object": {"più": "x, [", "è": {"à": [{"a": 1}]}, "righe": ROWS, "n": [1, 2]},
    "members": {f'k"{number}': row for number, row in enumerate(ROWS)},
    "a document": {"à": "x", "turns": [{"role": "user", "content": "y"}]},
}
NESTED = {
    "perché": 1,
    "data": [
        {"title": "à", "paragraphs": [{"context": "è", "qas": [{"q": "1, ]"}, {"q": "2"}]}, {"qas": []}]},
        {"paragraphs": [{"context": "no list"}, {"qas": [{"q": "3"}, 4, "5"]}, {"qas": [1], "x": 2}]},
        {"nothing": []},
    ],
}
ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "utf-16-be", "utf-32", "latin_1", "cp1252", "mac_roman")


def pieces(path: Path, reader: Json, codec: str) -> list[Any]:
    """The values of the bytes of each record, decoded as part of nothing."""
    content = path.read_bytes()
    spans = [record.span for record in reader.records(path)]
    return [json.loads(content[span.start : span.stop].decode(codec)) for span in spans if span]


@pytest.mark.parametrize("indent", [None, 1])
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_the_bytes_of_a_record_are_the_record(tmp_path: Path, encoding: str, indent: int | None) -> None:
    path, reader = tmp_path / "rows.json", Json(encoding=encoding)
    codec = {"utf-16": "utf-16-le", "utf-32": "utf-32-le", "utf-8-sig": "utf-8"}.get(encoding, encoding)
    for document in LAYOUTS.values():
        path.write_bytes(json.dumps(document, ensure_ascii=False, indent=indent).encode(encoding))
        values = [record.values for record in reader.records(path)]
        assert pieces(path, reader, codec) == values and recount(reader, path) == len(values)
    path.write_bytes("\n".join(json.dumps(row, indent=indent) for row in ROWS).encode(encoding))
    assert pieces(path, reader, codec) == ROWS and recount(reader, path) == len(ROWS)


@pytest.mark.parametrize("each", ["data[].paragraphs[].qas[]", "data[].paragraphs[]", "data[]", "perché[]"])
def test_records_in_lists_in_lists_have_theirs(tmp_path: Path, each: str) -> None:
    path, reader = tmp_path / "rows.json", Json(each=each)
    path.write_text(json.dumps(NESTED, ensure_ascii=False, indent=2), encoding="utf-8")
    found = [*reader.records(path)]
    assert recount(reader, path) == len(found) > 0
    for record, written in zip(found, pieces(path, reader, "utf-8"), strict=True):
        if isinstance(written, dict) and not record.problem:
            assert {key: record.values[key] for key in written} == written
    path.write_text(json.dumps(NESTED, ensure_ascii=False), encoding="utf-16")
    assert {record.span for record in reader.records(path)} == {None} and recount(reader, path) == len(found)


def test_where_a_bracket_may_be_half_a_letter_records_are_counted_without_bytes(tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    for codec in ("shift_jis", "gb18030", "iso2022_jp", "utf_7", "cp037"):
        path.write_bytes(
            json.dumps(["表[", {"a": "表"}] if codec != "cp037" else ["é[", {}], ensure_ascii=False).encode(codec)
        )
        assert width(codec) == 0
        assert {record.span for record in Json(encoding=codec).records(path)} == {None}
        assert recount(Json(encoding=codec), path) == 2


def test_columns_are_counted_each(tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    for document in ({"a": [1, 2], "b": ["x,", "]"]}, {"a": {"0": "x", "1": ","}, "b": {"0": "", "1": "}"}}):
        path.write_text(json.dumps(document))
        assert [record.span for record in Json().records(path)] == [None, None]
        assert Json().count(path) == recount(Json(), path) == 2


class Faulty(Json):
    """Does to the records of a file what a fault of a reader would."""

    fault: str = ""

    def records(self, path: Path) -> Iterator[Record]:
        kept = [*super().records(path)]
        spans = [record.span or Span(0, 0) for record in kept]
        if self.fault in ("lost", "first", "last"):
            del kept[{"lost": 1, "first": 0, "last": -1}[self.fault]]
        elif self.fault == "twice":
            kept.insert(1, kept[1])
        elif self.fault == "turned":
            kept.reverse()
        elif self.fault == "exchanged":
            kept[1:3] = [kept[1], kept[1]]
        elif self.fault == "merged":
            kept[1:3] = [replace(kept[1], span=Span(spans[1].start, spans[2].stop))]
        elif self.fault == "halved":
            half = spans[1].start + 2
            kept[1:2] = [replace(kept[1], span=Span(*span)) for span in ((spans[1].start, half), (half, spans[1].stop))]
        elif self.fault == "halved and lost":
            half = spans[1].start + 2
            kept[1:3] = [replace(kept[1], span=Span(*span)) for span in ((spans[1].start, half), (half, spans[1].stop))]
        elif self.fault == "short":
            kept[1] = replace(kept[1], span=Span(spans[1].start, spans[1].stop - 1))
        yield from kept


@pytest.mark.parametrize("layout", ["a list", "one list of an object", "members", "nested"])
@pytest.mark.parametrize(
    "fault",
    ["lost", "first", "last", "twice", "turned", "exchanged", "merged", "halved", "halved and lost", "short"],
)
def test_a_fault_of_the_reader_is_found_out(tmp_path: Path, fault: str, layout: str) -> None:
    path = tmp_path / "rows.json"
    path.write_text(json.dumps({**LAYOUTS, "nested": NESTED}[layout], ensure_ascii=False), encoding="utf-8")
    reader = Faulty(fault=fault)
    try:
        count = recount(reader, path)
    except Failed as error:
        assert "does not add up" in str(error)
    else:
        assert fault == "last" and count == len([*reader.records(path)]) + 1


def test_a_row_that_columns_lose_is_counted(tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    path.write_text('{"a": [1, 2, 3], "b": [4, 5, 6]}')
    for fault in ("lost", "last", "twice"):
        reader = Faulty(fault=fault)
        assert recount(reader, path) == 3 != len([*reader.records(path)])


def test_a_long_string_and_many_escapes_keep_their_places(tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    rows = [{"a": "\\" * 900_000}, {"a": '"' * 600_001 + "\\"}, {"a": "], [" * 300_000}]
    path.write_text(json.dumps([*rows, *rows]))
    assert recount(Json(), path) == 6
