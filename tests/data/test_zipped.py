import io
import struct
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

import pytest
from made_files import zipped

from affina.core.errors import Refused
from affina.data import zipped as module
from affina.data.zipped import opened


def written(folder: Path, content: bytes) -> Path:
    path = folder / "file.docx"
    path.write_bytes(content)
    return path


def test_a_sound_container_is_opened(tmp_path: Path) -> None:
    with opened(written(tmp_path, zipped({"a": "words"})), "document") as container:
        assert container.read("a") == b"words"


def test_what_unpacks_to_too_much_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    bomb = written(tmp_path, zipped({"a": bytes(40 << 20)}))  # zeros shrink to a thousandth
    with pytest.raises(Refused, match="looks like an archive bomb: 'a' in it unpacks to 1,0"), opened(bomb, "document"):
        pass
    declared = zipped({"a": "words"}).replace(struct.pack("<I", 5), struct.pack("<I", 1 << 30))
    with pytest.raises(Refused, match="would unpack to"), opened(written(tmp_path, declared), "document"):
        pass


def test_text_that_merely_repeats_is_no_bomb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = "".join(f'<row r="{n}"><c r="A{n}"><v>0</v></c><c r="B{n}"><v>1</v></c></row>' for n in range(400_000))
    with opened(written(tmp_path, zipped({"sheet.xml": rows})), "spreadsheet") as container:
        assert container.getinfo("sheet.xml").file_size > module.SMALL


def test_an_entry_that_lies_about_its_size_is_not_unpacked_past_it(tmp_path: Path) -> None:
    content = zipped({"a": b"word" * 1000}).replace(struct.pack("<I", 4000), struct.pack("<I", 10))
    with pytest.raises(Refused, match="'a' in it cannot be unpacked"), opened(written(tmp_path, content), "document"):
        pass


@pytest.mark.parametrize("cut", [1, 30, 60, 150])
def test_a_container_that_is_cut_off_is_refused(tmp_path: Path, cut: int) -> None:
    path = written(tmp_path, zipped({"a": "words" * 20, "b": "more"})[:-cut])
    with pytest.raises(Refused, match="no sound document: its zip container cannot be read"), opened(path, "document"):
        pass


def test_an_entry_under_a_password_is_refused(tmp_path: Path) -> None:
    stream = io.BytesIO()
    with ZipFile(stream, "w", ZIP_DEFLATED) as container:
        container.writestr("a", "words")
    content = bytearray(stream.getvalue())
    content[6] |= 1  # the flag of encryption, in the entry and in the directory
    content[content.index(b"PK\x01\x02") + 8] |= 1
    with pytest.raises(Refused, match="protected by a password"), opened(written(tmp_path, bytes(content)), "document"):
        pass
