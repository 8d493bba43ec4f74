from pathlib import Path

import pytest
from shared_data import shared

from affina.core.errors import Refused
from affina.data.readers import text
from affina.data.readers.text import PlainText
from affina.data.tiles import recount


def written(folder: Path, content: bytes) -> Path:
    path = folder / "notes.txt"
    path.write_bytes(content)
    return path


def test_a_file_is_a_document_a_paragraph_or_a_line_at_a_time(tmp_path: Path) -> None:
    path = written(tmp_path, b"\none\r\ntwo\r\n\r\n \r\nthree\r\n")
    found = {
        by: [(record.line, record.values) for record in PlainText.model_validate({"by": by}).records(path)]
        for by in ("document", "paragraph", "line")
    }
    assert found == {
        "document": [(1, "\none\ntwo\n\n \nthree\n")],
        "paragraph": [(2, "one\ntwo"), (6, "three")],
        "line": [(2, "one"), (3, "two"), (6, "three")],
    }


@pytest.mark.parametrize(
    ("content", "why"), [(b" \n", "no text"), (b"a word and another\0 word", "NUL"), (b"\x89a\x01\x02\xff", "binary")]
)
def test_what_is_no_text_is_refused(tmp_path: Path, content: bytes, why: str) -> None:
    with pytest.raises(Refused, match=why):
        list(PlainText().records(written(tmp_path, content)))


@pytest.mark.parametrize("by", ["line", "paragraph"])
def test_a_nul_spoils_its_line_or_paragraph_alone(tmp_path: Path, by: str) -> None:
    found = PlainText.model_validate({"by": by}).records(written(tmp_path, b"one\n\ntwo\0\n\nthree\n"))
    assert [(each.line, each.problem) for each in found] == [(1, ""), (3, f"the {by} holds a NUL character"), (5, "")]


def test_a_text_without_paragraphs_is_not_read_as_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "LONGEST", 10)
    with pytest.raises(Refused, match=r"notes\.txt:3: .* a paragraph of more than 10 characters"):
        list(PlainText(by="paragraph").records(written(tmp_path, b"one\n\ntwo\nthree\nfour\n")))


def test_paragraphs_hold_every_word_of_a_real_book() -> None:
    path = shared("data", "promessi_sposi", "promessi_sposi.txt")
    parts = [record.values for record in PlainText(by="paragraph").records(path)]
    assert len(parts) == recount(PlainText(by="paragraph"), path) > 1000
    assert " ".join(parts).split() == path.read_text(encoding="utf-8-sig").split()
