from pathlib import Path

import pytest
from made_files import CONTAINER, epub, xhtml, zipped

from affina.core.errors import Refused
from affina.data.readers.epub import Epub

TWO = {"one.xhtml": xhtml("<h1>One</h1><p>first</p>"), "two.xhtml": xhtml("<h1>Two</h1><p>perché</p>")}
LOCK = (
    '<encryption xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><EncryptedData>'
    '<EncryptionMethod Algorithm="{}"/><CipherData><CipherReference URI="{}"/></CipherData></EncryptedData>'
    "</encryption>"
)


def written(folder: Path, content: bytes) -> Path:
    path = folder / "book.epub"
    path.write_bytes(content)
    return path


def test_chapters_come_in_the_order_of_the_spine(tmp_path: Path) -> None:
    path = written(tmp_path, epub(TWO, ["two.xhtml", "one.xhtml"]))
    assert [(each.line, each.values) for each in Epub().records(path)] == [(1, "Two\n\nperché\n\nOne\n\nfirst")]
    chapters = [(each.line, each.values) for each in Epub(by="chapter").records(path)]
    assert chapters == [(1, "Two\n\nperché"), (2, "One\n\nfirst")]
    assert Epub(by="chapter").count(path) == 2 and "2 chapters" in Epub().look(path)[1]


def test_chapters_without_text_and_missing_ones_have_a_problem(tmp_path: Path) -> None:
    cover = {"cover.xhtml": xhtml('<img src="cover.jpg"/>'), "nav.xhtml": xhtml("<nav><a>One</a></nav>"), **TWO}
    path = written(tmp_path, epub(cover, ["cover.xhtml", "nav.xhtml", "one.xhtml", "gone.xhtml"]))
    problems = [each.problem for each in Epub(by="chapter").records(path)]
    assert [bool(each) for each in problems] == [True, True, False, True]
    assert Epub(by="chapter").count(path) == 4
    assert [each.values for each in Epub().records(path)] == ["One\n\nfirst"]
    (only,) = Epub().records(written(tmp_path, epub(cover, ["cover.xhtml"])))
    assert only.problem == "no chapter of the book holds text"


def test_elements_closed_where_they_open_swallow_nothing(tmp_path: Path) -> None:
    chapter = xhtml('<a id="x"/><script src="s.js"/><p/><p>words <br/>more</p>')
    (only,) = Epub().records(written(tmp_path, epub({"one.xhtml": chapter})))
    assert only.values == "words\nmore"


def test_a_locked_book_is_refused_and_one_with_hidden_fonts_is_not(tmp_path: Path) -> None:
    secret = LOCK.format("http://www.w3.org/2001/04/xmlenc#aes256-cbc", "OPS/one.xhtml")
    with pytest.raises(Refused, match="locked to a reading system"):
        Epub().look(written(tmp_path, epub(TWO, **{"META-INF/encryption.xml": secret})))
    fonts = LOCK.format("http://www.idpf.org/2008/embedding", "OPS/font.otf")
    assert Epub().look(written(tmp_path, epub(TWO, **{"META-INF/encryption.xml": fonts})))


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "is empty"),
        (b"words", "no sound EPUB"),
        (epub(TWO)[:-60], "no sound EPUB"),
        (zipped({"a.txt": "words"}), "holds no META-INF/container.xml"),
        (zipped({"META-INF/container.xml": CONTAINER}), "its package document 'OPS/book.opf' is not in it"),
        (zipped({"META-INF/container.xml": "<a>"}), "container.xml' in it cannot be read"),
        (epub(TWO, **{"OPS/book.opf": "<package/>"}), "names no chapters"),
        (epub(TWO, **{"OPS/book.opf": '<!DOCTYPE a [<!ENTITY x "y">]><package>&x;</package>'}), "cannot be read"),
    ],
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_what_is_no_book_is_refused(tmp_path: Path, content: bytes, why: str) -> None:
    with pytest.raises(Refused, match=why):
        list(Epub().records(written(tmp_path, content)))
