from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shared_data import shared

from affina.core.errors import Refused
from affina.core.kinds import Record, Span, readers
from affina.data import lines
from affina.data.readers import conll
from affina.data.recognise import reader_for
from affina.data.tiles import recount

UNIVERSAL = """\
# sent_id = 1
# text = Vado al mare
# irony = NOT\tIRONIC
1\tVado\tandare\tVERB\tV\t_\t0\troot\t_\t_
2-3\tal\t_\t_\t_\t_\t_\t_\t_\t_
2\ta\ta\tADP\tE\t_\t4\tcase\t_\t_
3\til\til\tDET\tRD\t_\t4\tdet\t_\t_
4\tmare\tmare\tNOUN\tS\t_\t1\tobl\t_\t_
4.1\tvado\tandare\tVERB\tV\t_\t_\t_\t_\t_
"""


def read(folder: Path, text: str, name: str = "rows.conll", **fields: Any) -> list[Record]:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    reader = readers.build({"name": "conll", **fields})
    found = list(reader.records(path))
    assert recount(reader, path) == len(found)
    return found


def test_sentences_end_at_blank_lines_with_or_without_tabs_in_them(tmp_path: Path) -> None:
    found = read(tmp_path, "\na\tO\nb\tB-X\n\t\nc\tO\n \n\n\nd\tI-X")
    assert [(record.line, record.values) for record in found] == [
        (2, {"words": ["a", "b"], "tags": ["O", "B-X"]}),
        (5, {"words": ["c"], "tags": ["O"]}),
        (9, {"words": ["d"], "tags": ["I-X"]}),
    ]


def test_universal_dependencies_keep_the_syntactic_words_alone(tmp_path: Path) -> None:
    (record,) = read(tmp_path, UNIVERSAL, "rows.conllu")
    assert record.line == 4
    assert record.values["words"] == ["Vado", "a", "il", "mare"]
    assert record.values["upos"] == ["VERB", "ADP", "DET", "NOUN"]
    assert list(record.values) == ["words", "lemma", "upos", "xpos", "feats", "head", "deprel", "deps", "misc"]


def test_the_columns_of_conll_2003_are_words_first_and_tags_last(tmp_path: Path) -> None:
    text = "-DOCSTART- -X- -X- O\n\nEU NNP B-NP B-ORG\nrejects VBZ B-VP O\n\n# 1 2 3\n"
    found = read(tmp_path, text)
    assert found[0].values == {
        "words": ["EU", "rejects"],
        "column 2": ["NNP", "VBZ"],
        "column 3": ["B-NP", "B-VP"],
        "tags": ["B-ORG", "O"],
    }
    assert found[1].values["words"] == ["#"] and len(found) == 2  # with four cells # is a word
    closer = [replace(found[0], line=2, span=Span(0, 58, 3)), replace(found[1], line=5, span=Span(59, 67))]
    assert read(tmp_path, text.replace("O\n\nEU", "O\nEU")) == closer


def test_a_column_of_word_numbers_is_passed_over(tmp_path: Path) -> None:
    (record,) = read(tmp_path, "0\tNew\tB-LOC\n1\tYork\tI-LOC\n")
    assert record.values == {"words": ["New", "York"], "tags": ["B-LOC", "I-LOC"]}


def test_words_may_begin_with_a_hash(tmp_path: Path) -> None:
    (record,) = read(tmp_path, "# a comment\n#sun\tO\n#\tO\nis\tO\n")
    assert record.values["words"] == ["#sun", "#", "is"]


def test_columns_may_be_named(tmp_path: Path) -> None:
    (record,) = read(tmp_path, "a X O\nb Y O\n", columns=["words", "pos", "ner"])
    assert record.values == {"words": ["a", "b"], "pos": ["X", "Y"], "ner": ["O", "O"]}


def test_a_sentence_with_a_ragged_line_has_a_problem_and_the_others_stand(tmp_path: Path) -> None:
    found = read(tmp_path, "a\tO\nb\n\nc\tO\nd\tO\n")
    assert found[0].problem == "line 2 has 1 cells where 2 are expected" and found[0].line == 1
    assert found[0].values == ["a\tO", "b"]
    assert found[1].values["words"] == ["c", "d"] and not found[1].problem


def test_a_tag_among_the_features_of_a_word_is_a_column(tmp_path: Path) -> None:
    rows = "1\tEva\t_\tPROPN\t_\t_\t0\troot\t_\tNER=B-PER|SpaceAfter=No\n2\t!\t_\tPUNCT\t_\t_\t1\tpunct\t_\t_\n"
    (record,) = read(tmp_path, rows, "rows.conllu")
    assert (record.values["ner"], record.values["upos"]) == (["B-PER", "O"], ["PROPN", "PUNCT"])
    settled, reason = readers.build("conll").look(tmp_path / "rows.conllu")
    assert "ner" in reason and list(settled.records(tmp_path / "rows.conllu")) == [record]
    (tmp_path / "rows.conllu").write_text(rows.replace("NER=B-PER", "Entity=(e1-person"))
    assert "ner" not in next(readers.build("conll").records(tmp_path / "rows.conllu")).values


def test_a_file_may_name_its_own_columns(tmp_path: Path) -> None:
    text = "# global.columns = ID FORM UPOS PARSEME:MWE\n# text = a b\n1\ta\tX\t*\n2\tb\tY\t1\n"
    (record,) = read(tmp_path, text, "rows.conllup")
    assert record.values == {"words": ["a", "b"], "upos": ["X", "Y"], "mwe": ["*", "1"]}


def test_words_that_no_blank_line_divides_are_no_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conll, "LONGEST", 3)
    with pytest.raises(Refused, match=r"rows\.conll:3: .* a sentence of more than 3 words"):
        read(tmp_path, "a\tO\n\nb\tO\nc\tO\nd\tO\ne\tO\n")


LINES = st.sampled_from(["a\tO", "# c", " #\tO", "#", "\t", "", " ", "-DOCSTART-\tO", "-DOCSTART-", "a b c", "x"])


@settings(deadline=None, max_examples=200)
@given(rows=st.lists(LINES, max_size=12), size=st.integers(1, 20), separator=st.sampled_from(["tab", "space"]))
def test_sentences_are_counted_as_they_are_read(
    tmp_path_factory: pytest.TempPathFactory, rows: list[str], size: int, separator: str
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines, "CHUNK", size)
        fields = {"separator": separator, "columns": ["words", "tags"], "encoding": "utf-8"}
        found = read(tmp_path_factory.getbasetemp(), "\n".join(["x\tO", "", *rows]), **fields)
    assert found[0].values == {"words": ["x"], "tags": ["O"]} and len(found) <= 1 + len(rows)


@pytest.mark.parametrize(
    ("text", "why"), [("# only\n\n# comments\n", "no sentences"), ("one\nby\none\n", "single words")]
)
def test_what_holds_no_tagged_words_is_refused(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(Refused, match=why):
        read(tmp_path, text)


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("a.bio", "a\tO\n", "conll"),
        ("a.annotated", "a\tO\nb\tB-X\n\nc\tO\n", "conll"),
        ("a.annotated", "a\tO\nb\tO\nc\tO\n", "csv"),
        ("a.annotated", "a\thello\n\nb\twin\n", "csv"),
    ],
)
def test_sentences_are_told_from_tables_by_tags_and_blank_lines(
    tmp_path: Path, name: str, text: str, expected: str
) -> None:
    (tmp_path / name).write_text(text)
    assert reader_for(tmp_path / name)[0].name == expected


@pytest.mark.parametrize(
    ("parts", "sentences", "words"),
    [  # counted by the collection's own index
        (("wnut17", "wnut17train.conll"), 3394, 62730),
        (("wnut17", "emerging.test.annotated"), 1287, 23394),
        (("wikineural_it_test", "test.conllu"), 11069, 313066),
    ],
)
def test_real_files_have_the_words_that_they_are_known_to_have(
    parts: tuple[str, str], sentences: int, words: int
) -> None:
    path = shared("data", *parts)
    found = list(reader_for(path)[0].records(path))
    assert not any(record.problem for record in found)
    assert recount(reader_for(path)[0], path) == sentences
    assert (len(found), sum(len(record.values["words"]) for record in found)) == (sentences, words)


def test_a_real_treebank_has_the_words_that_its_numbers_say() -> None:
    path = shared("data", "ud_italian_twittiro", "it_twittiro-ud-dev.conllu")
    found = list(reader_for(path)[0].records(path))
    written = path.read_text(encoding="utf-8").splitlines()
    assert sum(len(record.values["words"]) for record in found) == sum(
        line.partition("\t")[0].isdecimal() for line in written
    )
