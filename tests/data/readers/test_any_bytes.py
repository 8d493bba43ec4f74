"""Whatever bytes a file holds, each reader of text gives records that it counts twice, in order, or one sentence."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from affina.core.errors import Refused
from affina.core.kinds import readers
from affina.data.recognise import reader_for
from affina.data.tiles import recount

READERS: tuple[dict[str, Any] | None, ...] = (
    {"name": "csv"},
    {"name": "json"},
    {"name": "jsonl"},
    {"name": "text"},
    {"name": "text", "by": "line"},
    {"name": "text", "by": "paragraph"},
    {"name": "conll"},
    None,
)
USUAL = (b"\n", b"\r\n", b",", b";", b'"', b'{"a": 1}\n', b"[1,2]", b"a\tO\n", b"text,label\n", b"1,2,3\n", b"# c\n")
RARE = (b"\xef\xbb\xbf", b"\xff\xfe", b"perch\xe9 ", "perché ".encode(), b"\x1b$B", b"\0", b"sep=;\n", b"~{!!~}")
PIECES = st.binary(max_size=20) | st.text(max_size=12).map(str.encode) | st.sampled_from(USUAL + RARE)


@settings(deadline=None, max_examples=60)
@given(content=st.lists(PIECES, max_size=12).map(b"".join))
def test_the_outcome_is_records_or_a_sentence(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any"
    path.write_bytes(content)
    for spec in READERS:
        try:
            reader, reason = reader_for(path, readers.build(spec) if spec else None)
            records = list(reader.records(path))
        except Refused as error:
            assert "\n" not in str(error)
        else:
            assert "\n" not in reason
            assert recount(reader, path) == len(records) > 0
            assert [record.line for record in records] == sorted(record.line for record in records)


ROWS = {
    "rows.csv": (b"text,label\n", b'"some ""words"", and more of them",x\n'),
    "rows.jsonl": (b"", b'{"text": "some \\"words\\", and more of them", "label": "x"}\n'),
    "rows.conll": (b"", b"some\tO\n" + b"considerably-longer-words\tB-X\n" * 9 + b"\n"),
    "rows.txt": (b"", "perché no, se è così\n\n".encode("cp1252")),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", ROWS)
def test_sixty_megabytes_are_read_in_less(name: str, tmp_path: Path) -> None:
    """Peak memory in a process of its own, above what it has when the reader is imported."""
    path, (first, row) = tmp_path / name, ROWS[name]
    times = 60_000_000 // len(row)
    with path.open("wb") as file:
        file.write(first)
        for _ in range(times // 10_000):
            file.write(row * 10_000)
    program = (
        "import resource, sys; from pathlib import Path; from affina.core.kinds import readers\n"
        "from affina.data.tiles import recount\n"
        "reader = readers.build({'name': sys.argv[2]} | ({'by': 'line'} if sys.argv[2] == 'text' else {}))\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss; began = peak(); path = Path(sys.argv[1])\n"
        "print(sum(1 for _ in reader.records(path)), recount(reader, path), (peak() - began) // 1024)"
    )
    kind = "text" if name.endswith("txt") else path.suffix[1:]
    done = subprocess.run([sys.executable, "-c", program, str(path), kind], capture_output=True, text=True, check=True)
    records, counted, mebibytes = map(int, done.stdout.split())
    assert records == counted == times // 10_000 * 10_000
    assert mebibytes < 40
