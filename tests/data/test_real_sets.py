"""Every public set of the shared data is recognised as what it is, or refused with a line that settles it."""

from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from shared_data import ROOT, shared

import affina
from affina.core.errors import Refused
from affina.core.kinds import Record, Shape, Unusable, shapes
from affina.data.files import listed
from affina.data.recognise import Reading, readings, shape_for
from affina.data.stream import Records

SETS: dict[str, dict[str, Any]] = yaml.safe_load(Path(__file__).with_name("real_sets.yaml").read_text("utf-8"))
FILES = 2
"""Of a set of many files alike, so many are read."""
NO_ROWS = {"pdf_samples_a", "fsdd_speakers_a"}  # pages and sounds: their readers' own tests look at them
UGLY = (
    "big_list_of_naughty_strings", "chardet_encodings_a", "csv_parser_fixtures_a", "csv_spectrum_a", "duckdb_csv_a",
    "csvkit_examples_a", "duckdb_json_a", "frictionless_tables_a", "json_test_suite_a", "papaparse_samples",
    "readr_fixtures_a", "utf8_documents_a",
)  # fmt: skip


def files(pattern: str) -> list[str]:
    folder, _, name = pattern.partition("/")
    found = sorted(shared("data", folder).glob(name))
    found = [path for path in found if path.suffix != ".annotated" and not path.name.endswith("NCE.md")]
    return [str(path) for path in found[:FILES]]


@cache
def looked(pattern: str) -> tuple[list[Reading], list[Record]]:
    paths, _ = listed(files(pattern), Path())
    found = readings(paths)
    return found, Records(found, [reading.paths[0].name for reading in found]).sample()


def usable(shape: Shape, sample: list[Record]) -> bool:
    """Whether nearly all of these rows are examples."""
    found = 0
    for record in sample:
        try:
            found += shape.example(record) is not None
        except Unusable:
            continue
    return found > 0.9 * len(sample)


def test_the_table_has_every_set() -> None:
    folders = {path.name for path in shared("data").iterdir() if path.is_dir()}
    assert folders == {pattern.partition("/")[0] for pattern in SETS} | set(UGLY) | NO_ROWS


@pytest.mark.parametrize("pattern", SETS)
def test_a_real_set_is_recognised_or_refused_with_what_settles_it(pattern: str) -> None:
    expected = SETS[pattern]
    found, sample = looked(pattern)
    assert {reading.reader.name for reading in found} == {expected["reader"]}
    if "refused" in expected:
        with pytest.raises(Refused, match=expected["refused"]) as error:
            shape_for(sample)
        line = ", ".join(f"{key}: {value}" for key, value in expected.get("settled", {}).items())
        assert line in error.value.instead
        assert not line or usable(shapes.build(expected["settled"]), sample)
        return
    shape, _ = shape_for(sample)
    assert shapes.dump(shape) == expected["shape"]
    assert usable(shape, sample)


@pytest.mark.slow
@pytest.mark.parametrize("folder", UGLY)
def test_ugly_files_are_looked_at_whole_or_refused_in_a_sentence(folder: str) -> None:
    for path in [path for path in sorted((ROOT / "data" / folder).rglob("*")) if path.is_file()][::9]:
        try:
            seen = affina.data_look(str(path))
        except Refused as error:
            assert str(error)
            continue
        ledger = seen["ledger"]
        assert ledger["read"] == ledger["used"]["all"] + ledger["quarantined"]["total"] == seen["rows"]
        assert seen["error"] or ledger["used"]["all"]
