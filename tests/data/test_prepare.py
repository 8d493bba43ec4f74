import json
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from shared_data import shared

from affina.core.errors import Refused
from affina.core.example import Chat, Example, Labelled, MultiLabelled, Tagged
from affina.core.kinds import readers
from affina.core.recipe import Recipe
from affina.data.prepare import build, prepare, read_examples
from affina.data.recognise import reader_for
from affina.data.shaped import Objection


def recipe(folder: Path, *read: str, **data: Any) -> Recipe:
    return Recipe.build({"name": "x", "model": {"base": "any"}, "data": {"read": [*read], **data}}, folder)


def table(folder: Path, rows: list[tuple[str, str]], name: str = "rows.jsonl") -> Path:
    path = folder / name
    path.write_text("".join(json.dumps({"text": text, "label": label}) + "\n" for text, label in rows))
    return path


def distinct(count: int) -> list[tuple[str, str]]:
    return [(f"{chr(97 + n % 26) * 4} {n * 7919} words", "ab"[n % 2]) for n in range(count)]


def test_every_row_has_one_end_and_a_unique_id(tmp_path: Path) -> None:
    rows = [*distinct(40), ("", "a"), ("no label", ""), distinct(1)[0]]
    path = table(tmp_path, rows)
    path.write_text(path.read_text() + "torn {\n")
    found = prepare(recipe(tmp_path, "rows.jsonl"))
    totals = found.ledger.summary()
    assert totals["read"] == 44
    assert sum(totals["used"].values()) == 40
    assert totals["dropped"] == {"total": 1, "reasons": {"exact duplicate of rows.jsonl:1": 1}}
    assert totals["quarantined"]["total"] == 3
    assert list(found.examples) == ["train", "validation", "test"]
    used = [example for examples in found.examples.values() for example in examples]
    assert len({example.id for example in used}) == 40
    assert {example.id for example in used} == {f"rows.jsonl:{line}" for line in range(1, 41)}
    assert all(example.split == split for split, examples in found.examples.items() for example in examples)


def test_labels_are_one_shared_sorted_tuple(tmp_path: Path) -> None:
    table(tmp_path, distinct(30))
    found = prepare(recipe(tmp_path, "rows.jsonl"))
    assert found.labels == ("a", "b")
    shared_tuples = {id(e.labels) for examples in found.examples.values() for e in examples if isinstance(e, Labelled)}
    assert len(shared_tuples) == 1


@pytest.mark.parametrize(
    ("row", "labels"),
    [
        (lambda n: {"text": f"{n * 7919} words", "labels": [["b"], ["a", "b"], []][n % 3]}, ("a", "b")),
        (lambda n: {"words": [f"{n * 7919}", "words"], "tags": ["O", "B-X"]}, ("B-X", "O")),
        (lambda n: {"text": f"{n * 7919} words", "a": n % 2, "b": n // 2 % 2}, ("a", "b")),
    ],
    ids=["sets", "tags", "columns"],
)
def test_sets_of_classes_and_tags_have_the_label_set_of_the_whole_data(
    tmp_path: Path, row: Any, labels: tuple[str, ...]
) -> None:
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row(n)) + "\n" for n in range(40)))
    found = prepare(recipe(tmp_path, "rows.jsonl"))
    examples = [each for held in found.examples.values() for each in held]
    assert found.labels == labels
    assert all(isinstance(each, (MultiLabelled, Tagged)) and each.labels is found.labels for each in examples)
    assert {split: len(held) for split, held in found.examples.items()} == {"train": 28, "validation": 4, "test": 8}


@pytest.mark.parametrize(
    ("row", "why"),
    [
        (lambda n: {"text": f"{n * 7919} words", "labels": ["a", "b"]}, "every usable row is 'a, b'"),
        (lambda n: {"text": f"{n * 7919} words", "labels": []}, "every usable row is without a class"),
        (lambda n: {"words": [f"{n * 7919}", "words"], "tags": ["O", "O"]}, "every usable row is 'O'"),
    ],
)
def test_answers_that_are_all_the_same_are_refused(tmp_path: Path, row: Any, why: str) -> None:
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row(n)) + "\n" for n in range(20)))
    shape = "tagged" if "tags" in row(0) else "multi_label"
    with pytest.raises(Refused, match=why):
        prepare(recipe(tmp_path, "rows.jsonl", shape=shape))


def test_one_class_that_is_right_for_some_can_be_learnt(tmp_path: Path) -> None:
    rows = [{"text": f"{n * 7919} words", "labels": ["a"] * (n % 2)} for n in range(40)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert prepare(recipe(tmp_path, "rows.jsonl", shape="multi_label")).labels == ("a",)


def test_rows_on_one_line_have_ids_of_their_own(tmp_path: Path) -> None:
    rows = [{"text": text, "label": label} for text, label in distinct(10)]
    (tmp_path / "rows.json").write_text(json.dumps(rows))
    found = read_examples(recipe(tmp_path, "rows.json").data, tmp_path)
    ids = [example.id for example in found.examples["all"]]
    assert ids == ["rows.json:1", *(f"rows.json:1.{turn}" for turn in range(2, 11))]


def test_files_of_one_name_are_told_apart(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        table(tmp_path / folder, distinct(10))
    found = read_examples(recipe(tmp_path, "one", "two").data, tmp_path)
    assert {example.id.split(":")[0] for example in found.examples["all"]} == {"one/rows.jsonl", "two/rows.jsonl"}
    assert len(found.files) == 2


def test_texts_under_two_labels_are_kept_and_noted(tmp_path: Path) -> None:
    table(tmp_path, [*distinct(30), ("the same words", "a"), ("the same  words", "b")])
    found = prepare(recipe(tmp_path, "rows.jsonl"))
    assert sum(map(len, found.examples.values())) == 32
    assert any(note.startswith("1 texts stand under more than one label") for note in found.notes)


def test_what_there_is_an_objection_to_is_quarantined(tmp_path: Path) -> None:
    table(tmp_path, distinct(30))

    def objection(example: Example) -> str:
        return "it is the first" if example.id.endswith(":1") else ""

    found = prepare(recipe(tmp_path, "rows.jsonl"), Objection("the test", objection))
    assert found.ledger.summary()["quarantined"]["reasons"] == {"it is the first": 1}


@pytest.mark.parametrize(
    ("rows", "data", "why"),
    [
        ([("x y", "a"), ("z w", "a"), ("q r", "a")], {}, "only one class to learn"),
        (distinct(30), {"transforms": ["dedup"]}, "add `split` to `data.transforms`"),
        (distinct(4), {}, "split is empty: train 2, validation 0, test 2 of 4"),
        ([("", "a"), ("x y", ""), ("", "")], {"shape": "labelled"}, "no usable row is left: 3 were read"),
        (distinct(9), {"shape": {"name": "labelled", "label": "lable"}}, "did you mean 'label'"),
        (distinct(9), {"shape": "alpaca"}, "the columns are text, label"),
        ([*distinct(9), ("", "a")], {"on_bad": "stop", "shape": "labelled"}, r"rows\.jsonl:10: .*the text is empty"),
    ],
)
def test_data_that_cannot_be_learnt_from_is_refused(
    tmp_path: Path, rows: list[tuple[str, str]], data: dict[str, Any], why: str
) -> None:
    table(tmp_path, rows)
    with pytest.raises(Refused, match=why):
        prepare(recipe(tmp_path, "rows.jsonl", **data))


def said(folder: Path, *rows: str, objection: Any = None, **data: Any) -> str:
    (folder / "rows.csv").write_text("\n".join(["text,category", *rows]) + "\n", encoding="utf-8")
    with pytest.raises(Refused) as caught:
        prepare(recipe(folder, "rows.csv", **data), objection)
    return str(caught.value)


def test_a_table_of_one_text_is_not_told_to_be_divided(tmp_path: Path) -> None:
    refused = said(tmp_path, "only one row of text,a", shape="raw")
    assert "split is empty" in refused and "add rows" in refused
    assert "divide" not in refused and "paragraph" not in refused


def test_rows_that_there_is_an_objection_to_are_not_blamed_on_the_columns(tmp_path: Path) -> None:
    rows = [f"{text},{label}" for text, label in distinct(9)]
    refused = said(tmp_path, *rows, objection=Objection("x", lambda _: "its text spells out the special token <x>"))
    assert "9 × its text spells out the special token <x>. mend the texts, or choose another base" in refused
    assert "data.shape" not in refused


def test_rows_that_are_all_broken_are_not_blamed_on_the_columns(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text("one\ntwo\n", encoding="utf-8")
    with pytest.raises(Refused, match=r"2 × not JSON.*\. mend the file$"):
        prepare(recipe(tmp_path, "rows.jsonl"))


def test_a_column_that_nothing_is_like_is_one_sentence(tmp_path: Path) -> None:
    rows = [f"{text},{label}" for text, label in distinct(9)]
    assert said(tmp_path, *rows, shape={"name": "labelled", "text": "zzzzzz", "label": "category"}).endswith(
        "no column is called 'zzzzzz': the columns are text, category. name the columns under `data.shape`"
    )


def test_a_file_of_broken_rows_is_refused_with_the_reasons(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text("one\ntwo\n")
    with pytest.raises(Refused, match="no usable row is left: 2 were read and all were set aside: 2 × not JSON"):
        prepare(recipe(tmp_path, "rows.jsonl"))


def test_a_single_document_is_refused_with_the_way_to_divide_it(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("\n\n".join(f"{n * 7919} words of a paragraph" for n in range(30)))
    with pytest.raises(Refused, match="by: paragraph"):
        prepare(recipe(tmp_path, "notes.txt"))
    found = prepare(recipe(tmp_path, "notes.txt", reader={"name": "text", "by": "paragraph"}))
    assert {split: len(held) for split, held in found.examples.items()} == {"train": 21, "validation": 3, "test": 6}


def test_preparation_loads_neither_torch_nor_transformers(tmp_path: Path) -> None:
    table(tmp_path, distinct(30))
    (tmp_path / "r.yaml").write_text("model: {base: any}\ndata: {read: [rows.jsonl]}\n")
    script = (
        "import sys; from affina.core.recipe import Recipe; from affina.data.prepare import prepare; "
        "prepare(Recipe.load(sys.argv[1])); "
        "print([name for name in ('torch', 'transformers', 'sklearn') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path / "r.yaml")], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("[]\n", "")


REVERSED = """
from affina.core.kinds import Reader, Record
class Reversed(Reader):
    \"\"\"Bytes that are no text, one record per zero-ended string.\"\"\"
    suffixes = (".rev",)
    def records(self, path):
        for line, part in enumerate(path.read_bytes().split(b"\\0"), 1):
            text, _, label = part[::-1].decode().rpartition(" ")
            yield Record({"text": text, "label": label}, str(path), line)
"""


def test_a_new_format_is_one_file_even_where_it_is_no_text(tmp_path: Path, add_part: Any) -> None:
    add_part(readers, "reversed", REVERSED)
    (tmp_path / "rows.rev").write_bytes(b"\0".join(f"{text} {label}"[::-1].encode() for text, label in distinct(30)))
    found = prepare(recipe(tmp_path, "rows.rev"))
    assert sum(map(len, found.examples.values())) == 30


@pytest.mark.slow
def test_a_hundred_thousand_rows_are_prepared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dice = random.Random(0)
    words = ["".join(dice.choices("abcdefghilmnoprstuvz", k=dice.randint(2, 9))) for _ in range(5000)]
    table(tmp_path, [(" ".join(dice.choices(words, k=dice.randint(5, 25))), str(n % 20)) for n in range(100_000)])
    began = time.monotonic()
    found = prepare(recipe(tmp_path, "rows.jsonl"))
    with capsys.disabled():
        print(f"\n100,000 rows were prepared in {time.monotonic() - began:.1f} s")
    assert sum(map(len, found.examples.values())) == 100_000


REAL = {
    ("sms_spam", "sms.tsv"): ("labelled", 5574),
    ("sms_spam", "spam_kaggle_latin1.csv"): ("labelled", 5572),
    ("banking77", "train.csv"): ("labelled", 10003),
    ("ag_news_test", "test.csv"): ("labelled", 7600),
    ("alpaca_en_demo", "alpaca_en_demo.json"): ("alpaca", 999),
    ("fastchat_dummy_conversation", "dummy_conversation.json"): ("sharegpt", 500),
    ("glaive_toolcall_en_demo", "glaive_toolcall_en_demo.json"): ("sharegpt", 300),
    ("raschka_instruction_1100", "instruction-data.json"): ("alpaca", 1100),
    ("gsm8k", "train_first3000.jsonl"): ("prompt_completion", 3000),
    ("dolly_6400", "dolly_6400.jsonl"): ("prompt_completion", 6400),
    ("arxiv_paper_multilabel", "valid_data.csv"): ("multi_label", 399),
    ("wnut17", "emerging.dev.conll"): ("tagged", 1009),
    ("snips_2017_custom_intents", "train_GetWeather_full.json"): ("tagged", 2000),
    ("dpo_kto_en_demo", "dpo_en_demo.json"): ("preference", 300),
}


@pytest.mark.parametrize(("parts", "expected"), REAL.items(), ids=["-".join(parts) for parts in REAL])
def test_real_files_are_prepared_whole(parts: tuple[str, str], expected: tuple[str, int]) -> None:
    found = prepare(recipe(Path(), str(shared("data", *parts))))
    totals = found.ledger.summary()
    assert (found.shape.name, totals["read"]) == expected
    # of the second, 50 rows have cells under columns that have no name
    assert totals["quarantined"]["total"] == (50 if parts[1] == "spam_kaggle_latin1.csv" else 0)
    used = sum(totals["used"].values())
    assert used + totals["dropped"]["total"] + totals["quarantined"]["total"] == totals["read"]
    assert abs(totals["used"]["test"] / used - 0.2) < 0.01
    assert abs(totals["used"]["validation"] / used - 0.1) < 0.01
    if found.shape.makes is Chat:
        assert found.labels == ()


@pytest.mark.parametrize(
    "parts", [("tiny_shakespeare", "input.txt"), ("promessi_sposi", "promessi_sposi.txt")], ids=["english", "italian"]
)
def test_real_books_are_prepared_by_paragraph(parts: tuple[str, str]) -> None:
    found = prepare(recipe(Path(), str(shared("data", *parts)), reader={"name": "text", "by": "paragraph"}))
    assert found.shape.name == "raw"
    assert min(map(len, found.examples.values())) > 100


UGLY = ["csv_spectrum_a", "csv_parser_fixtures_a", "utf8_documents_a", "big_list_of_naughty_strings"]
UGLY += ["json_test_suite_a", "duckdb_csv_a", "duckdb_json_a", "readr_fixtures_a", "papaparse_samples"]


def sentence(path: Path) -> str:
    """Reads a file to its end; the refusal's sentence, or nothing."""
    try:
        reader, _ = reader_for(path)
        assert list(reader.records(path))
    except Refused as error:
        return str(error)
    return ""


@pytest.mark.parametrize("name", UGLY)
def test_ugly_files_end_in_records_or_in_one_sentence_that_names_them(name: str) -> None:
    paths = [path for path in sorted(shared("data", name).iterdir()) if path.is_file()]
    found = {path: sentence(path) for path in paths}
    assert len(found) > 3 and not all(found.values())
    for path, said in found.items():
        assert not said or (path.name in said and len(said) < 1000)


@pytest.mark.parametrize("name", UGLY)
def test_ugly_files_are_prepared_whole_or_refused(name: str) -> None:
    for path in sorted(shared("data", name).glob("*.*"))[::5]:
        try:
            totals = read_examples(recipe(Path(), str(path)).data, Path()).ledger.summary()
        except Refused as error:
            assert len(str(error)) < 2000
        else:
            assert totals["read"] == totals["used"]["all"] + totals["quarantined"]["total"]


def test_every_file_has_the_licence_of_what_names_it_and_a_licence_makes_no_other_data(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    for name in ("one.jsonl", "inner/two.jsonl", "inner/three.jsonl"):
        table(tmp_path, [(f"{name} {text}", label) for text, label in distinct(20)], name)
    read = ("one.jsonl", "inner/*.jsonl")
    unstated = build(recipe(tmp_path, *read))
    stated = build(recipe(tmp_path, *read, licence={"inner/*.jsonl": "CC-BY-4.0"}))
    assert (unstated.licences, stated.licences) == ({}, {"two.jsonl": "CC-BY-4.0", "three.jsonl": "CC-BY-4.0"})
    assert stated.folder == unstated.folder and not stated.made
    by_two_names = {"inner/*.jsonl": "MIT", "inner/two.jsonl": "GPL-3.0"}
    both = build(recipe(tmp_path, *read, "inner/two.jsonl", licence=by_two_names))
    assert both.loaded().licences == {"two.jsonl": "MIT", "three.jsonl": "MIT"}
    assert build(recipe(tmp_path, *read, licence="own")).licences == dict.fromkeys(unstated.about["files"], "own")
