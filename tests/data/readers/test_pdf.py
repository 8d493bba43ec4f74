import logging
from pathlib import Path

import pytest
from made_files import locked_pdf, pdf
from shared_data import shared

from affina.core.errors import Refused
from affina.data.readers.pdf import Pdf

SQUARE = b"0 0 100 100 re f"


def written(folder: Path, content: bytes) -> Path:
    path = folder / "pages.pdf"
    path.write_bytes(content)
    return path


def test_the_text_comes_whole_or_by_page_with_the_number_of_the_page(tmp_path: Path) -> None:
    path = written(tmp_path, pdf(["First page", "Second\npage"]))
    assert [(each.line, each.values) for each in Pdf().records(path)] == [(1, "First page\n\nSecond\npage")]
    pages = [(each.line, each.values) for each in Pdf(by="page").records(path)]
    assert pages == [(1, "First page"), (2, "Second\npage")]
    assert Pdf(by="page").count(path) == 2 and "2 pages" in Pdf().look(path)[1]


def test_pages_that_the_file_states_and_has_not_are_told(tmp_path: Path) -> None:
    path = written(tmp_path, pdf(["First page", "Second page"]).replace(b"/Count 2", b"/Count 5"))
    whole, missing = Pdf().records(path)
    assert whole.values == "First page\n\nSecond page" and not whole.problem
    assert missing.problem == "the file says that it has 5 pages, and 2 were found"


def test_words_divided_at_line_ends_are_joined_also_over_pages(tmp_path: Path) -> None:
    path = written(tmp_path, pdf(["an exam-\nple of a well-\nknown and", "a well-known rule"]))
    assert [each.values for each in Pdf().records(path)] == ["an example of a well-known and\n\na well-known rule"]


def test_pages_without_text_are_said_and_blank_ones_are_not_in_a_document(tmp_path: Path) -> None:
    path = written(tmp_path, pdf(["words", SQUARE, None]))
    whole = [(each.line, each.values, each.problem.partition(":")[0]) for each in Pdf().records(path)]
    assert whole == [(1, "words", ""), (2, "", "the page holds no text")]
    pages = [(each.line, each.values, each.problem.partition(":")[0]) for each in Pdf(by="page").records(path)]
    assert pages == [(1, "words", ""), (2, "", "the page holds no text"), (3, "", "the page is blank")]
    assert [each.problem for each in Pdf().records(written(tmp_path, pdf([None])))] == ["every page of it is blank"]
    (only,) = Pdf().records(written(tmp_path, pdf([SQUARE])))
    assert "OCR" in only.problem


def test_a_password_is_refused_and_an_empty_one_is_tried(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="protected by a password"):
        Pdf().look(written(tmp_path, locked_pdf(pdf(["secret"]), "word")))
    assert [each.values for each in Pdf().records(written(tmp_path, locked_pdf(pdf(["open"]), "")))] == ["open"]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"words", "is no PDF"),
        (b"%PDF-1.4\nand no more", "no sound PDF"),
        (pdf(["words"])[:200], "no sound PDF"),
        (pdf([]), "it has no pages"),
    ],
)
def test_what_is_no_pdf_or_cut_off_is_refused(tmp_path: Path, content: bytes, why: str) -> None:
    for act in (Pdf().look, lambda path: list(Pdf().records(path))):
        with pytest.raises(Refused, match=why):
            act(written(tmp_path, content))


def test_a_page_that_cannot_be_read_has_a_problem_and_the_others_come(tmp_path: Path) -> None:
    content = pdf(["first", "second"]).replace(
        b"/MediaBox [0 0 595 842] /Resources", b"/MediaBox [0 0 595 842] /Resourcez", 1
    )
    broken = content.replace(b"/Contents 5 0 R", b"/Contents /Word")
    found = list(Pdf(by="page").records(written(tmp_path, broken)))
    assert [each.line for each in found] == [1, 2] and found[1].values == "second"
    assert found[0].problem


def test_real_files_are_read_or_refused_and_nothing_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    level = logging.getLogger("pypdf").level
    refused, pictures, texts = [], [], {}
    for path in sorted(shared("data", "pdf_samples_a").glob("*.pdf")):
        try:
            found = list(Pdf().records(path))
            pages = list(Pdf(by="page").records(path))
        except Refused:
            refused.append(path.name[:3])
            continue
        assert Pdf(by="page").count(path) == len(pages)
        pictures += [path.name[:3]] if any(each.problem for each in found) else []
        texts[path.name[:3]] = "\n".join(str(each.values) for each in found)
    assert (refused, pictures) == (["005"], ["007", "007", "019"])
    assert texts["015"] == "حَبيبي habibi حَبيبي"
    assert texts["013"].startswith("Name: Foo Bar\nFingerprint: asdfSa2123")
    assert "misfits" in texts["021"] and "Lorem Ipsum text" in texts["026"]
    assert capfd.readouterr() == ("", "")
    assert logging.getLogger("pypdf").level == level
