"""The law of readers: twice the same, every record says where it stood, and what is no text is refused."""

from pathlib import Path

import pytest

from affina.core.errors import Refused
from affina.core.kinds import readers

SOUND = {
    ".csv": "text,label\nfirst words,a\nother words,b\n",
    ".jsonl": '{"text": "first words"}\n{"text": "other words"}\n',
    ".json": '[{"text": "first words"},\n{"text": "other words"}]',
    ".txt": "first words\n\nother words\n",
}


@pytest.mark.parametrize("name", readers.names())
def test_a_reader_builds_from_defaults_round_trips_and_is_documented(name: str) -> None:
    part = readers.build(name)
    assert readers.build(readers.dump(part)) == part
    assert type(part).__doc__
    assert all(field.description for field in type(part).model_fields.values())
    assert len(type(part).model_fields) <= 10


@pytest.mark.parametrize("name", readers.names())
def test_a_reader_claims_endings_that_no_other_claims(name: str) -> None:
    own = readers.find(name).suffixes
    assert own and all(suffix.startswith(".") and suffix == suffix.lower() for suffix in own)
    others = [suffix for other in readers.names() if other != name for suffix in readers.find(other).suffixes]
    assert not set(own) & set(others)


@pytest.mark.parametrize("name", readers.names())
def test_records_come_in_order_with_file_and_line_and_twice_the_same(name: str, tmp_path: Path) -> None:
    suffix = next(suffix for suffix in readers.find(name).suffixes if suffix in SOUND)
    path = tmp_path / f"rows{suffix}"
    path.write_text(SOUND[suffix])
    settled, _ = readers.build(name).look(path)
    records = list(settled.records(path))
    assert records == list(readers.build(name).records(path))
    assert records and not any(record.problem for record in records)
    assert {record.file for record in records} == {str(path)}
    lines = [record.line for record in records]
    assert lines == sorted(lines) and lines[0] >= 1


@pytest.mark.parametrize("content", [None, b"", b"\x89PNG\r\n\x1a\n\0\0", b"\x00\x01\x02\x03\x04\xff\xfe"])
@pytest.mark.parametrize("name", readers.names())
def test_an_absent_an_empty_and_a_binary_file_are_refused(name: str, content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "rows"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(Refused, match="rows"):
        list(readers.build(name).records(path))
