import datetime
import random
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pyarrow.parquet.encryption as encryption
import pytest

from affina.core.errors import Refused
from affina.core.kinds import Record, readers

TABLE = pa.table(
    {
        "text": ["uno", "due", None, "\U0001f375 quattro"],
        "label": pa.array(["a", "b", "a", None]).dictionary_encode(),
        "score": [1.5, float("nan"), None, -2.0],
        "when": pa.array([0, 1, None, 3], pa.timestamp("us", "Europe/Rome")),
        "day": pa.array([datetime.date(2024, 5, 1)] * 4),
        "price": pa.array([Decimal("12.50")] * 4),
        "tags": [["x"], [], None, ["y", None]],
        "turns": [[{"role": "user", "content": "a"}], [], [], [{"role": "user", "content": None}]],
        "map": pa.array([[("k", 1)], [], None, []], pa.map_(pa.string(), pa.int8())),
        "raw": [b"caff\xc3\xa8", b"", None, b"x"],
    }
)


def written(path: Path, table: pa.Table = TABLE, **how: Any) -> Path:
    pq.write_table(table, path, **how)
    return path


def read(path: Path, **fields: Any) -> list[Record]:
    return list(readers.build({"name": "parquet", **fields}).records(path))


def test_nested_values_dates_and_decimals_become_plain(tmp_path: Path) -> None:
    first, second, third, fourth = read(written(tmp_path / "a.parquet"))
    assert first.values == {
        "text": "uno",
        "label": "a",
        "score": 1.5,
        "when": "1970-01-01 01:00:00+01:00",
        "day": "2024-05-01",
        "price": "12.50",
        "tags": ["x"],
        "turns": [{"role": "user", "content": "a"}],
        "map": {"k": 1},
        "raw": "caffè",
    }
    assert (second.values["score"], second.values["tags"], second.values["map"]) == (None, [], {})
    assert (third.values["text"], third.values["tags"], third.values["when"]) == (None, None, None)
    assert fourth.values["tags"] == ["y", None] and fourth.values["text"] == "\U0001f375 quattro"
    assert [record.line for record in (first, second, third, fourth)] == [1, 2, 3, 4]
    assert not any(record.problem for record in (first, second, third, fourth))


@pytest.mark.parametrize("how", [{"row_group_size": 100}, {"data_page_version": "2.0"}, {"compression": "zstd"}, {}])
def test_rows_are_read_in_order_over_groups_and_counted_by_the_metadata(how: dict[str, Any], tmp_path: Path) -> None:
    path = written(tmp_path / "a.parquet", pa.table({"n": range(1000)}), **how)
    found = read(path)
    assert [record.values["n"] for record in found] == list(range(1000))
    assert [record.line for record in found] == list(range(1, 1001))
    assert readers.build("parquet").count(path) == 1000


def test_some_columns_can_be_read_without_the_others(tmp_path: Path) -> None:
    path = written(tmp_path / "a.parquet", pa.table({"image": [b"\x89PNG"], "text": ["x"], "label": ["a"]}))
    (record,) = read(path)
    assert record.problem == "column 'image' holds 4 bytes that are no text"
    (record,) = read(path, columns=["label", "text"])
    assert record.values == {"text": "x", "label": "a"} and not record.problem
    with pytest.raises(Refused, match=r"no column 'texts'\. did you mean 'text'"):
        read(path, columns=["texts"])


def test_a_bad_value_is_a_problem_of_its_row_alone(tmp_path: Path) -> None:
    cells = pa.array([b"sound", b"\xff\xfe", b"sound too"])
    text = pa.Array.from_buffers(pa.string(), 3, cells.buffers())  # bytes that call themselves text
    when = pa.array([0, 10**15, 1], pa.timestamp("s"))
    fine = pa.array([1, 2, 10**18 + 1], pa.timestamp("ns"))
    found = read(written(tmp_path / "a.parquet", pa.table({"text": text, "when": when, "fine": fine})))
    assert [bool(record.problem) for record in found] == [False, True, False]
    assert "column 'text' holds bytes that are no UTF-8" in found[1].problem
    assert "column 'when' holds a time outside the years 1 to 9999" in found[1].problem
    assert found[0].values["fine"] == "1970-01-01 00:00:00.000000001"
    assert found[2].values["fine"] == "2001-09-09 01:46:40.000000001"


def test_a_map_with_a_key_twice_is_a_problem(tmp_path: Path) -> None:
    table = pa.table({"map": pa.array([[("k", 1), ("k", 2)], [("k", 1)]], pa.map_(pa.string(), pa.int8()))})
    found = read(written(tmp_path / "a.parquet", table))
    assert [record.problem for record in found] == ["column 'map' holds a map with the same key twice", ""]


def test_columns_of_one_name_or_none_are_refused(tmp_path: Path) -> None:
    twice = pa.table([pa.array([1]), pa.array([2])], names=["a", "a"])
    with pytest.raises(Refused, match="two columns called 'a'"):
        read(written(tmp_path / "a.parquet", twice))
    with pytest.raises(Refused, match="a column without a name: it is number 2"):
        read(written(tmp_path / "a.parquet", twice.rename_columns(["a", ""])))


def test_columns_that_stand_in_the_names_of_folders_are_read(tmp_path: Path) -> None:
    table = pa.table({"text": ["uno", "due"], "label": ["a b", "c/d"], "year": [2024, None]})
    pq.write_to_dataset(table, tmp_path / "rows", partition_cols=["label", "year"])
    found = [record.values for path in sorted((tmp_path / "rows").rglob("*.parquet")) for record in read(path)]
    assert found == [{"text": "uno", "label": "a b", "year": "2024"}, {"text": "due", "label": "c/d", "year": None}]
    path = next((tmp_path / "rows").rglob("*.parquet"))
    assert {*read(path, columns=["label"])[0].values} == {"label"}
    assert readers.build("parquet").look(path)[1].endswith("row groups, year, label by its folder")


def test_a_file_without_rows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="holds no rows"):
        read(written(tmp_path / "a.parquet", TABLE.slice(0, 0)))


def test_a_file_cut_off_anywhere_is_refused(tmp_path: Path) -> None:
    whole = written(tmp_path / "a.parquet").read_bytes()
    for size in [*range(1, 16), *range(16, len(whole), 97), len(whole) - 1]:
        (tmp_path / "b.parquet").write_bytes(whole[:size])
        with pytest.raises(Refused):
            read(tmp_path / "b.parquet")


def test_a_changed_byte_gives_rows_or_a_sentence(tmp_path: Path) -> None:
    """In a process of its own, so that a crash of the library would be seen."""
    written(tmp_path / "a.parquet", TABLE, write_page_checksum=True)
    script = (
        "import random, sys\nfrom pathlib import Path\nfrom affina.core.errors import Refused\n"
        "from affina.core.kinds import readers\n"
        "folder = Path(sys.argv[1])\nwhole = (folder / 'a.parquet').read_bytes()\n"
        "draws, refused = random.Random(0), 0\n"
        "for _ in range(400):\n"
        "    changed = bytearray(whole)\n"
        "    changed[draws.randrange(4, len(changed) - 4)] = draws.randrange(256)\n"
        "    (folder / 'b.parquet').write_bytes(changed)\n"
        "    try: list(readers.build('parquet').records(folder / 'b.parquet'))\n"
        "    except Refused: refused += 1\n"
        "print(refused)"
    )
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    assert int(done.stdout) > 100


class Plain(encryption.KmsClient):  # type: ignore[misc]
    """Keys wrapped by nothing at all: enough to write an encrypted file."""

    def wrap_key(self, key_bytes: bytes, master_key_identifier: str) -> bytes:
        return key_bytes.hex().encode()

    def unwrap_key(self, wrapped_key: bytes, master_key_identifier: str) -> bytes:
        return bytes.fromhex(wrapped_key.decode())


@pytest.mark.parametrize("footer", [False, True])
def test_an_encrypted_file_is_refused(footer: bool, tmp_path: Path) -> None:
    factory = encryption.CryptoFactory(lambda settings: Plain())
    how = encryption.EncryptionConfiguration(footer_key="f", column_keys={"c": ["text"]}, plaintext_footer=not footer)
    keys = factory.file_encryption_properties(encryption.KmsConnectionConfig(), how)
    with pq.ParquetWriter(tmp_path / "a.parquet", TABLE.schema, encryption_properties=keys) as writer:
        writer.write_table(TABLE)
    with pytest.raises(Refused, match="is encrypted"):
        read(tmp_path / "a.parquet")


def test_something_else_called_parquet_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_text("text,label\nuno,a\n")
    with pytest.raises(Refused, match="is no Parquet file"):
        read(tmp_path / "a.parquet")


@pytest.mark.slow
def test_a_large_file_is_read_in_little_memory(tmp_path: Path) -> None:
    """800 MB of text in two row groups of 400 MB: peak memory stays far under a group's size."""
    path, draws = tmp_path / "a.parquet", random.Random(0)
    words = ["".join(draws.choices("abcdefghijklmnopqrstuvwxyz ", k=400)) for _ in range(5000)]
    schema = pa.schema([("n", pa.int64()), ("text", pa.string())])
    with pq.ParquetWriter(path, schema, use_dictionary=False, compression="none") as writer:
        for group in range(2):
            rows = range(group * 1_000_000, (group + 1) * 1_000_000)
            text = pa.array(words).take(pa.array([n % 5000 for n in rows]))
            writer.write_table(pa.table({"n": rows, "text": text}), row_group_size=1_000_000)
    script = (
        "import resource, sys\nfrom pathlib import Path\nfrom affina.core.kinds import readers\n"
        "reader = readers.build('parquet')\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "print(sum(1 for _ in reader.records(Path(sys.argv[1]))),"
        " (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)"
    )
    done = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, text=True, timeout=300)
    rows, grown_mib = map(int, done.stdout.split())
    assert rows == 2_000_000
    assert grown_mib < 128
