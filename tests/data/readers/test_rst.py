import re
from pathlib import Path

import pytest
from shared_data import shared

from affina.core.errors import Refused
from affina.data.readers.rst import Rst


def written(folder: Path, content: str) -> Path:
    path = folder / "page.rst"
    path.write_bytes(content.encode())
    return path


def found(path: Path, **settings: object) -> list[tuple[int, object]]:
    return [(each.line, each.values) for each in Rst.model_validate(settings).records(path)]


def test_the_text_comes_whole_by_section_and_by_paragraph(tmp_path: Path) -> None:
    path = written(tmp_path, "before\n\nOne\n===\n\nwords\n\nmore\n\nTwo\n---\n\nlast\n")
    assert found(path) == [(1, "before\n\nOne\n\nwords\n\nmore\n\nTwo\n\nlast")]
    assert [text for _, text in found(path, by="section")] == ["before", "One\n\nwords\n\nmore", "Two\n\nlast"]
    assert [line for line, _ in found(path, by="paragraph")] == [1, 4, 6, 8, 11, 13]


def test_a_text_of_comments_is_a_record_with_a_problem(tmp_path: Path) -> None:
    (only,) = Rst().records(written(tmp_path, ".. only a comment\n"))
    assert "no text of its own" in only.problem and only.values == ".. only a comment\n"


@pytest.mark.parametrize(
    ("content", "why"), [("", "empty"), (" \n", "no text"), ("many words and a\0 NUL", "NUL"), ("> " * 5, "")]
)
def test_what_holds_no_text_is_refused(tmp_path: Path, content: str, why: str) -> None:
    if why:
        with pytest.raises(Refused, match=why):
            found(written(tmp_path, content))
    else:
        assert found(written(tmp_path, content))


def test_what_is_nested_too_deeply_is_refused(tmp_path: Path) -> None:
    deep = "\n".join(f"{' ' * n}quote\n" for n in range(400))
    with pytest.raises(Refused, match="nested too deeply"):
        found(written(tmp_path, deep))


def test_real_documents_keep_their_words_and_lose_their_marks() -> None:
    for path in sorted(shared("data", "piano_triennale_ict_it").glob("*.rst")):
        records = found(path)
        text = " ".join(str(values) for _, values in records)
        pointers = r"<http[^>]*>`__?|<[^<> ]+>`__|^\.\. _.*"
        source = re.sub(pointers, "", path.read_text("utf-8").replace("*", ""), flags=re.M)
        source = source.replace("\\ ", "").replace("_", " ")
        source = re.sub(r"^\.\. (toctree|figure)::.*(?:\n[ \t]+.*|\n(?=\n[ \t]))*", "", source, flags=re.M)
        said, kept = re.findall(r"\w{4,}", source), set(re.findall(r"\w+", text.replace("_", " ")))
        lost = [word for word in said if word not in kept]
        assert len(lost) <= 1, path.name  # one file has a link in the middle of a word
        assert "::" not in text and "`__" not in text and "system_message" not in text
        assert Rst().count(path) == len(records)
