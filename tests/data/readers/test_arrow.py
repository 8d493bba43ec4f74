import random
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.ipc as ipc
import pytest

from affina.core.errors import Refused
from affina.core.kinds import Record, readers

TABLE = pa.table(
    {
        "text": ["uno", "due", None],
        "label": pa.array(["a", "b", "a"]).dictionary_encode(),
        "turns": [[{"role": "user", "content": "a"}], [], None],
        "when": pa.array([0, 1, None], pa.timestamp("ms")),
    }
)
OPENING = {"file": ipc.new_file, "stream": ipc.new_stream}


def written(path: Path, kind: str, *tables: pa.Table, **how: Any) -> Path:
    with OPENING[kind](str(path), tables[0].schema, options=ipc.IpcWriteOptions(**how)) as writer:
        for table in tables:
            writer.write_table(table)
    return path


def read(path: Path, **fields: Any) -> list[Record]:
    return list(readers.build({"name": "arrow", **fields}).records(path))


@pytest.mark.parametrize("how", [{}, {"compression": "zstd"}, {"compression": "lz4"}])
@pytest.mark.parametrize("kind", OPENING)
def test_files_and_streams_give_the_same_plain_rows(kind: str, how: dict[str, str], tmp_path: Path) -> None:
    path = written(tmp_path / "a.arrow", kind, TABLE, TABLE.slice(1), **how)
    found = read(path)
    assert found[0].values == {
        "text": "uno",
        "label": "a",
        "turns": [{"role": "user", "content": "a"}],
        "when": "1970-01-01 00:00:00",
    }
    assert [record.values["text"] for record in found] == ["uno", "due", None, "due", None]
    assert [record.line for record in found] == [1, 2, 3, 4, 5]
    assert readers.build("arrow").count(path) == 5
    assert read(path, columns=["label"])[1].values == {"label": "b"}


@pytest.mark.parametrize("compression", ["uncompressed", "lz4", "zstd"])
def test_feather_is_read(compression: str, tmp_path: Path) -> None:
    feather.write_feather(TABLE, str(tmp_path / "a.feather"), compression=compression, chunksize=2)
    assert [record.values["text"] for record in read(tmp_path / "a.feather")] == ["uno", "due", None]
    assert readers.build("arrow").count(tmp_path / "a.feather") == 3


def test_a_long_batch_is_read_in_pieces_and_in_order(tmp_path: Path) -> None:
    path = written(
        tmp_path / "a.arrow", "file", pa.table({"n": range(10_000), "text": [f"row {n}" for n in range(10_000)]})
    )
    assert [(record.line, record.values["n"]) for record in read(path)] == [(n + 1, n) for n in range(10_000)]


def test_bytes_that_are_no_text_are_a_problem_of_their_row(tmp_path: Path) -> None:
    cells = pa.array([b"sound", b"\xff\xfe", None, b"sound too"])
    text = pa.Array.from_buffers(pa.string(), 4, cells.buffers())
    found = read(written(tmp_path / "a.arrow", "stream", pa.table({"text": text})))
    assert [record.values["text"] for record in found] == ["sound", None, None, "sound too"]
    assert [record.problem for record in found] == ["", "column 'text' holds 2 bytes that are no text", "", ""]


def test_offsets_that_lead_nowhere_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "a.arrow", "file", pa.table({"text": ["abc", "de"]}))
    content, offsets = path.read_bytes(), struct.pack("<iii", 0, 3, 5)
    assert content.count(offsets) == 1
    for wrong in ((0, 1 << 30, 5), (0, 3, 1 << 30), (0, -8, 5), (0, 6, 5)):
        path.write_bytes(content.replace(offsets, struct.pack("<iii", *wrong)))
        with pytest.raises(Refused, match="cannot be read as Arrow"):
            read(path)


def test_files_without_rows_and_files_of_another_kind_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="holds no rows"):
        read(written(tmp_path / "a.arrow", "file", TABLE.slice(0, 0)))
    (tmp_path / "b.arrow").write_text("text,label\n")
    with pytest.raises(Refused, match="is no Arrow file"):
        read(tmp_path / "b.arrow")
    (tmp_path / "c.feather").write_bytes(b"FEA1" + bytes(60))
    with pytest.raises(Refused, match="is a Feather V1 file"):
        read(tmp_path / "c.feather")


@pytest.mark.parametrize("kind", OPENING)
def test_a_file_cut_off_is_refused_and_a_stream_between_batches_is_said_to_have_no_end(
    kind: str, tmp_path: Path
) -> None:
    """A stream may be closed without a mark (Arrow Columnar Format, IPC Streaming Format): whole batches are read."""
    whole = written(tmp_path / "a.arrow", kind, TABLE, TABLE).read_bytes()
    lengths = set()
    for size in range(8, len(whole) - 7, 8):
        (tmp_path / "b.arrow").write_bytes(whole[:size])
        try:
            lengths.add(len(read(tmp_path / "b.arrow")))
            assert "may be cut off" in readers.build("arrow").look(tmp_path / "b.arrow")[1]
        except Refused:
            continue
    assert lengths == ({3, 6} if kind == "stream" else set())
    assert "cut off" not in readers.build("arrow").look(tmp_path / "a.arrow")[1]


@pytest.mark.parametrize("kind", OPENING)
def test_a_changed_byte_gives_rows_or_a_sentence(kind: str, tmp_path: Path) -> None:
    """In a process of its own, so that a crash of the library would be seen."""
    written(tmp_path / "a.arrow", kind, TABLE)
    script = (
        "import random, sys\nfrom pathlib import Path\nfrom affina.core.errors import Refused\n"
        "from affina.core.kinds import readers\n"
        "folder = Path(sys.argv[1])\nwhole = (folder / 'a.arrow').read_bytes()\ndraws = random.Random(0)\n"
        "for _ in range(400):\n"
        "    changed = bytearray(whole)\n"
        "    changed[draws.randrange(8, len(changed))] = draws.randrange(256)\n"
        "    (folder / 'b.arrow').write_bytes(changed)\n"
        "    for read in (lambda part, path: list(part.records(path)), lambda part, path: part.count(path)):\n"
        "        try: read(readers.build('arrow'), folder / 'b.arrow')\n"
        "        except Refused: continue\n"
    )
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.slow
def test_a_large_batch_is_read_in_little_memory(tmp_path: Path) -> None:
    """One batch of 400 MB: it is mapped, and given back as it is read."""
    text = pa.array([random.Random(0).randbytes(200).hex()]).take(pa.array([0] * 1_000_000))
    path = written(tmp_path / "a.arrow", "file", pa.table({"text": text}))
    script = (
        "import resource, sys\nfrom pathlib import Path\nfrom affina.core.kinds import readers\n"
        "reader = readers.build('arrow')\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "print(sum(1 for _ in reader.records(Path(sys.argv[1]))),"
        " (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)"
    )
    done = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, text=True, timeout=300)
    rows, grown_mib = map(int, done.stdout.split())
    assert rows == 1_000_000
    assert grown_mib < 128
