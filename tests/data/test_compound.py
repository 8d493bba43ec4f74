import struct
from pathlib import Path

import pytest
from made_files import compound
from shared_data import shared

from affina.data.compound import holds, is_whole


def written(folder: Path, content: bytes) -> Path:
    path = folder / "old.xls"
    path.write_bytes(content)
    return path


def test_a_stream_is_found_by_its_entry_in_the_directory(tmp_path: Path) -> None:
    assert holds(written(tmp_path, compound("Workbook"))) == "excel"
    assert holds(written(tmp_path, compound("Notebook"))) is None
    assert holds(written(tmp_path, b"words")) is None
    shifted = compound("Other") + b"x" * 8 + "Workbook\0".encode("utf-16-le").ljust(64, b"\0") + struct.pack("<H", 18)
    assert holds(written(tmp_path, shifted + bytes(200))) is None


def test_a_file_is_whole_when_its_tables_lie_in_it(tmp_path: Path) -> None:
    content = compound("Workbook")
    assert is_whole(written(tmp_path, content))
    for left in (9, 511, 1023, len(content) - 1):  # the directory is the last sector
        assert not is_whole(written(tmp_path, content[:left]))
    round_and_round = content[:516] + struct.pack("<I", 1) + content[520:]  # the directory follows itself
    assert is_whole(written(tmp_path, round_and_round))


@pytest.mark.parametrize("folder", ["csvkit_examples_a", "frictionless_tables_a"])
def test_real_old_sheets_are_whole(folder: str) -> None:
    paths = list(shared("data", folder).glob("*.xls"))
    assert paths and all(is_whole(path) and holds(path) == "excel" for path in paths)
