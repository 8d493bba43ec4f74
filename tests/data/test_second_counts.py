"""Documents and old spreadsheets are counted a second way: it agrees on ugly files, and a fault of the reader shows."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from made_files import docx, epub, xhtml
from shared_data import shared

from affina.core.errors import Failed
from affina.core.kinds import Reader
from affina.core.recipe import Data
from affina.data import biff, webpage
from affina.data.blocks import groups, parts
from affina.data.prepare import read_examples
from affina.data.readers import epub as epub_reader
from affina.data.readers import excel as excel_reader
from affina.data.readers.docx import Docx
from affina.data.readers.epub import Epub
from affina.data.readers.excel import Excel
from affina.data.readers.html import Html
from affina.data.readers.markdown import Markdown
from affina.data.readers.rst import Rst
from affina.data.tiles import recount

PAGE = """<body><nav><a>x</a></nav><h1>One</h1><p>words<p>more<h2></h2><h2>Two</h2><h3>Three</h3><ul><li>item<li>
<a>a</a><li><a>b</a><li><a>c</a></ul>
<table><tr><th>a<th>b<tr><td>1<td>2<tr><td colspan=2>&nbsp;<tr><td>3<td>4<tr><td>5<td>6
</table><footer>x</footer><article><header>kept</header></article><h2>Four</h2><div style="display: none">y</div>z"""
RST = """Before.

One
===

words

.. note:: Mind

Two
===
Three
-----

- a
- b

.. unknown::

   said

Four
====
"""
NOTE = """---
a: 1
---

Before.

# One
words
more

***
<div>
x
</div>

[a]: /x

## Two
- a

- b

# Three
> q
"""
WORD = [("Title", "Book"), ("Heading 1", "One"), ("Normal", "a"), ("Normal", " "), [["x", "y"]], ("Heading 2", "Two")]
WORD += [("Normal", "b"), ("Heading 1", "Three")]
UGLY = (
    "<p>a<b>b</p></b><h1><a>x</a></h1><a>y</a><div><a>z</a></div>w",
    "<body hidden><p>x",
    "<main><h2>a</h2><header>b</header></main><p>beside",
    "<article>few</article><p>many more words stand beside it, so that it is not what the page is about",
    "<li><pre>&nbsp;</pre><li>x<br>y<hr>z",
    "<table><tr><td>a<table><tr><td>b</table><tr><td>|</table>|<br>|",
    "<template><p>x</template><xmp><p>y</xmp><svg><style>p{}</style><path/></svg><h1>z",
    "<p>a <math><mi>x</mi><mo>=</mo><mn>1</mn></math><h2>b</h2><math><annotation>y</annotation></math>",
    "<p title='a > b \"<i>\"' a\"b=c>x<!-- <p>y --><script>'<p>'</script><noscript><p>z</noscript>",
)
ROWS = (
    "<table><tr><th>a<th>b<tr><td rowspan=2>1<td>2<tr><td>3<tr><td><tr><td hidden>4<tr><td>5</table>",
    "<table><tr><td colspan=2>1<td>2<tr><td>3<tr><td rowspan=9 colspan=x>4<td>5<td>6<tr><tr><td>7<td>8</table>",
    "<table><caption>c<tr><td>1<td>2<tbody><tr><td>3<td>4<tfoot><tr></table><table><tr><td><table><tr><td>5</table></table>",
)


def written(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize("by", ["section", "paragraph"])
def test_ugly_pages_are_counted_as_they_are_read(tmp_path: Path, by: str) -> None:
    for number, content in enumerate([PAGE, *UGLY, *ROWS]):
        path = written(tmp_path, f"{number}.html", content)
        for boilerplate in ("drop", "keep"):
            reader = Html.model_validate({"by": by, "boilerplate": boilerplate})
            assert recount(reader, path) == len([*reader.records(path)]), content


@pytest.mark.parametrize("content", [PAGE, *ROWS])
def test_rows_of_ugly_tables_are_counted_as_they_are_read(tmp_path: Path, content: str) -> None:
    reader, _ = Html(by="table").look(path := written(tmp_path, "a.html", content))
    assert recount(reader, path) == len([*reader.records(path)]) > 0


def test_a_formula_with_an_element_of_raw_text_has_no_second_count(tmp_path: Path) -> None:
    assert recount(Html(by="section"), written(tmp_path, "a.html", "<math><xmp><td>x</math><h1>y")) is None


def of_documents(folder: Path) -> Iterator[tuple[Reader, Path, str]]:
    """Readers with a file, and the name in their module through which all records go."""
    for by in ("section", "paragraph"):
        yield Html.model_validate({"by": by}), written(folder, "a.html", PAGE), "affina.data.readers.html.parts"
        yield Rst.model_validate({"by": by}), written(folder, "a.rst", RST), "affina.data.readers.rst.parts"
        yield Docx.model_validate({"by": by}), written(folder, "a.docx", docx(*WORD)), "affina.data.readers.docx.parts"
    yield Markdown(by="paragraph"), written(folder, "a.md", NOTE), "affina.data.readers.markdown.groups"


def faulty(fault: str, sound: Callable[..., Iterable[Any]]) -> Callable[..., Iterator[Any]]:
    def changed(*given: Any) -> Iterator[Any]:
        kept = [*sound(*given)]
        if fault == "lost":
            del kept[1]
        elif fault == "doubled":
            kept.insert(1, kept[1])
        elif fault == "last":
            del kept[-1]
        yield from kept

    return changed


@pytest.mark.parametrize("fault", ["", "lost", "doubled", "last"])
def test_a_part_that_a_reader_loses_or_doubles_is_found_out(
    tmp_path: Path, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for reader, path, name in of_documents(tmp_path):
        with monkeypatch.context() as patch:
            patch.setattr(name, faulty(fault, groups if name.endswith("groups") else parts))
            read = len([*reader.records(path)])
            try:
                agree = recount(reader, path) == read
            except Failed:
                agree = False
            assert read > 1 and agree == (not fault), (reader, path)


def test_a_run_with_such_a_fault_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path, "a.html", PAGE)
    monkeypatch.setattr("affina.data.readers.html.parts", faulty("lost", parts))
    with pytest.raises(Failed, match="the ledger does not add up"):
        read_examples(Data(read=[path.name], reader=Html(by="section")), tmp_path)


def test_a_row_that_a_table_loses_is_found_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reader, _ = Html(by="table").look(path := written(tmp_path, "a.html", PAGE))
    assert recount(reader, path) == len([*reader.records(path)]) == 4
    sound = webpage._grid
    monkeypatch.setattr(webpage, "_grid", lambda rows: [*faulty("lost", sound)(rows)])
    assert recount(reader, path) == 4 != len([*reader.records(path)])


def test_a_chapter_that_a_book_loses_is_found_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path, "a.epub", epub({"a.xhtml": xhtml("<p>a</p>"), "b.xhtml": xhtml("<p>b</p>")}))
    sound = epub_reader._package
    assert recount(Epub(by="chapter"), path) == 2
    monkeypatch.setattr(epub_reader, "_package", lambda *given: sound(*given)._replace(spine=sound(*given).spine[1:]))
    assert recount(Epub(by="chapter"), path) == 2 != len([*Epub(by="chapter").records(path)])


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("csvkit_examples_a", "test.xls"),
        ("csvkit_examples_a", "test_skip_lines.xls"),
        ("csvkit_examples_a", "sheets.xls"),
        ("frictionless_tables_a", "table.xls"),
        ("frictionless_tables_a", "sheet2.xls"),
    ],
)
def test_rows_of_an_old_workbook_are_counted_in_its_records(
    folder: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = shared("data", folder, name)
    for settings in ({}, {"header": 0}):
        reader, _ = Excel.model_validate(settings).look(path)
        assert recount(reader, path) == len([*reader.records(path)]) > 0
    sound = excel_reader._rows
    monkeypatch.setattr(excel_reader, "_rows", faulty("last", sound))
    assert recount(reader, path) == len([*reader.records(path)]) + 1


def test_shared_strings_go_on_in_the_next_record_with_another_width() -> None:
    """[MS-XLS] 2.5.293: where letters go on in a CONTINUE record, a byte says again how wide they are."""
    head = (2).to_bytes(4, "little") * 2 + (4).to_bytes(2, "little") + b"\x00" + b"  "
    rest = b"\x01" + " x".encode("utf-16-le") + (2).to_bytes(2, "little") + b"\x0c" + b"\x01\x00\x03\x00\x00\x00  "
    records = [(biff.STRINGS, head), (biff.CONTINUE, rest + b"runs"), (biff.CONTINUE, b"ext"), (biff.EOF, b"")]
    assert [*biff._blank(records)] == [False, True]
