import gzip
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from packing import tarred, zipped
from shared_data import shared

from affina.core.atomic import sha256
from affina.core.errors import Refused
from affina.core.kinds import Record, readers
from affina.core.recipe import Recipe
from affina.data import encoding, scratch
from affina.data.files import listed, short_names
from affina.data.prepare import prepare
from affina.data.recognise import readings


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


def shown(read: list[str], folder: Path, reader: str | None = None) -> list[str]:
    paths, _ = listed(read, folder, readers.build(reader) if reader else None)
    return [scratch.shown(path).removeprefix(f"{folder}/") for path in paths]


def records(read: list[str], folder: Path) -> list[Record]:
    return [record for reading in readings(listed(read, folder)[0]) for record in reading.records()]


def test_packed_files_are_read_as_what_is_in_them(tmp_path: Path) -> None:
    rows = b"text,label\nuno,a\ndue,b\n"
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(rows))
    zipped(tmp_path / "b.zip", {"in/b.csv": rows, "in/c.tsv": rows.replace(b",", b"\t"), "in/d.png": b"x"})
    (tmp_path / "c.tgz").write_bytes(gzip.compress(tarred({"d.jsonl": b'{"text": "uno", "label": "a"}\n'})))
    entries = ["a.csv.gz", "b.zip", "c.tgz", "b.zip!/in/*.csv", "a.*"]
    assert shown(entries, tmp_path) == ["a.csv.gz", "b.zip!/in/b.csv", "b.zip!/in/c.tsv", "c.tgz!/d.jsonl"]
    paths, notes = listed(entries, tmp_path)
    assert notes == [f"{tmp_path / 'b.zip'}: not read: in/d.png"]
    assert list(short_names(paths).values()) == ["a.csv.gz", "b.csv", "c.tsv", "d.jsonl"]
    found = records(entries, tmp_path)
    assert [record.values for record in found][:2] == [{"text": "uno", "label": "a"}, {"text": "due", "label": "b"}]
    assert found[2].where == f"{tmp_path / 'b.zip'}!/in/b.csv:2" and len(found) == 7


def test_members_of_one_name_are_told_apart_by_archive_and_folder(tmp_path: Path) -> None:
    zipped(tmp_path / "a.zip", {"x/train.csv": b"a,b\n1,2\n", "y/train.csv": b"a,b\n1,2\n"})
    zipped(tmp_path / "b.zip", {"x/train.csv": b"a,b\n1,2\n"})
    names = list(short_names(listed(["a.zip", "b.zip"], tmp_path)[0]).values())
    assert names == ["a.zip!/x/train.csv", "y/train.csv", "b.zip!/x/train.csv"]


def test_a_file_is_unpacked_by_its_bytes_whatever_it_is_called(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(gzip.compress(b"text,label\nuno,a\ndue,b\n"))
    (tmp_path / "b.gz").write_bytes(b"text,label\nuno,a\ndue,b\n")
    for name in ("a.csv", "b.gz"):
        assert [record.values["label"] for record in records([name], tmp_path)] == ["a", "b"]


def test_a_folder_is_read_with_what_is_packed_in_it(tmp_path: Path) -> None:
    tree(tmp_path, "in/a.csv", "in/notes.zip")
    zipped(tmp_path / "in" / "b.zip", {"b.csv": b"a,b\n"})
    zipped(tmp_path / "in" / "pictures.zip", {"a.png": b"x"})
    (tmp_path / "in" / "c.csv.gz").write_bytes(gzip.compress(b"a,b\n"))
    (tmp_path / "in" / "d.wav.gz").write_bytes(gzip.compress(b"RIFF"))
    assert shown(["in"], tmp_path) == ["in/a.csv", "in/b.zip!/b.csv", "in/c.csv.gz"]
    assert listed(["in"], tmp_path)[1] == [f"{tmp_path / 'in'}: not read: d.wav.gz, notes.zip, pictures.zip!/a.png"]


def test_an_archive_of_texts_and_rows_is_refused_unless_a_reader_or_a_pattern_chooses(tmp_path: Path) -> None:
    zipped(tmp_path / "a.zip", {"a.csv": b"a,b\n1,2\n", "readme.txt": b"words\n"})
    with pytest.raises(Refused, match=r"a\.zip holds both texts .* such as `a\.zip!/\*\*/\*\.csv`"):
        listed(["a.zip"], tmp_path)
    assert shown(["a.zip"], tmp_path, "csv") == shown(["a.zip!/**/*.csv"], tmp_path) == ["a.zip!/a.csv"]


def test_what_is_not_in_an_archive_is_refused(tmp_path: Path) -> None:
    zipped(tmp_path / "a.zip", {"in/train.csv": b"a,b\n", "one.png": b"", "two.png": b""})
    zipped(tmp_path / "b.zip", {"one.png": b"", "two.png": b""})
    zipped(tmp_path / "c.zip", {})
    for entry, why in [
        ("a.zip!/in/trains.csv", r"nothing in .*a\.zip is called 'in/trains.csv'\. did you mean 'in/train.csv'"),
        ("a.zip!/*.csv", r"nothing in .*a\.zip is called '\*\.csv'"),
        ("b.zip", r"b\.zip holds no file that can be read: it has 2 files, and none ends in"),
        ("c.zip", r"c\.zip holds no file that can be read: it has 0 files$"),
        ("d.zip!/a.csv", r"there is no file .*d\.zip"),
        ("a.zip!/in/train.csv!/b.csv", "is no archive"),
    ]:
        with pytest.raises(Refused, match=why):
            listed([entry], tmp_path)


def test_errors_and_records_never_name_the_scratch_folder(tmp_path: Path) -> None:
    zipped(
        tmp_path / "a.zip",
        {"empty.csv": b"", "bad.csv": b"a,b\n1,2\n1,2,3\n", "binary.csv": bytes(99), "latin.csv": b"a\nperch\xe9\n"},
    )
    for entry in ("a.zip!/empty.csv", "a.zip!/binary.csv"):
        with pytest.raises(Refused, match=f"^{tmp_path}/{entry}") as error:
            records([entry], tmp_path)
        assert scratch.PREFIX not in str(error.value)
    (reading,) = readings(listed(["a.zip!/bad.csv"], tmp_path)[0])
    assert scratch.PREFIX not in reading.reason
    assert [record.where for record in reading.records() if record.problem] == [f"{tmp_path}/a.zip!/bad.csv:3"]
    ((latin,), _) = listed(["a.zip!/latin.csv"], tmp_path)
    assert encoding.detect(latin).note.startswith(f"{tmp_path}/a.zip!/latin.csv is not UTF-8")


def test_what_was_prepared_and_its_ledger_name_the_member(tmp_path: Path) -> None:
    rows = "text,label\n" + "".join(f"words of row {n * 7919},{'ab'[n % 2]}\n" for n in range(40)) + "one,two,three\n"
    zipped(tmp_path / "a.zip", {"in/rows.csv": rows.encode()})
    recipe = Recipe.build({"name": "x", "model": {"base": "none"}, "data": {"read": "a.zip"}}, tmp_path)
    prepared = prepare(recipe)
    assert prepared.ledger.summary()["files"] == {f"{tmp_path}/a.zip!/in/rows.csv": 41}
    prepared.ledger.write(tmp_path)
    assert f'"{tmp_path}/a.zip!/in/rows.csv"' in (tmp_path / "quarantine.jsonl").read_text()
    assert {example.id for examples in prepared.examples.values() for example in examples} == {
        f"rows.csv:{line}" for line in range(2, 42)
    }
    assert scratch.PREFIX not in repr(prepared.notes)


def test_standard_input_is_read_once_and_by_its_bytes(tmp_path: Path) -> None:
    script = (
        "from pathlib import Path\nfrom affina.data.files import listed, short_names\n"
        "from affina.data.recognise import readings\n"
        "for _ in range(2):\n"
        "    paths, _ = listed(['-'], Path())\n"
        "    (reading,) = readings(paths)\n"
        "    places = [record.where for record in reading.records()]\n"
        "    print(reading.reader.name, *places, *short_names(paths).values())\n"
    )
    for content, expected in {
        b'{"text": "uno"}\n{"text": "due"}\n': "jsonl stdin:1 stdin:2 stdin",
        gzip.compress(b"text,label\nuno,a\ndue,b\n"): "csv stdin:2 stdin:3 stdin",
    }.items():
        done = subprocess.run([sys.executable, "-c", script], input=content, capture_output=True, timeout=60)
        assert done.stdout.decode().splitlines() == [expected] * 2, done.stderr.decode()
    empty = subprocess.run([sys.executable, "-c", script], input=b"", capture_output=True, timeout=60)
    assert "stdin is empty" in empty.stderr.decode()


def test_standard_input_without_anything_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    controller, terminal = os.openpty()
    with open(terminal) as stream:
        monkeypatch.setattr("sys.stdin", stream)
        with pytest.raises(Refused, match="nothing is piped into it"):
            listed(["-"], Path())
    os.close(controller)


def test_a_named_pipe_is_read_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "rows.csv")
    writer = threading.Thread(target=(tmp_path / "rows.csv").write_text, args=("text,label\nuno,a\n",))
    writer.start()
    first = listed(["rows.csv"], tmp_path)[0]
    writer.join()
    assert listed(["rows.csv"], tmp_path)[0] == first
    assert [record.where for record in records(["rows.csv"], tmp_path)] == [f"{tmp_path}/rows.csv:2"]


def test_a_database_that_is_not_there_and_one_that_is_no_file_are_refused(tmp_path: Path) -> None:
    (tmp_path / "real.db").write_bytes(b"")
    for entry, why in [
        ("sqlite:///gone/a.db", "its folder"),
        ("sqlite:///reel.db", "did you mean 'real.db'"),
        ("sqlite:///:memory:", "is no file"),
        ("sqlite:///real.db?mode=rw", "is opened for reading only"),
        ("postgresql://anna:geheim@host/db", r"Write `\$\{DB_PASSWORD\}`"),
        ("https://host/a.csv", "fetch them first"),
    ]:
        with pytest.raises(Refused, match=why):
            listed([entry], tmp_path)
    with pytest.raises(Refused, match="the reader csv cannot read postgresql://host/db"):
        listed(["postgresql://host/db"], tmp_path, readers.build("csv"))


def test_the_address_of_a_database_file_may_come_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree(tmp_path, "a.db")
    monkeypatch.setenv("DATABASE_URL", "sqlite:///a.db")
    assert listed(["${DATABASE_URL}"], tmp_path)[0] == [tmp_path / "a.db"]


def test_real_packed_files_are_what_they_were_before(tmp_path: Path) -> None:
    folder = shared("data", "readr_fixtures_a")
    plain = (folder / "fixtures__eol-cr.txt").read_bytes()
    for ending in ("gz", "zip"):
        ((path,), _) = listed([f"fixtures__eol-cr.txt.{ending}"], folder)
        assert path.read_bytes() == plain
    rows = records(["test.jsonl.gz"], shared("data", "hh_rlhf_harmless_base_test"))
    assert len(rows) == 2312 and not any(record.problem for record in rows)
    assert set(rows[0].values) == {"chosen", "rejected"}


def test_real_archives_of_tables_are_read_or_refused_in_a_sentence() -> None:
    folder = shared("data", "frictionless_tables_a")
    read = {}
    for path in sorted(folder.glob("*.zip")) + sorted(folder.glob("*.gz")):
        try:
            read[path.name] = len(records([path.name], folder))
        except Refused as error:
            read[path.name] = -1
            assert scratch.PREFIX not in str(error)
    assert read["doublequote.csv.zip"] == 5
    assert read["table.csv.gz"] == 2
    assert len(read) == 6
