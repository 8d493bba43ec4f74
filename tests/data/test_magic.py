from pathlib import Path

import made_files
import pytest

from affina.core.errors import Refused
from affina.data.magic import found, markup
from affina.data.recognise import reader_for


def written(folder: Path, name: str, content: bytes) -> Path:
    (folder / name).write_bytes(content)
    return folder / name


@pytest.mark.parametrize(
    ("content", "reader"),
    [
        (made_files.pdf(["words"]), "pdf"),
        (b"\xef\xbb\xbf\r\n" + made_files.pdf(["words"]), "pdf"),
        (made_files.docx(("Normal", "words")), "docx"),
        (made_files.xlsx([["a"], [1]]), "excel"),
        (made_files.ods("<table:table-row/>"), "excel"),
        (made_files.epub({"one.xhtml": made_files.xhtml("<p>words</p>")}), "epub"),
        (made_files.compound("Workbook"), "excel"),
        (made_files.zipped({"word/of/mouth.txt": "words"}), None),
        (made_files.compound("Other"), None),
        (b"PK\x03\x04 cut off", None),
        (b"words", None),
        (b"", None),
    ],
)
def test_a_document_is_known_by_its_bytes_whatever_it_is_called(
    tmp_path: Path, content: bytes, reader: str | None
) -> None:
    assert found(written(tmp_path, "file.csv", content)) == reader


def test_the_ending_does_not_hide_a_document(tmp_path: Path) -> None:
    reader, reason = reader_for(written(tmp_path, "table.csv", made_files.xlsx([["id"], [1]])))
    assert reader.name == "excel" and reason.startswith("excel by its first bytes, whatever its ending .csv")
    assert reader_for(written(tmp_path, "paper", made_files.pdf(["words"])))[0].name == "pdf"


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (made_files.compound("EncryptedPackage"), "protected by a password"),
        (
            made_files.compound("WordDocument"),
            r"an old Word document: no reader takes that format\. save it as \.xlsx, \.docx or",
        ),
        (rb"{\rtf1\ansi words}", r"rich text \(RTF\)"),
        (b'<?xml version="1.0"?>\n<?mso-application progid="Excel.Sheet"?>\n<Workbook/>', "spreadsheet of Excel 2003"),
        (made_files.compound("__properties_version1.0"), "an Outlook message"),
        (made_files.zipped({"mimetype": "application/vnd.oasis.opendocument.text"}), "an OpenDocument text"),
        (made_files.zipped({"[Content_Types].xml": "", "ppt/presentation.xml": ""}), "a presentation"),
    ],
)
def test_documents_that_no_reader_takes_are_refused_with_the_way_out(tmp_path: Path, content: bytes, why: str) -> None:
    with pytest.raises(Refused, match=why):
        reader_for(written(tmp_path, "file", content))


def test_a_name_in_the_text_of_a_compound_file_is_no_stream(tmp_path: Path) -> None:
    spoken = "EncryptedPackage\0".encode("utf-16-le")
    content = made_files.compound("Workbook") + bytes(512 - 3) + spoken + bytes(512)
    assert found(written(tmp_path, "a.xls", content + bytes(128) + spoken.ljust(128, b"\1"))) == "excel"


def test_many_comments_before_no_page_are_looked_through_at_once() -> None:
    assert markup("<!-- a --> " * 5000 + "words") is None
    assert markup("<!-- a --> " * 5000 + "<html>") == "html"
