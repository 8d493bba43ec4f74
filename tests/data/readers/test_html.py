from pathlib import Path

import pytest
from shared_data import shared

from affina.core.errors import Refused
from affina.data.readers.html import Html

PAGE = """<!DOCTYPE html>
<html><head><title>Site: page</title><style>p {color: red}</style><script>var a = "<p>no</p>";</script></head>
<body>
<header><h1>The site</h1></header>
<nav><a href="/">Home</a> <a href="/x">More</a></nav>
<main>
  <h1>A   title</h1>
  <p>First <b>bold</b> and <a href="x">a link</a>,<br>then a line.</p>
  <p hidden>hidden</p><p style="display: none">not shown</p><div aria-hidden="true">icon</div>
  <ul><li>one</li><li><p>two</p></li></ul>
  <ol><li>first</li><li>second</li></ol>
  <h2>Code</h2>
  <pre>def f():
    return 1
</pre>
  <table><tr><th>a</th><th>b</th></tr><tr><td>1</td><td><p>2</p></td></tr></table>
</main>
<footer>Imprint</footer>
</body></html>"""
TEXT = [
    "A title",
    "First bold and a link,\nthen a line.",
    "- one",
    "- two",
    "1. first",
    "2. second",
    "Code",
    "def f():\n    return 1",
    "a | b",
    "1 | 2",
]


def written(folder: Path, content: str | bytes) -> Path:
    path = folder / "page.html"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def found(path: Path, **settings: object) -> list[object]:
    return [each.values for each in Html.model_validate(settings).records(path)]


def test_what_a_person_reads_is_the_text(tmp_path: Path) -> None:
    path = written(tmp_path, PAGE)
    assert found(path, by="paragraph") == TEXT
    assert found(path) == ["\n\n".join(TEXT)]
    assert [each.line for each in Html(by="section").records(path)] == [1, 7]
    kept = found(path, boilerplate="keep", by="paragraph")
    assert kept[:2] == ["The site", "Home More"] and kept[-1] == "Imprint" and "icon" in kept
    assert "hidden" not in kept


def test_runs_of_links_are_navigation_and_a_link_in_text_is_not(tmp_path: Path) -> None:
    links = "".join(f"<li><a href='/{n}'>Page {n}</a></li>" for n in range(3))
    body = f"<p>words</p><p><a href='/x'>one link</a></p><p>and words</p><ul>{links}</ul>"
    assert found(written(tmp_path, body), by="paragraph") == ["words", "one link", "and words"]
    (only,) = Html().records(written(tmp_path, f"<ul>{links}</ul>"))
    assert "`boilerplate: keep`" in only.problem
    (none,) = Html().records(written(tmp_path, "<script>write()</script>"))
    assert "holds no text" in none.problem and Html().count(written(tmp_path, "<p>")) == 1


def test_an_article_is_the_page_where_it_holds_most_of_it_and_its_header_belongs_to_it(tmp_path: Path) -> None:
    body = "<div>Read on</div><article><header><h1>T</h1></header><p>many words of text here</p></article>"
    assert found(written(tmp_path, body)) == ["T\n\nmany words of text here"]


@pytest.mark.parametrize(
    ("head", "encoding"),
    [
        ('<meta charset="iso-8859-1">', "cp1252"),
        ("<meta http-equiv=Content-Type content='text/html; charset=windows-1251'>", "cp1251"),
        ('<meta charset="shift_jis">', "cp932"),
        ('<meta charset="utf-8">', "utf-8"),
        ("", "utf-8-sig"),
        ("", "utf-16"),
    ],
)
def test_the_declared_encoding_is_obeyed_as_browsers_do(tmp_path: Path, head: str, encoding: str) -> None:
    word = {"cp1251": "слово", "cp932": "言葉"}.get(encoding, "perché “sì”")
    path = written(tmp_path, f"<html><head>{head}</head><p>{word}".encode(encoding))
    assert found(path) == [word]
    assert Html().look(path)[0].encoding == encoding


def test_a_declaration_that_is_wrong_is_said(tmp_path: Path) -> None:
    path = written(tmp_path, '<meta charset="utf-8"><p>perché'.encode("latin-1"))
    settled, reason = Html().look(path)
    assert "says it is utf-8, which it is not, and was read as cp1252" in reason
    assert [each.values for each in settled.records(path)] == ["perché"]
    assert found(path, encoding="latin-1") == ["perché"]


def test_rows_of_the_largest_table_are_records_with_the_columns_of_its_header(tmp_path: Path) -> None:
    small = "<table><tr><td>x</td></tr></table>"
    rows = "<tr><th>name<th>n<tr><td rowspan=2>Anna<td>1<tr><td>2<tr><td colspan=2>all<tr><td>short"
    path = written(tmp_path, f"{small}<table><tr><td><table>{rows}</table></table>")
    settled, reason = Html(by="table").look(path)
    assert (settled.table, settled.header) == (2, True) and "table 2 of 2, 5 rows, a header" in reason
    records = list(settled.records(path))
    assert [(each.line, each.values) for each in records[:3]] == [
        (2, {"name": "Anna", "n": "1"}),
        (3, {"name": "Anna", "n": "2"}),
        (4, {"name": "all", "n": "all"}),
    ]
    assert records[3].problem == "the row has 1 cells where 2 are expected"
    assert found(path, by="table", table=1) == [{"column 1": "x"}]
    with pytest.raises(Refused, match="has no table 9"):
        found(path, by="table", table=9)
    with pytest.raises(Refused, match="there is none"):
        found(written(tmp_path, "<p>words"), by="table")


def test_ten_thousand_open_elements_and_spans_without_end_are_read(tmp_path: Path) -> None:
    assert found(written(tmp_path, "<div>" * 10_000 + "deep")) == ["deep"]
    rows = "<tr>" + "<td colspan=1000 rowspan=65534>x" * 40 + "<tr><td>y"
    records = list(Html(by="table", header=False).records(written(tmp_path, f"<table>{rows}")))
    assert len(records) == 2 and len(records[0].values) == 16_384


def test_pages_of_a_real_collection_lose_no_letter_of_their_body() -> None:
    for path in sorted(shared("data", "chardet_encodings_a").glob("*.html")):
        settled, _ = Html().look(path)
        (only,) = settled.records(path)
        source = path.read_bytes().decode(settled.encoding or "")
        assert only.values and only.problem == ""
        assert sum(map(str.isalpha, only.values)) <= sum(map(str.isalpha, source))


@pytest.mark.parametrize(("content", "why"), [(b"", "is empty"), (b"\x89PNG\r\n\x1a\n\0", "PNG image")])
def test_what_is_no_page_is_refused(tmp_path: Path, content: bytes, why: str) -> None:
    with pytest.raises(Refused, match=why):
        found(written(tmp_path, content))
