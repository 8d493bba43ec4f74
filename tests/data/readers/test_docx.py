import io
from pathlib import Path
from zipfile import ZipFile

import pytest
from made_files import compound, docx, xlsx, zipped

from affina.core.errors import Refused
from affina.data.readers.docx import Docx

W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'


def written(folder: Path, content: bytes) -> Path:
    path = folder / "letter.docx"
    path.write_bytes(content)
    return path


def found(path: Path, **settings: object) -> list[tuple[int, object]]:
    return [(each.line, each.values) for each in Docx.model_validate(settings).records(path)]


def with_body(body: str, **parts: str) -> bytes:
    """A document of this body, between the parts of an empty one."""
    with ZipFile(io.BytesIO(docx())) as container:
        entries: dict[str, str | bytes] = {name: container.read(name) for name in container.namelist()}
    entries["word/document.xml"] = (
        f'<?xml version="1.0"?><w:document {W} xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006">'
        f"<w:body>{body}</w:body></w:document>"
    )
    for name, content in parts.items():
        entries[f"word/{name}.xml"] = content
        relations = entries["word/_rels/document.xml.rels"]
        kind = f"http://schemas.openxmlformats.org/officeDocument/2006/relationships/{name}"
        added = f'<Relationship Id="x{name}" Type="{kind}" Target="{name}.xml"/></Relationships>'
        assert isinstance(relations, bytes)
        entries["word/_rels/document.xml.rels"] = relations.replace(b"</Relationships>", added.encode())
    return zipped(entries)


def paragraph(text: str) -> str:
    return f"<w:p><w:r><w:t>{text}</w:t></w:r></w:p>"


def test_headings_lists_and_tables_are_text_by_document_section_and_paragraph(tmp_path: Path) -> None:
    table = [["name", "n"], ["Anna\nMaria", "1"]]
    parts = [("Title", "Book"), ("Heading 1", "One"), ("Normal", "words"), ("Normal", ""), table, ("Heading 2", "Two")]
    path = written(tmp_path, docx(*parts, ("Normal", "more")))
    rows = "name | n\nAnna Maria | 1"
    assert found(path) == [(1, f"Book\n\nOne\n\nwords\n\n{rows}\n\nTwo\n\nmore")]
    assert found(path, by="section") == [(1, f"Book\n\nOne\n\nwords\n\n{rows}"), (6, "Two\n\nmore")]
    assert [line for line, _ in found(path, by="paragraph")] == [1, 2, 3, 5, 6, 7]


def test_inserted_words_are_read_and_deleted_ones_are_not(tmp_path: Path) -> None:
    gone = "<w:del><w:r><w:delText>old </w:delText></w:r></w:del>"
    come = "<w:ins><w:r><w:t>new</w:t></w:r></w:ins>"
    body = f"<w:p>{gone}{come}<w:r><w:tab/><w:t>x</w:t><w:br/><w:t>y</w:t></w:r></w:p>"
    body += f"<w:sdt><w:sdtContent>{paragraph('in a control')}</w:sdtContent></w:sdt>"
    body += "<w:p><w:hyperlink><w:r><w:t>a link</w:t></w:r></w:hyperlink></w:p>"
    assert found(written(tmp_path, with_body(body))) == [(1, "new\tx\ny\n\nin a control\n\na link")]


def test_text_boxes_notes_lists_and_nested_tables_are_read_once(tmp_path: Path) -> None:
    box = f"<w:txbxContent>{paragraph('boxed')}</w:txbxContent>"
    choice = f"<mc:AlternateContent><mc:Choice>{box}</mc:Choice><mc:Fallback>{box}</mc:Fallback></mc:AlternateContent>"
    note = '<w:r><w:footnoteReference w:id="2"/></w:r>'
    body = f"<w:p><w:r><w:t>before</w:t></w:r>{note}<w:r>{choice}</w:r></w:p>"
    body += "<w:p><w:pPr><w:numPr/></w:pPr><w:r><w:t>item</w:t></w:r></w:p>"
    inner = f"<w:tbl><w:tr><w:tc>{paragraph('deep')}</w:tc></w:tr></w:tbl>"
    body += f"<w:tbl><w:tr><w:tc>{paragraph('a')}{inner}</w:tc><w:tc>{paragraph('b')}</w:tc></w:tr></w:tbl>"
    notes = f'<w:footnotes {W}><w:footnote w:type="separator" w:id="0"/><w:footnote w:id="2">{paragraph("a note")}'
    path = written(tmp_path, with_body(body, footnotes=f"{notes}</w:footnote></w:footnotes>"))
    assert found(path) == [(1, "before\n\nboxed\n\n[2] a note\n\n- item\n\na deep | b")]


def test_a_heading_is_one_by_its_outline_or_what_its_style_is_based_on(tmp_path: Path) -> None:
    outlined = '<w:p><w:pPr><w:outlineLvl w:val="0"/></w:pPr><w:r><w:t>One</w:t></w:r></w:p>'
    plain = '<w:p><w:pPr><w:outlineLvl w:val="9"/></w:pPr><w:r><w:t>body</w:t></w:r></w:p>'
    body = f"{paragraph('before')}{outlined}{plain}{paragraph('after')}"
    assert found(written(tmp_path, with_body(body)), by="section") == [(1, "before"), (2, "One\n\nbody\n\nafter")]


def test_an_empty_document_is_a_record_with_a_problem(tmp_path: Path) -> None:
    (only,) = Docx().records(written(tmp_path, docx()))
    assert only.problem == "the document holds no text"


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "is empty"),
        (b"words", "no sound Word document"),
        (docx(("Normal", "words"))[:-200], "no sound Word document"),
        (compound("EncryptedPackage"), "protected by a password"),
        (compound("WordDocument"), "in an older format"),
        (xlsx([["a"]]), "no folder `word`"),
        (zipped({"word/document.xml": "<a/>"}), "cannot be read as a Word document"),
        (with_body("<w:p>"), "cannot be read as a Word document"),
        (with_body("<!DOCTYPE x>"), "cannot be read as a Word document"),
    ],
)
def test_what_is_no_word_document_or_locked_is_refused(tmp_path: Path, content: bytes, why: str) -> None:
    with pytest.raises(Refused, match=why):
        list(Docx().records(written(tmp_path, content)))
