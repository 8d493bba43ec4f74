"""The law of readers: twice the same, every record says where it stood, and what is no text is refused."""

import io
import sqlite3
from pathlib import Path
from typing import Any

import made_files
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from affina.core.errors import Refused
from affina.core.kinds import readers


def parquet() -> bytes:
    held = io.BytesIO()
    pq.write_table(pa.table({"text": ["first words", "other words"]}), held)
    return held.getvalue()


def arrow() -> bytes:
    held, rows = io.BytesIO(), pa.table({"text": ["first words", "other words"]})
    with pa.ipc.new_file(held, rows.schema) as writer:
        writer.write(rows)
    return held.getvalue()


def sqlite() -> bytes:
    with sqlite3.connect(":memory:") as connection:
        connection.execute("create table rows (text)")
        connection.execute("insert into rows values ('first words'), ('other words')")
    content = connection.serialize()
    connection.close()
    return content


SOUND: dict[str, Any] = {
    ".ft": "__label__a first words\n__label__b other words\n",
    ".csv": "text,label\nfirst words,a\nother words,b\n",
    ".jsonl": '{"text": "first words"}\n{"text": "other words"}\n',
    ".json": '[{"text": "first words"},\n{"text": "other words"}]',
    ".txt": "first words\n\nother words\n",
    ".conll": "first\tO\nwords\tO\n\nother\tO\nwords\tO\n",
    ".en": "first words\nother words\n",
    ".parquet": parquet,
    ".arrow": arrow,
    ".sqlite": sqlite,
    ".md": "# A title\n\nfirst words\n",
    ".rst": "A title\n=======\n\nfirst words\n",
    ".html": "<!doctype html><title>t</title><h1>A title</h1><p>first words</p>",
    ".xml": '<rows><row a="1">first</row>\n<row a="2">other</row></rows>',
    ".pdf": made_files.pdf(["first words", "other words"]),
    ".docx": made_files.docx(("Heading 1", "A title"), ("Normal", "first words")),
    ".epub": made_files.epub({"one.xhtml": made_files.xhtml("<p>first words</p>")}),
    ".xlsx": made_files.xlsx([["text", "label"], ["first words", "a"], ["other words", "b"]]),
}


def written(name: str, content: bytes, suffix: str, folder: Path) -> list[Path]:
    """As many files as the reader reads as one; of the second on, the ending is another."""
    paths = [
        folder / f"rows{suffix}{'' if not number else f'.x{number}'}" for number in range(readers.find(name).files)
    ]
    for path in paths:
        path.write_bytes(content)
    return paths


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
    sound = SOUND[suffix]
    paths = written(
        name,
        sound.encode() if isinstance(sound, str) else sound if isinstance(sound, bytes) else sound(),
        suffix,
        tmp_path,
    )
    settled, _ = readers.build(name).look(paths[0])
    records = list(settled.together(paths))
    assert records == list(readers.build(name).together(paths))
    assert records and not any(record.problem for record in records)
    assert {record.file for record in records} == {str(paths[0])}
    assert settled.count(paths[0]) in (len(records), None)
    lines = [record.line for record in records]
    assert lines == sorted(lines) and lines[0] >= 1


@pytest.mark.parametrize("content", [None, b"", b"\x89PNG\r\n\x1a\n\0\0", b"\x00\x01\x02\x03\x04\xff\xfe"])
@pytest.mark.parametrize("name", readers.names())
def test_an_absent_an_empty_and_a_binary_file_are_refused(name: str, content: bytes | None, tmp_path: Path) -> None:
    paths = written(name, content or b"", "", tmp_path)
    if content is None:
        for path in paths:
            path.unlink()
    with pytest.raises(Refused, match="rows"):
        list(readers.build(name).together(paths))
