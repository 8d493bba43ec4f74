import csv
import io
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import openpyxl
import pytest
from made_files import compound, ods, xlsx, zipped
from shared_data import shared

from affina.core.errors import Refused
from affina.data.readers.excel import Excel

CELL = '<table:table-cell office:value-type="string"><text:p>{}</text:p></table:table-cell>'


def written(folder: Path, content: bytes, name: str = "rows.xlsx") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def values(path: Path, **settings: object) -> list[Any]:
    return [record.values for record in Excel.model_validate(settings).records(path)]


def row(*cells: str, more: str = "") -> str:
    return f"<table:table-row{more}>{''.join(CELL.format(cell) for cell in cells)}</table:table-row>"


@pytest.mark.parametrize("name", ["test.xls", "test_skip_lines.xls", "sheets.xls"])
def test_an_old_sheet_has_the_values_of_the_table_it_was_made_from(name: str) -> None:
    folder = shared("data", "csvkit_examples_a")
    expected = list(csv.reader((folder / "testxls_unicode_converted.csv").read_text("utf-8").splitlines()))
    table = list(csv.reader((folder / "sheetsxls_converted.csv").read_text("utf-8").splitlines()))
    assert [*expected, *table]
    found = values(folder / name)
    assert [list(each.values())[:4] for each in found] == [
        ["Chicago Reader", "1971-01-01", 40, True],
        ["Chicago Sun-Times", "1948-01-01", 63, True],
        ["Chicago Tribune", "1920-01-01", 164, False],
        ["This row has blanks", "", "", ""],
        ["Unicode! Σ", "", "", ""],
    ]
    assert [each["float"] for each in found] == [1, 1.27, 41800000.01, "", ""]
    assert found[1]["column 8"].startswith("Extra data")


@pytest.mark.filterwarnings("ignore:Workbook contains no default style")
def test_new_sheets_have_the_values_that_another_library_reads() -> None:
    read = 0
    for path in sorted(shared("data", "frictionless_tables_a").glob("*.xlsx")):
        settled, _ = Excel().look(path)
        if path.name == "issue-1024.xlsx":  # two of its columns are called '#'
            with pytest.raises(Refused, match=r"two columns of sheet 'IPC' .* are called '#'.*header: 0"):
                values(path)
            continue
        sheet = openpyxl.load_workbook(path, data_only=True)[settled.sheet or ""]
        rows = list(sheet.iter_rows(values_only=True))[settled.header :]
        expected = [[plain(cell) for cell in cells] for cells in rows if any(plain(cell) != "" for cell in cells)]
        found = [list(each.values()) for each in values(path)]
        width = len(found[0])
        assert found == [[*cells, *[""] * width][:width] for cells in expected]
        assert Excel().count(path) == len(found)
        read += 1
    assert read == 8


def plain(cell: Any) -> Any:
    if isinstance(cell, datetime) and cell.time() == time():
        return cell.date().isoformat()
    if isinstance(cell, (date, datetime)):
        return cell.isoformat()
    return "" if cell is None else cell


def test_open_document_sheets_have_the_values_of_the_same_table_as_csv() -> None:
    folder = shared("data", "frictionless_tables_a")
    for name in ("table.ods", "table.xls"):
        assert values(folder / name) == [{"id": 1, "name": "english"}, {"id": 2, "name": "中国人"}]
    dated = values(folder / "table-with-ints-floats-dates.ods")
    assert dated[0] == {"Int": 2013, "Float": 3.3, "Date": "2009-08-16", "Datetime": "2009-08-16T05:43:21"}
    assert Excel().count(folder / "table-with-ints-floats-dates.ods") == 3


def test_whole_numbers_dates_and_durations_are_plain_data(tmp_path: Path) -> None:
    cells = [
        7,
        1.5,
        2**53,
        True,
        date(2024, 2, 29),
        datetime(2024, 2, 29, 13, 5, 6),
        time(1, 2, 3),
        timedelta(hours=30),
    ]
    path = written(tmp_path, xlsx([["a", "b", "c", "d", "e", "f", "g", "h"], cells]))
    (found,) = values(path)
    shown = [7, 1.5, 2.0**53, True, "2024-02-29", "2024-02-29T13:05:06", "01:02:03", "30:00:00"]
    assert list(found.values()) == shown
    assert [type(each) for each in found.values()] == [int, float, float, bool, str, str, str, str]


def test_the_header_is_found_below_titles_and_named_like_a_table_of_text(tmp_path: Path) -> None:
    rows = [
        ["Report 2024"],
        [],
        ["name", "other", None, "n"],
        ["a", "b", "c", 1],
        [None, " ", None, None],
        ["d", "e", "f", 2],
    ]
    path = written(tmp_path, xlsx(rows))
    settled, reason = Excel().look(path)
    assert settled.header == 3 and "rows 1 to 2 above it not read" in reason
    assert [(each.line, each.values) for each in Excel().records(path)] == [
        (4, {"name": "a", "other": "b", "column 3": "c", "n": 1}),
        (6, {"name": "d", "other": "e", "column 3": "f", "n": 2}),
    ]
    assert Excel().count(path) == 2
    assert values(path, header=0)[0] == {"column 1": "Report 2024", "column 2": "", "column 3": "", "column 4": ""}
    assert Excel(header=0).count(path) == 4
    assert Excel().look(written(tmp_path, xlsx([[1, 2], [3, 4]])))[0].header == 0


def test_the_first_sheet_with_something_in_it_is_read_unless_one_is_named(tmp_path: Path) -> None:
    path = written(tmp_path, xlsx([], Hidden=[["h"], [1]], Data=[["x"], [2]]))
    book = openpyxl.load_workbook(path)
    book["Hidden"].sheet_state = "hidden"
    book.save(path)
    settled, reason = Excel().look(path)
    assert settled.sheet == "Data" and "not read: 'Sheet', 'Hidden' (hidden)" in reason
    assert values(path, sheet="Hidden") == [{"h": 1}]
    with pytest.raises(Refused, match=r"no sheet 'Dat'\. did you mean 'Data'"):
        values(path, sheet="Dat")
    with pytest.raises(Refused, match="holds no rows: sheet 'Sheet' has nothing but blank cells"):
        values(written(tmp_path, xlsx([[" "], ["", " "]])))
    with pytest.raises(Refused, match="holds no rows: sheet 'Sheet' has nothing below the header, row 1"):
        values(written(tmp_path, xlsx([["text", "label"]])))
    with pytest.raises(Refused, match="no sheet of it holds anything"):
        values(written(tmp_path, xlsx([])))


def test_hidden_rows_errors_uncomputed_formulas_and_merged_cells_are_told(tmp_path: Path) -> None:
    rows = [["name", "n"], ["a", "#N/A"], ["b", "=1+1"], ["c", 3], ["", 4]]
    path = written(tmp_path, xlsx(rows))
    book = openpyxl.load_workbook(path)
    book.active["B2"].data_type = "e"
    book.active.row_dimensions[3].hidden = True
    book.active.merge_cells("A4:A5")
    book.save(path)
    _, reason = Excel().look(path)
    for told in ("1 hidden rows", "1 cells show an error", "1 formulas without a result", "1 merged areas"):
        assert told in reason
    assert [each["name"] for each in values(path)] == ["a", "b", "c", ""]
    assert [each["name"] for each in values(path, merged="all")] == ["a", "b", "c", "c"]


def test_the_second_count_agrees_where_strings_are_shared_and_rows_have_no_numbers(tmp_path: Path) -> None:
    path = written(tmp_path, xlsx([["t", "u"], ["a", "b"], ["", " "], ["c", None]]))
    with ZipFile(path) as container:
        entries = {name: container.read(name) for name in container.namelist()}
    strings = "".join(f"<si>{text}</si>" for text in ("<t>t</t>", "<t> </t><rPh><t>x</t></rPh>", "<r><t>y</t></r>"))
    space = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
    entries["xl/sharedStrings.xml"] = f"<sst {space}>{strings}</sst>".encode()
    rows = "".join(f'<row><c t="s"><v>{n}</v></c></row>' for n in (0, 1, 2, 1, 2))
    entries["xl/worksheets/sheet1.xml"] = f"<worksheet {space}><sheetData>{rows}</sheetData></worksheet>".encode()
    types = entries["[Content_Types].xml"].decode()
    entries["[Content_Types].xml"] = types.encode()
    relations = entries["xl/_rels/workbook.xml.rels"].decode()
    shared_strings = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/sharedStrings"
    added = f'<Relationship Id="rIdS" Type="{shared_strings}" Target="sharedStrings.xml"/></Relationships>'
    entries["xl/_rels/workbook.xml.rels"] = relations.replace("</Relationships>", added).encode()
    path = written(tmp_path, zipped(entries))
    assert values(path, header=1) == [{"t": "y"}, {"t": "y"}]
    assert Excel(header=1).count(path) == 2


def test_repeated_rows_and_cells_of_open_documents_are_counted_as_they_are_read(tmp_path: Path) -> None:
    repeated = ' table:number-rows-repeated="{}"'
    blank = f"<table:table-row{repeated.format(3)}><table:table-cell/></table:table-row>"
    rows = row("name", "n") + row("a", "x", more=repeated.format(4)) + blank + row("b", " ")
    path = written(tmp_path, ods(rows + blank), "rows.ods")
    assert [(each.line, each.values["name"]) for each in Excel().records(path)] == [
        (2, "a"), (3, "a"), (4, "a"), (5, "a"), (9, "b")
    ]  # fmt: skip
    assert Excel().count(path) == 5


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "is empty"),
        (b"PK\x03\x04 and no more", "no sound spreadsheet"),
        (compound("EncryptedPackage"), "protected by a password"),
        (compound("Other"), "no sound spreadsheet"),
        (zipped({"a.txt": "words"}), "no sound spreadsheet"),
        (xlsx([["a"], [1]])[:-300], "no sound spreadsheet: its zip container"),
        (ods(row("a"), **{"META-INF/manifest.xml": "<m><encryption-data/></m>"}), "protected by a password"),
        (b"a,b\n1,2\n", "no sound spreadsheet"),
    ],
)
def test_what_is_no_spreadsheet_or_locked_is_refused(tmp_path: Path, content: bytes, why: str) -> None:
    for act in (Excel().look, lambda path: list(Excel().records(path)), Excel().count):
        with pytest.raises(Refused, match=why):
            act(written(tmp_path, content))


def test_a_damaged_entry_and_a_sheet_too_wide_to_hold_are_refused(tmp_path: Path) -> None:
    whole = xlsx([["a" * 200], [1]])
    with ZipFile(io.BytesIO(whole)) as container:
        start = container.getinfo("xl/worksheets/sheet1.xml").header_offset + 80
    with pytest.raises(Refused, match=r"'xl/worksheets/sheet1.xml' in it cannot be unpacked"):
        values(written(tmp_path, whole[:start] + b"\xff" * 40 + whole[start + 40 :]))
    far = openpyxl.Workbook()
    far.active["A1"], far.active["XFD1048576"] = "a", "z"
    far.save(tmp_path / "far.xlsx")
    with pytest.raises(Refused, match="17,179,869,184 cells"):
        values(tmp_path / "far.xlsx")
    cell = '<table:table-cell table:number-columns-repeated="16384" office:value-type="string"><text:p>x</text:p>'
    rows = f'<table:table-row table:number-rows-repeated="1048576">{cell}</table:table-cell></table:table-row>'
    with pytest.raises(Refused, match="17,179,869,184 cells"):
        values(written(tmp_path, ods(rows), "far.ods"))


def test_an_old_sheet_that_is_cut_off_is_refused_and_nothing_is_printed(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    whole = shared("data", "csvkit_examples_a", "test.xls").read_bytes()
    for left in (8, 100, 511, 600, len(whole) // 2, len(whole) - 700):
        with pytest.raises(Refused, match="no sound spreadsheet"):
            values(written(tmp_path, whole[:left], "old.xls"))
    assert capfd.readouterr() == ("", "")


def test_an_old_workbook_under_a_password_is_told(tmp_path: Path) -> None:
    """[MS-XLS] 2.4.117: a FilePass record (2F) behind the workbook's first one."""
    content = bytearray(shared("data", "csvkit_examples_a", "test.xls").read_bytes())
    behind = content.find(b"\x09\x08\x10\x00\x00\x06\x05\x00") + 20
    content[behind : behind + 2] = b"\x2f\x00"
    with pytest.raises(Refused, match="protected by a password"):
        values(written(tmp_path, bytes(content), "old.xls"))
