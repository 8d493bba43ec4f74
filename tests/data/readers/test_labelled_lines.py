"""Lines that begin with their class: found by their bytes, divided, and not taken for what else begins alike."""

from pathlib import Path

import pytest
from shared_data import shared

from affina.core.errors import Refused
from affina.core.kinds import readers
from affina.data.prefixed import divided, labelled
from affina.data.recognise import reader_for, shape_for
from affina.data.tiles import recount

NUMBERED = "".join(f"{n % 2} some words of line {n}\n" for n in range(30))


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("rows.train", NUMBERED, {"label": "0", "text": "some words of line 0"}),
        ("rows.txt", "__label__a some words\n" * 3, {"label": "a", "text": "some words"}),
        (
            "rows.ft",
            "__label__a __label__b some words\n__label__a more\n",
            {"labels": ["a", "b"], "text": "some words"},
        ),
        (
            "rows.label",
            "DESC:def What is it now ?\nNUM:date When was that ?\n" * 15,
            {"label": "DESC:def", "text": "What is it now ?"},
        ),
    ],
)
def test_lines_that_begin_with_a_class_are_found_and_divided(
    name: str, content: str, expected: dict[str, object], tmp_path: Path
) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    reader, reason = reader_for(tmp_path / name)
    assert reader.name == "labelled_lines" and reason.startswith("labelled_lines")
    found = list(reader.records(tmp_path / name))
    assert found[0].values == expected
    assert recount(reader, tmp_path / name) == len(found)


@pytest.mark.parametrize(
    "content",
    [
        NUMBERED.replace("0 ", "", 5),
        "".join(f"{n} some words here\n" for n in range(60)),  # line numbers
        "The one line of prose\nAnd another line of it\nThen a third one follows\n" * 2,
        "User: some words here\nBot: other words there\n" * 20,
        "- a thing and another\n- one more of them\n" * 20,
        "a b\nc d\n" * 30,
    ],
)
def test_other_lines_are_text(content: str, tmp_path: Path) -> None:
    (tmp_path / "rows").write_text(content, encoding="utf-8")
    assert reader_for(tmp_path / "rows")[0].name == "text"


def test_a_line_with_a_class_alone_has_an_empty_text_and_one_with_a_nul_a_problem(tmp_path: Path) -> None:
    path = tmp_path / "rows.ft"
    path.write_text("__label__a\n\n__label__b so\0me\n__label__b words\n", encoding="utf-8")
    found = list(readers.build("labelled_lines").records(path))
    assert [(record.line, record.values, bool(record.problem)) for record in found] == [
        (1, {"label": "a", "text": ""}, False),
        (3, "__label__b so\0me", True),
        (4, {"label": "b", "text": "words"}, False),
    ]
    path.write_text(" \n\n", encoding="utf-8")
    with pytest.raises(Refused, match="holds no lines"):
        list(readers.build("labelled_lines").records(path))


def test_a_class_is_what_stands_before_the_first_space() -> None:
    assert divided("0 a b") == (["0"], "a b")
    assert divided("__label__x\t__label__y  a b") == (["x", "y"], "a b")
    assert divided("__label__x") == (["x"], "")
    assert not labelled([]) and not labelled(["\n"] * 20)


def test_published_sentences_have_two_classes() -> None:
    path = shared("data", "sst2_binary", "stsa.binary.dev")
    reader, _ = reader_for(path)
    found = list(reader.records(path))
    assert reader.name == "labelled_lines" and len(found) == len(path.read_text("utf-8").splitlines()) == 872
    assert shape_for(found)[0].changed() == {}
    assert {record.values["label"] for record in found} == {"0", "1"}
