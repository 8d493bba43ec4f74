"""Prepared data is made once for the same inputs, anew for any other, and is whole or absent."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from affina.core.atomic import MANIFEST
from affina.core.errors import Failed, Refused
from affina.core.recipe import Recipe
from affina.data import once, prepare

ROWS = [(f"{'abcdefghij'[n % 10] * 5} {n * 7919} {n * 104729 % 997}", "xy"[n % 2]) for n in range(60)]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AFFINA_CACHE", str(tmp_path / "cache"))
    write(tmp_path / "rows.jsonl", ROWS)
    return tmp_path


def write(path: Path, rows: list[tuple[str, str]]) -> None:
    lines = (json.dumps({"text": text, "label": label, "day": str(n)}) for n, (text, label) in enumerate(rows))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def recipe(folder: Path, **changes: Any) -> Recipe:
    sections: dict[str, Any] = {
        "name": "kept", "model": {"base": "folder"}, "data": {"read": ["rows.jsonl"], **changes.pop("data", {})},
        "train": {"seed": changes.pop("seed", 0)},
    }  # fmt: skip
    return Recipe.build(sections, folder)


def test_the_same_is_made_once_and_any_change_makes_it_anew(folder: Path) -> None:
    first = prepare.build(recipe(folder))
    again = prepare.build(recipe(folder))
    assert first.made and not again.made and first.folder == again.folder
    assert again.loaded() == prepare.Built(first.folder).loaded() or again.loaded().examples == first.loaded().examples
    others = [
        recipe(folder, seed=1),
        recipe(folder, data={"keep": ["day"]}),
        recipe(folder, data={"transforms": ["split"]}),
    ]
    assert all(prepare.build(other).made for other in others)
    write(folder / "rows.jsonl", [*ROWS, ("another row", "x")])
    assert prepare.build(recipe(folder)).made
    objection = prepare.Objection("a rule", lambda example: "")
    assert prepare.build(recipe(folder), objection).made and not prepare.build(recipe(folder), objection).made


def test_the_files_are_the_owners_and_others_read_them_as_parquet(folder: Path) -> None:
    built = prepare.build(recipe(folder, data={"keep": ["day"]}))
    assert built.folder.stat().st_mode & 0o777 == 0o700
    modes = {path.name: path.stat().st_mode & 0o077 for path in built.folder.iterdir() if path.name != MANIFEST}
    assert set(modes.values()) == {0}
    table = pq.read_table(built.folder / "train.parquet")
    assert {"id", "split", "facts", "text", "label"} <= set(table.column_names)
    assert json.loads(table.column("facts")[0].as_py()).keys() == {"day"}
    counts = {split: pq.read_metadata(built.folder / f"{split}.parquet").num_rows for split in prepare.SPLITS}
    assert counts == built.ledger.summary()["used"]


def test_what_is_loaded_again_is_what_was_made(folder: Path) -> None:
    made = prepare.prepare(recipe(folder))
    found = prepare.prepare(recipe(folder))
    assert (made.examples, made.labels, made.notes, made.files) == (
        found.examples,
        found.labels,
        found.notes,
        found.files,
    )
    assert found.ledger.summary() == made.ledger.summary()
    found.ledger.withdraw("train", [found.examples["train"][0].id], "too long")
    found.ledger.reconcile()
    assert found.ledger.summary()["dropped"]["reasons"] == {"too long": 1}


def test_a_refused_preparation_leaves_nothing_and_a_killed_one_is_made_anew(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Refused):
        prepare.build(recipe(folder, data={"transforms": ["dedup"]}))
    cache = folder / "cache" / "data"
    assert not list(cache.iterdir())
    place = once.place(recipe(folder), {"rows.jsonl": "0"}, "")
    left = cache / f".{place.name}.99999"
    left.mkdir()
    (left / "train.parquet").write_bytes(b"half")
    assert once.made_once(place, lambda aside: (aside / "train.parquet").write_text("whole") and None)
    assert not left.exists() and not once.made_once(place, lambda aside: None)
    (place / "train.parquet").unlink()
    assert not once.whole(place)


def test_a_damaged_file_is_noticed_and_made_anew(folder: Path) -> None:
    made = prepare.build(recipe(folder))
    before, path = made.loaded().examples, made.folder / "train.parquet"
    whole = path.read_bytes()
    for damaged in (whole[: len(whole) // 2], whole[:100] + bytes([whole[100] ^ 1]) + whole[101:]):
        path.write_bytes(damaged)
        again = prepare.build(recipe(folder))
        assert again.made and again.loaded().examples == before


def test_files_in_another_order_are_other_data(folder: Path) -> None:
    write(folder / "more.jsonl", [(f"{text} more {n * 31}", label) for n, (text, label) in enumerate(ROWS)])
    names = ["rows.jsonl", "more.jsonl"]
    one, two = (prepare.build(recipe(folder, data={"read": read})) for read in (names, names[::-1]))
    assert one.made and two.made
    assert one.loaded().examples["train"] != two.loaded().examples["train"]


def test_what_a_transform_reads_and_asks_makes_it_anew(folder: Path) -> None:
    def changed(step: dict[str, Any], weights: str = "") -> bool:
        reach = prepare.Reach(digest=lambda reference: f"{reference} {weights}")
        return prepare.build(recipe(folder, data={"transforms": ["split", step]}), reach=reach).made

    against = {"name": "decontaminate", "against": ["seen.jsonl"]}
    write(folder / "seen.jsonl", ROWS[:1])
    assert changed(against) and not changed(against)
    write(folder / "seen.jsonl", ROWS[:2])
    assert changed(against)
    drawn = {"name": "select", "n": 20, "model": "embeds"}  # random: the model is named, not opened
    assert changed(drawn, "a") and not changed(drawn, "a") and changed(drawn, "b")
    (folder / "seen.jsonl").unlink()
    with pytest.raises(Refused, match=r"there is no file .*seen\.jsonl"):
        changed(against)


def test_what_a_transform_writes_is_there_again(folder: Path) -> None:
    written = recipe(folder, data={"transforms": ["split", {"name": "profile", "write": "report.json"}]})
    assert prepare.build(written).made
    report = (folder / "report.json").read_bytes()
    for _ in range(2):
        assert not prepare.build(written).made
        assert (folder / "report.json").read_bytes() == report
        assert (folder / "report.json").stat().st_mode & 0o777 == 0o600
        (folder / "report.json").unlink()
    (folder / "report.json").write_text("another's")
    prepare.build(written)
    assert (folder / "report.json").read_bytes() == report


def test_what_nobody_asked_for_in_a_month_is_forgotten(folder: Path) -> None:
    old = prepare.build(recipe(folder)).folder
    before = time.time() - 31 * 86_400
    os.utime(old / MANIFEST, (before, before))
    left = old.parent / ".begun.123"  # by a process that was killed: it has no manifest
    left.mkdir()
    os.utime(left, (before, before))
    new = prepare.build(recipe(folder, seed=1)).folder
    assert new.exists() and not old.exists() and not left.exists()


def test_a_full_disk_is_a_sentence(folder: Path) -> None:
    script = (
        "import resource, affina, sys\n"
        "from pathlib import Path\n"
        "from affina.core.recipe import Recipe\n"
        "from affina.data.prepare import build\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (300, 300))\n"
        "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "sections = {'name': 'kept', 'model': {'base': 'x'}, 'data': {'read': ['rows.jsonl']}}\n"
        f"recipe = Recipe.build(sections, Path({str(folder)!r}))\n"
        "try:\n    build(recipe)\nexcept affina.core.errors.Failed as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=300)
    assert "could not be written" in done.stdout and "File too large" in done.stdout and not done.stderr, done.stderr
    assert not [path for path in (folder / "cache" / "data").iterdir() if path.name.startswith(".")]


def test_two_processes_that_prepare_the_same_make_it_once(folder: Path) -> None:
    script = (
        "import sys\nfrom pathlib import Path\nfrom affina.core.recipe import Recipe\n"
        "from affina.data.prepare import build\n"
        "sections = {'name': 'kept', 'model': {'base': 'x'}, 'data': {'read': ['rows.jsonl']}}\n"
        f"print(build(Recipe.build(sections, Path({str(folder)!r}))).made)\n"
    )
    both = [subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert sorted(process.communicate(timeout=300)[0].strip() for process in both) == ["False", "True"]


def test_a_reader_that_loses_a_record_is_found_out(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from affina.data.readers.jsonl import Jsonl

    read = Jsonl.records
    monkeypatch.setattr(Jsonl, "records", lambda self, path: (each for each in read(self, path) if each.line != 7))
    with pytest.raises(Failed, match=r"59 records were read from .*rows\.jsonl, and counted another way it holds 60"):
        prepare.build(recipe(folder, seed=9))


def test_a_copy_elsewhere_has_a_ledger_that_names_its_own_file(folder: Path) -> None:
    first = prepare.build(recipe(folder))
    (folder / "other").mkdir()
    write(folder / "other" / "rows.jsonl", ROWS)
    second = prepare.build(recipe(folder / "other"))
    assert second.folder != first.folder
    assert [*second.ledger.summary()["files"]] == [str(folder / "other" / "rows.jsonl")]
