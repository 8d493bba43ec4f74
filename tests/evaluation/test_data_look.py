"""A look at files: counted exactly, recognised on a sample, and never a traceback whatever the bytes."""

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from shared_data import shared

import affina
from affina.core.errors import Refused

ROWS = [(f"some words of number {n}", ("ask", "buy")[n % 2]) for n in range(40)]


def table(folder: Path, *more: str, name: str = "tickets.csv") -> Path:
    path = folder / name
    path.write_text("\n".join(["text,label", *(",".join(row) for row in ROWS), *more]) + "\n", encoding="utf-8")
    return path


def adds_up(seen: dict[str, Any]) -> bool:
    ledger = seen["ledger"]
    aside = ledger["quarantined"]
    whole: bool = ledger["read"] == ledger["used"]["all"] + aside["total"] and aside["total"] == sum(
        aside["reasons"].values()
    )
    return whole


def test_a_table_is_told_whole(tmp_path: Path) -> None:
    seen = affina.data_look(str(table(tmp_path, "one,two,three", "some words of number 1,buy")))
    assert (seen["rows"], seen["format"], seen["encoding"], seen["shape"]) == (42, "csv", "utf-8", "labelled")
    assert (seen["task"], seen["error"]) == ("classification", None)
    assert seen["files"] == {"tickets.csv": 42}
    assert {name: each["is"] for name, each in seen["columns"].items()} == {"text": "text", "label": "label"}
    assert seen["columns"]["label"]["different"] == 2
    assert seen["classes"] == {"buy": 21, "ask": 20}
    assert seen["duplicates"]["exact"] == 1
    problems = {each["kind"]: each for each in seen["problems"]}
    assert problems["row"]["line"] == 42 and problems["row"]["file"] == "tickets.csv"
    assert problems["row"]["sentence"] == "the row has 3 cells where 2 are expected"
    assert (problems["duplicates"]["line"], problems["duplicates"]["file"]) == (43, "tickets.csv")
    assert seen["ledger"]["quarantined"] == {"total": 1, "reasons": {problems["row"]["sentence"]: 1}}
    assert adds_up(seen)
    assert seen["samples"][0]["id"] == "tickets.csv:2"
    assert len(seen["samples"]) == 3 and seen["samples"][0]["text"] == ROWS[0][0]
    json.dumps(seen, allow_nan=False)


def test_what_is_told_builds_the_same_shape_again(tmp_path: Path) -> None:
    path = table(tmp_path)
    first = affina.data_look([str(path)])
    again = affina.data_look(files=[str(path)], shape=first["recipe"]["shape"])
    assert again["shape"] == first["shape"] and again["ledger"] == first["ledger"]
    assert again["why"]["shape"] == "as it was told"


def test_reader_and_shape_are_those_of_a_recipe(tmp_path: Path) -> None:
    path = table(tmp_path)
    whole = affina.data_look(str(path), reader={"name": "text", "by": "line"})
    assert (whole["shape"], whole["rows"]) == ("raw", 41)
    with pytest.raises(Refused, match=r"shape: no shape is called 'labeled'; .*|did you mean 'labelled'"):
        affina.data_look(str(path), shape="labeled")
    with pytest.raises(Refused, match="unknown setting"):
        affina.data_look(str(path), shape={"name": "labelled", "txt": "text"})


def test_a_shape_that_is_not_recognised_is_an_error_and_columns_are_told_all_the_same(tmp_path: Path) -> None:
    path = tmp_path / "strange.csv"
    path.write_text("alfa,beta\n" + "\n".join(f"x{n} y{n},z{n} w{n}" for n in range(9)), encoding="utf-8")
    seen = affina.data_look(str(path))
    assert (seen["shape"], seen["task"], seen["ledger"]["used"]) == (None, None, {"all": 0})
    assert [*seen["columns"]] == ["alfa", "beta"]
    assert seen["error"]["what"] == "the dataset's shape is not recognised"
    assert "prompt: alfa, completion: beta" in seen["error"]["instead"]
    assert adds_up(seen) and seen["problems"] == []


def test_a_file_of_which_no_row_can_be_used_says_why(tmp_path: Path) -> None:
    path = tmp_path / "torn.jsonl"
    path.write_text("not json\nnor this\n", encoding="utf-8")
    seen = affina.data_look(str(path))
    assert seen["error"]["what"] == "no row can be used" and "2 were read" in seen["error"]["why"]
    assert adds_up(seen)


def test_several_files_are_counted_each(tmp_path: Path) -> None:
    seen = affina.data_look([str(table(tmp_path, name="a.csv")), str(table(tmp_path, "x,y", name="b.csv"))])
    assert seen["files"] == {"a.csv": 40, "b.csv": 41}
    assert seen["duplicates"]["exact"] == 40


def test_a_record_that_gives_several_examples_is_one_row(tmp_path: Path) -> None:
    row = {"instruction": "Double it.", "instances": [{"input": "1", "output": "2"}, {"input": "2", "output": "4"}]}
    path = tmp_path / "tasks.jsonl"
    path.write_text(
        "".join(f"{json.dumps({**row, 'instruction': f'Double {n}.'})}\n" for n in range(5)), encoding="utf-8"
    )
    seen = affina.data_look(str(path))
    assert (seen["rows"], seen["examples"], seen["ledger"]["used"]["all"]) == (5, 10, 5)
    assert adds_up(seen)


def test_an_encoding_that_was_guessed_is_a_problem(tmp_path: Path) -> None:
    path = tmp_path / "old.csv"
    path.write_bytes(b"text,label\n" + "\n".join(f"perché {n},{'ab'[n % 2]}" for n in range(9)).encode("cp1252"))
    seen = affina.data_look(str(path))
    assert "encoding" in [each["kind"] for each in seen["problems"]]
    assert seen["encoding"] and seen["encoding"] != "utf-8"


def test_tokens_are_counted_with_a_bases_own_tokenizer(tmp_path: Path, byte_base: Path) -> None:
    seen = affina.data_look(str(table(tmp_path)), base=str(byte_base))
    # a base whose tokens are bytes: as many as ASCII characters
    characters, tokens = (seen["lengths"][f"text, {unit}"] for unit in ("characters", "tokens"))
    assert tokens == characters


@pytest.mark.parametrize(
    "content", [b"", b" \n\n", b"\x00\x01\x02" * 99, b"%PDF-1.7", b"text,label\n", b"\xff\xfe", b"[1, 2", b"{}"]
)
def test_a_file_that_cannot_be_read_is_refused_in_a_sentence(tmp_path: Path, content: bytes) -> None:
    for name in ("a.csv", "a.json", "a.jsonl", "a.txt", "a"):
        (tmp_path / name).write_bytes(content)
        try:
            seen = affina.data_look(str(tmp_path / name))
        except Refused as error:
            assert str(error)
        else:
            assert adds_up(seen)


@pytest.mark.parametrize("text", ["\ud800 half", "\x1b[2J", "</script><script>", "a" * 2_000_000, "‮reversed"])
def test_hostile_texts_are_shown_and_not_run(tmp_path: Path, text: str) -> None:
    path = tmp_path / "rows.jsonl"
    rows = [{"text": text if n == 3 else f"some words {n}", "label": "ab"[n % 2]} for n in range(9)]
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    seen = affina.data_look(str(path), html=tmp_path / "page.html")
    assert seen["rows"] == 9 and adds_up(seen)
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "<script" not in page and len(page) < 200_000


def test_a_page_is_not_begun_where_it_could_not_be_written(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="there is no folder"):
        affina.data_look(str(table(tmp_path)), html=tmp_path / "absent" / "page.html")


def test_one_row_and_one_huge_row(tmp_path: Path) -> None:
    (tmp_path / "one.txt").write_text("only this", encoding="utf-8")
    assert affina.data_look(str(tmp_path / "one.txt"))["rows"] == 1
    (tmp_path / "huge.txt").write_text("word " * 2_000_000, encoding="utf-8")
    seen = affina.data_look(str(tmp_path / "huge.txt"))
    assert seen["lengths"]["text, words"]["most"] == 2_000_000
    assert len(json.dumps(seen)) < 20_000


@pytest.mark.parametrize(
    ("file", "shape", "rows"),
    [
        ("oasst_en_100_trees/en_100_tree.jsonl", "tree", 100),
        ("dpo_kto_en_demo/kto_en_demo.json", "rated", 300),
        ("sgd_dialogues/train_dialogues_044_first60.json", "messages", 60),
    ],
)
def test_published_sets_are_looked_at_whole(file: str, shape: str, rows: int) -> None:
    seen = affina.data_look(str(shared("data", *file.split("/"))))
    assert (seen["shape"], seen["rows"], seen["ledger"]["used"]["all"], seen["error"]) == (shape, rows, rows, None)


def test_a_packed_file_is_looked_at_under_its_own_name(tmp_path: Path) -> None:
    rows = "text,label\n" + "".join(f"words of row {n * 7919},{'ab'[n % 2]}\n" for n in range(40))
    with zipfile.ZipFile(tmp_path / "rows.zip", "w") as archive:
        archive.writestr("in/rows.csv", rows)
    seen = affina.data_look(str(tmp_path / "rows.zip"))
    assert (seen["rows"], seen["shape"], seen["error"]) == (40, "labelled", None)
    assert seen["files"] == {"rows.csv": 40}
