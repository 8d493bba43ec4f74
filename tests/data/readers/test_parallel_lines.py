from pathlib import Path

import pytest
from shared_data import shared

from affina.core.errors import Refused
from affina.core.example import Parallel
from affina.core.kinds import readers
from affina.core.recipe import Data
from affina.data.prepare import read_examples
from affina.data.recognise import readings


def write(folder: Path, **texts: str) -> list[str]:
    for name, text in texts.items():
        (folder / name.replace("_", ".")).write_text(text, encoding="utf-8", newline="")
    return [name.replace("_", ".") for name in texts]


def pairs(folder: Path, data: Data) -> list[tuple[str, str, str]]:
    found = read_examples(data, folder).examples["all"]
    return [(each.id, each.source, each.result) for each in found if isinstance(each, Parallel)]


def test_two_files_are_one_parallel_text_by_their_endings(tmp_path: Path) -> None:
    read = write(tmp_path, x_en="one\ntwo\n", x_it="uno\ndue\n")
    assert pairs(tmp_path, Data(read=read)) == [("x.en:1", "one", "uno"), ("x.en:2", "two", "due")]


def test_the_order_of_the_files_is_the_direction(tmp_path: Path) -> None:
    read = write(tmp_path, x_en="one\ntwo\n", x_it="uno\ndue\n")
    assert pairs(tmp_path, Data(read=read[::-1]))[0] == ("x.it:1", "uno", "one")


def test_files_of_any_ending_are_parallel_where_the_reader_says_so(tmp_path: Path) -> None:
    read = write(tmp_path, left_txt="one\r\ntwo", right_txt="uno\ndue\n")
    data = Data.model_validate({"read": read, "reader": "parallel_lines"})
    assert pairs(tmp_path, data) == [("left.txt:1", "one", "uno"), ("left.txt:2", "two", "due")]


def test_every_file_is_hashed_and_every_line_counted(tmp_path: Path) -> None:
    read = write(tmp_path, x_en="one\n\nthree\n", x_it="uno\ndue\n\n", y_en="four\n", y_it="quattro\n")
    found = read_examples(Data(read=read), tmp_path)
    assert list(found.files) == read
    totals = found.ledger.summary()
    assert (totals["read"], totals["used"]["all"]) == (4, 2)
    assert totals["quarantined"]["reasons"] == {
        "the source is empty (column 'en')": 1,
        "the target is empty (column 'it')": 1,
    }


def test_another_number_of_lines_is_refused_with_both(tmp_path: Path) -> None:
    read = write(tmp_path, x_en="one\ntwo\nthree\n", x_it="uno\ndue\n")
    with pytest.raises(Refused, match=r"x\.en has 3 lines and x\.it 2"):
        read_examples(Data(read=read), tmp_path)


def test_a_file_without_its_other_side_is_refused(tmp_path: Path) -> None:
    read = write(tmp_path, x_en="one\n", x_it="uno\n", y_en="two\n")
    with pytest.raises(Refused, match=r"y\.en has no other file to be read with"):
        read_examples(Data(read=read), tmp_path)
    with pytest.raises(Refused, match="one side of a parallel text"):
        list(readers.build("parallel_lines").records(tmp_path / "x.en"))


def test_two_files_of_one_language_are_refused(tmp_path: Path) -> None:
    read = write(tmp_path, x_en="one\n", y_en="two\n", x_it="uno\n", y_it="due\n")
    with pytest.raises(Refused, match=r"both end in \.en"):
        read_examples(Data(read=read), tmp_path)


def test_a_line_of_another_kind_of_line_end_is_still_one_line(tmp_path: Path) -> None:
    read = write(tmp_path, x_en="one\x0bmore\u2028still\x85\n", x_it="uno\n")
    assert len(pairs(tmp_path, Data(read=read))) == 1


@pytest.mark.parametrize(("text", "lines"), [("one", 1), ("one\n", 1), ("one\n\ntwo", 3), ("a\rb\r\nc\n\n", 3)])
def test_lines_are_counted_by_their_ends(tmp_path: Path, text: str, lines: int) -> None:
    read = write(tmp_path, x_en=text, x_it=text)
    reader = readers.build("parallel_lines")
    paths = [tmp_path / name for name in read]
    for path in paths:
        stretches = reader.stretches(path)
        assert stretches is not None and stretches.count([text]) == lines
    (reading,) = readings(paths)
    tiles = reading.tiles()
    assert tiles is not None and len([*tiles.watched(reading.records())]) == tiles.records == lines


def test_real_translations_are_read_whole() -> None:
    read = [str(shared("data", "tatoeba_en_it_es", f"eng-ita.{side}")) for side in ("eng", "ita")]
    found = read_examples(Data(read=read), Path())
    assert (found.shape.name, found.shape.changed()) == ("parallel", {"source": "eng", "target": "ita"})
    assert found.ledger.summary()["used"] == {"all": 17320}
