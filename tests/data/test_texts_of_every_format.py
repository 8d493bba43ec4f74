"""Documents of many formats, from files to examples."""

from pathlib import Path

import made_files
import pytest
from shared_data import shared

from affina.core.errors import Refused
from affina.core.example import Text
from affina.core.recipe import Recipe
from affina.data.prepare import read_examples

FILES = {
    "a.txt": b"plain words",
    "b.md": b"---\ntitle: x\n---\n# Marked words\n",
    "c.rst": b"Structured words\n================\n",
    "d.html": b"<title>t</title><p>linked words</p>",
    "e.pdf": made_files.pdf(["printed words"]),
    "f.docx": made_files.docx(("Normal", "written words")),
    "g.epub": made_files.epub({"one.xhtml": made_files.xhtml("<p>bound words</p>")}),
}


def recipe(folder: Path, *read: str) -> Recipe:
    return Recipe.build({"name": "x", "model": {"base": "any"}, "data": {"read": [*read]}}, folder)


def folder_of(tmp_path: Path, files: dict[str, bytes]) -> Path:
    (tmp_path / "texts").mkdir()
    for name, content in files.items():
        (tmp_path / "texts" / name).write_bytes(content)
    return tmp_path


def test_a_folder_of_documents_of_every_format_is_one_set_of_texts(tmp_path: Path) -> None:
    made = recipe(folder_of(tmp_path, FILES), "texts")
    found = read_examples(made.data, made.folder)
    texts = [each.text.strip() for each in found.examples["all"] if isinstance(each, Text)]
    assert texts == [
        "plain words", "# Marked words", "Structured words", "linked words", "printed words", "written words",
        "bound words",
    ]  # fmt: skip
    assert found.ledger.summary()["read"] == len(FILES)


def test_a_document_without_text_is_quarantined_and_the_others_are_used(tmp_path: Path) -> None:
    scanned = made_files.pdf([b"0 0 9 9 re f"])
    made = recipe(folder_of(tmp_path, {**FILES, "scan.pdf": scanned, "empty.docx": made_files.docx()}), "texts")
    totals = read_examples(made.data, made.folder).ledger.summary()
    assert totals["quarantined"]["total"] == 2
    assert any("OCR" in reason for reason in totals["quarantined"]["reasons"])


def test_documents_and_rows_in_a_folder_are_refused(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, {**FILES, "h.xlsx": made_files.xlsx([["a"], [1]])})
    with pytest.raises(Refused, match=r"holds both texts \(7\) and files of rows \(1\)"):
        read_examples(recipe(folder, "texts").data, folder)


def test_a_sheet_is_a_set_of_labelled_rows(tmp_path: Path) -> None:
    rows = [["text", "label"], *[[f"some words {n}", "ab"[n % 2]] for n in range(6)]]
    (tmp_path / "rows.xlsx").write_bytes(made_files.xlsx(rows))
    found = read_examples(recipe(tmp_path, "rows.xlsx").data, tmp_path)
    assert found.labels == ("a", "b") and found.shape.name == "labelled"


def test_speech_acts_of_a_real_file_are_labelled_rows() -> None:
    folder = shared("data", "ilisten_it_dialogues")
    found = read_examples(recipe(folder, "training.xml").data, folder)
    assert found.ledger.summary()["read"] == 2216
