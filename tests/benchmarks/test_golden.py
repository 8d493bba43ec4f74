"""Excerpts of real files: at equal distances, whole records, in formats that the product reads."""

import csv
import json
from pathlib import Path

import golden
import pytest

from affina.core.recipe import Recipe
from recipes import kept


def test_rows_stand_at_equal_distances_and_all_of_a_few_are_taken() -> None:
    assert golden.spread([*range(10)], 5) == [0, 2, 4, 6, 8]
    assert golden.spread([*range(3)], 5) == [0, 1, 2]


def test_a_table_keeps_cells_with_line_ends_whole(tmp_path: Path) -> None:
    (tmp_path / "small").mkdir()
    rows = [["text", "label"], *([f"said\n{number}", "a"] for number in range(6))]
    with (tmp_path / "rows.csv").open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows(rows)
    (small,) = golden.table([tmp_path / "rows.csv"], tmp_path / "small", 3)
    with small.open(encoding="utf-8", newline="") as stream:
        assert [*csv.reader(stream)] == [rows[0], rows[1], rows[3], rows[5]]


def test_a_header_stays_where_there_is_one(tmp_path: Path) -> None:
    (tmp_path / "small").mkdir()
    file = golden.written(tmp_path / "rows.csv", "a,b\n1,2\n3,4\n5,6\n7,8\n")
    (small,) = golden.headed_lines([file], tmp_path / "small", 2)
    assert small.read_text(encoding="utf-8") == "a,b\n1,2\n5,6\n"
    (small,) = golden.lines([file], tmp_path / "small", 5)
    assert small.read_text(encoding="utf-8") == file.read_text(encoding="utf-8")


def test_sentences_stay_whole(tmp_path: Path) -> None:
    (tmp_path / "small").mkdir()
    file = golden.written(tmp_path / "rows.conll", "a\tO\nb\tO\n\nc\tO\n\n\nd\tB-x\n")
    (small,) = golden.sentences([file], tmp_path / "small", 2)
    assert small.read_text(encoding="utf-8") == "a\tO\nb\tO\n\nc\tO\n"


def test_a_record_stays_under_its_key(tmp_path: Path) -> None:
    (tmp_path / "small").mkdir()
    file = golden.written(tmp_path / "rows.json", json.dumps({"a": {"x": 1}, "b": {"x": 2}, "c": {"x": 3}}))
    (small,) = golden.keyed([file], tmp_path / "small", 2)
    assert json.loads(small.read_text(encoding="utf-8")) == {"a": {"x": 1}, "b": {"x": 2}}


def test_pieces_of_an_intent_become_its_text(tmp_path: Path) -> None:
    pieces = {"Play": [{"data": [{"text": "play "}, {"text": "Mina", "entity": "artist"}, {"text": "\n"}]}]}
    file = golden.written(tmp_path / "play.json", json.dumps(pieces))
    (small,) = golden.intents([file], tmp_path, 1)
    assert json.loads(small.read_text(encoding="utf-8")) == {"text": "play Mina", "intent": "Play"}


def test_a_book_is_its_chapters_without_licence_and_contents(tmp_path: Path) -> None:
    book = (
        "licence\n*** START OF THIS PROJECT GUTENBERG EBOOK X ***\npreface\n\n   CAPITOLO PRIMO.\n\nuno due tre\n\n"
        "   CAPITOLO II.\n\nquattro cinque sei\n*** END OF THIS PROJECT GUTENBERG EBOOK X ***\nlicence\n"
    )
    found = golden.chapters([golden.written(tmp_path / "book.txt", book)], tmp_path, 4)
    assert [each.read_text(encoding="utf-8") for each in found] == ["uno due\n", "quattro cinque\n"]


@pytest.mark.parametrize("each", golden.GOLDEN, ids=lambda each: each.recipe)
def test_a_golden_recipe_loads_and_bears_its_files_name(each: golden.Golden) -> None:
    assert Recipe.load(golden.RECIPES / f"{each.recipe}.yaml").name == each.recipe


def test_a_later_run_of_a_recipe_and_seed_takes_the_place_of_an_earlier_one(tmp_path: Path) -> None:
    out = tmp_path / "results.json"
    for value in (1, 2):
        kept(out, {"recipe": "a", "start": "b", "seed": 0, "value": value})
    kept(out, {"recipe": "a", "start": "b", "seed": 1, "value": 3})
    kept(out, {"recipe": "a", "start": "c", "seed": 0, "value": 4})
    runs = json.loads(out.read_text(encoding="utf-8"))["runs"]
    assert [each["value"] for each in runs] == [2, 3, 4]
